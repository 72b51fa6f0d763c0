"""How our sessions are opened: driver, connection parameters and settings for each purpose."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any
from urllib.parse import quote, quote_plus

import sqlalchemy
from sqlalchemy import URL, Connection, event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError
from sqlalchemy.pool import NullPool

from handrail.engines.base import Purpose, opening
from handrail.engines.explanation import explained
from handrail.engines.postgresql import locks
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.diagnosis import unreachable
from handrail.engines.postgresql.sql.effects_lock import ANYTHING
from handrail.errors import TargetRefused, Unreachable, UsageRefused
from handrail.host.secrets import mask, remember
from handrail.model.effect import Blocker, Blocks, Cost, Effect
from handrail.model.session import NOTHING_SETTLED, SessionSettings

CONNECT_TIMEOUT_S = 10
OUR_DRIVER = "psycopg"

_LIBPQ_DRIVERS = frozenset({"psycopg", "psycopg2", "psycopg2cffi"})
#: Drivers that only speak to a loop of their own: psycopg takes their place.
STOOD_IN_FOR = frozenset({"asyncpg", "psycopg_async"})
_LIBPQ_PARAMETERS: dict[str, str | int] = {
    "connect_timeout": CONNECT_TIMEOUT_S,
    "keepalives": 1,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

# A look must never be the reason that somebody waits: it gives up first.
_READ_SETTINGS = {
    "default_transaction_read_only": "on",
    "statement_timeout": "60s",
    "lock_timeout": "2s",
    "idle_in_transaction_session_timeout": "60s",
    "jit": "off",  # compiling the catalogue queries takes longer than running them
}
_SETTINGS = {
    Purpose.READ: {},  # travel in the startup packet, so that no statement runs before they hold
    Purpose.STATE: {
        "statement_timeout": "0",  # CREATE INDEX CONCURRENTLY and lock polling are bounded by the run's own budget
        "lock_timeout": "5s",
        "idle_in_transaction_session_timeout": "60s",
        "jit": "off",
        "plan_cache_mode": "force_generic_plan",  # the look for blockers takes longer to plan than to run
    },
    # What a role or database is set to must not end a long index build; each step bounds its own locks.
    Purpose.MIGRATE: {
        "statement_timeout": "0",
        "lock_timeout": "0",
        "idle_in_transaction_session_timeout": "5min",
    },
}

# No lock. client_connection_check_interval cannot be set on servers without POLLRDHUP, so only where it can work:
# https://www.postgresql.org/docs/current/runtime-config-connection.html
_APPLY_SETTINGS = sqlalchemy.text("""
select set_config(wanted.name, wanted.value, false)
from unnest(string_to_array(:names, ','), string_to_array(:texts, ',')) as wanted(name, value)
where current_setting(wanted.name, true) is not null
union all
select set_config('client_connection_check_interval', '2s', false)
where current_setting('server_version_num')::int >= 140000 and version() ~ 'linux'
""")

# No lock. What env.py settles by arguments of its connection, for the session.
_SET = sqlalchemy.text("select set_config(:name, :value, false)")
_SCHEMA = sqlalchemy.text("select current_schema()")

_parameters: ContextVar[dict[str, Any] | None] = ContextVar("handrail_postgresql_parameters", default=None)


class Sessions:
    """Opens connections to one URL. Keeps SQLAlchemy's engines, so that their first look is paid for once a process."""

    def __init__(self, url: URL, session: SessionSettings = NOTHING_SETTLED) -> None:
        self._url = url
        self._session = session
        self._engines: dict[URL, sqlalchemy.Engine] = {}
        for secret in (url.password, url.query.get("password")):
            if isinstance(secret, str) and secret:
                for form in {secret, quote(secret, safe=""), quote_plus(secret)}:
                    remember(form, beside=(url.drivername, url.username, url.host, url.database))

    @contextmanager
    def open(self, purpose: Purpose, run: str) -> Iterator[Connection]:
        """Open one connection and close it at the end. Raises Unreachable, TargetRefused or UsageRefused."""
        with opening():
            self._engine(self._url_for(Purpose.MIGRATE))  # a driver that is missing is told before anything is touched
            conn = self._connect(purpose, run)
        try:
            with explained(
                self._url.database or "", purpose, classify=classify, blockers=lambda: _everybody_who_locks(conn)
            ):
                yield conn
        finally:
            conn.close()

    def _connect(self, purpose: Purpose, run: str) -> Connection:
        url = self._url_for(purpose)
        engine = self._engine(url)
        token = _parameters.set(_session_parameters(url, purpose, run))
        try:
            conn = engine.connect()
        except DBAPIError as exc:
            raise self._unreachable(exc) from exc
        finally:
            _parameters.reset(token)
        try:
            if purpose is not Purpose.MIGRATE:
                conn = conn.execution_options(isolation_level="AUTOCOMMIT")
            elif self._url.get_driver_name() == "asyncpg":
                event.listen(conn, "before_cursor_execute", _with_literal_percents, retval=True)
            _settle(conn, purpose)
            self._repeat(conn)
        except DBAPIError as exc:
            conn.close()
            raise self._unreachable(exc) from exc
        except TargetRefused:
            conn.close()
            raise
        return conn

    def _repeat(self, conn: Connection) -> None:
        """Settle the session as the project's env.py settles its own. Raises TargetRefused where that is refused."""
        session = self._session
        if not (session.parameters or session.statements):
            return
        sent = ""
        try:
            for name, value in session.parameters:
                sent = f"SET {name}"
                conn.execute(_SET, {"name": name, "value": value})
            for sent in session.statements:
                conn.exec_driver_sql(sent, execution_options={"no_parameters": True})
            conn.dialect.default_schema_name = conn.execute(_SCHEMA).scalar_one_or_none()  # another search_path, maybe
            conn.commit()
        except DBAPIError as exc:
            raise TargetRefused(
                what="what env.py settles on its connection cannot be settled on ours; nothing was touched",
                why=f"{mask(sent)}: {mask(str(exc.orig).partition(chr(10))[0])}",
                fix="give the user of the environment's url that right, or take the statement out of env.py",
            ) from exc

    def _url_for(self, purpose: Purpose) -> URL:
        driver = self._url.get_driver_name()
        if purpose is Purpose.MIGRATE and driver not in STOOD_IN_FOR:
            return self._url
        return for_libpq(self._url)

    def _engine(self, url: URL) -> sqlalchemy.Engine:
        known = self._engines.get(url)
        if known is not None:
            return known
        try:
            engine = sqlalchemy.create_engine(url, poolclass=NullPool)
        except (ModuleNotFoundError, NoSuchModuleError) as exc:
            raise UsageRefused(
                what=f"the driver {url.get_driver_name()} of the url is not installed; nothing was touched",
                why="the migration runs on the project's own driver, in the project's environment",
                fix=f"install {url.get_driver_name()} beside Handrail, or name another driver in the url",
            ) from exc
        event.listen(engine, "do_connect", _add_parameters)
        self._engines[url] = engine
        return engine

    def _unreachable(self, exc: DBAPIError) -> Unreachable:
        url = for_libpq(self._url)
        _, parameters = self._engine(url).dialect.create_connect_args(url)
        return unreachable(url, parameters, exc)


def _everybody_who_locks(conn: Connection) -> tuple[Blocker, ...]:
    looking = tuple(
        Effect(relation=name, lock="ACCESS SHARE", blocks=Blocks.NOTHING, cost=Cost.INSTANT)
        for name in (ANYTHING, "handrail.log", "handrail.statement_log", "handrail.lease", "handrail.identity")
    )
    try:
        return locks.blockers(conn, looking, older_than_s=0.0)
    except DBAPIError:  # what is locked may be the catalogue itself
        return ()


def for_libpq(url: URL) -> URL:
    """Return the same database under psycopg, without what only another driver's dialect understands."""
    driver = url.get_driver_name()
    if driver == OUR_DRIVER:
        return url.set(drivername=f"postgresql+{OUR_DRIVER}")
    import psycopg  # noqa: PLC0415 - whoever reads SQL without a server needs no driver

    known = {item.keyword.decode() for item in psycopg.pq.Conninfo.get_defaults()}
    query = {name: value for name, value in url.query.items() if name in known}
    if driver == "asyncpg" and "ssl" in url.query:
        query["sslmode"] = url.query["ssl"]
    return url.set(drivername=f"postgresql+{OUR_DRIVER}", query=query)


def _session_parameters(url: URL, purpose: Purpose, run: str) -> dict[str, Any]:
    """Return what the startup packet carries beyond the URL; what the URL itself says about timeouts wins."""
    parameters: dict[str, Any] = {"application_name": f"handrail:{run}" if run else "handrail"}
    if url.get_driver_name() in _LIBPQ_DRIVERS:
        parameters |= {name: value for name, value in _LIBPQ_PARAMETERS.items() if name not in url.query}
    if url.get_driver_name() == OUR_DRIVER:
        # Poolers and DDL make prepared statements fail; what a run looks at between its steps is neither's business.
        parameters["prepare_threshold"] = 1 if purpose is Purpose.STATE else None
    if purpose is Purpose.READ:
        own = url.query.get("options", os.environ.get("PGOPTIONS", ""))  # ours would replace libpq's own look there
        ours = " ".join(f"-c {name}={value}" for name, value in _READ_SETTINGS.items())
        parameters["options"] = f"{own if isinstance(own, str) else ' '.join(own)} {ours}".strip()
    return parameters


def _add_parameters(_dialect: object, _record: object, _args: object, parameters: dict[str, Any]) -> None:
    parameters.update(_parameters.get() or {})


def _with_literal_percents(
    _conn: object, _cursor: object, statement: str, parameters: Any, context: Any, _many: object
) -> tuple[str, Any]:
    """Let a `%` of SQL that was written for asyncpg be one, where psycopg takes it for a parameter.

    https://www.psycopg.org/psycopg3/docs/basic/params.html; what SQLAlchemy has compiled is written for psycopg.
    """
    plain = context is not None and context.compiled is None and not parameters and not context.no_parameters
    return (statement.replace("%", "%%") if plain else statement), parameters


def _settle(conn: Connection, purpose: Purpose) -> None:
    """Apply the settings of the purpose: one statement, none for READ. Raises TargetRefused where they do not hold."""
    if purpose is Purpose.READ:
        _require_read_only(conn)
        return
    settings = _SETTINGS[purpose]
    values = {"names": ",".join(settings), "texts": ",".join(settings.values())}
    if purpose is Purpose.STATE:
        conn.execute(_APPLY_SETTINGS, values)
        conn.commit()  # nothing goes to the server; the caller may begin()
        return
    with conn.begin():
        conn.execute(_APPLY_SETTINGS, values)


def _require_read_only(conn: Connection) -> None:
    """Refuse a session that dropped our options, as a pooler may be told to.

    Servers since 14 report the setting by themselves: https://www.postgresql.org/docs/14/release-14.html.
    """
    driver = conn.connection.driver_connection
    reported = driver.pgconn.parameter_status(b"default_transaction_read_only") if driver is not None else None
    if reported == b"off":
        raise TargetRefused(
            what="the session is not read-only although we asked for it; nothing was touched",
            why="something between us and the server drops connection options, as PgBouncer does when it is told to",
            fix="name the server itself, not the pooler, in the environment's url",
        )

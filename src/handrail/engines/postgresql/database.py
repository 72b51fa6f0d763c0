"""One database of PostgreSQL 14 to 18."""

from __future__ import annotations

from contextlib import AbstractContextManager
from importlib import import_module

from sqlalchemy import URL, Connection, text

from handrail.engines.archives import Backups
from handrail.engines.base import Actions, Activity, Catalog, Cause, Effects, Locks, Purpose, Rows, Statements
from handrail.engines.facts import Dependants, Sizes, Violations
from handrail.engines.integrity import Ground, Orphans, Rights, Sequences, Trials
from handrail.engines.loading import loaded
from handrail.engines.postgresql import (
    activity,
    catalog,
    ground,
    locks,
    orphans,
    plans,
    rights,
    sequences,
    trials,
    usage,
)
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.needs import read_needs
from handrail.engines.postgresql.session import STOOD_IN_FOR, Sessions
from handrail.engines.postgresql.sql import effects, statements
from handrail.engines.sandboxes import Sandbox
from handrail.engines.usage import Plans, Usage
from handrail.host.secrets import mask
from handrail.model.needs import Needs
from handrail.model.session import NOTHING_SETTLED, SessionSettings
from handrail.model.target import Target

# No lock; one row.
_TARGET = text(
    """
select current_setting('server_version'),
       current_setting('server_version_num')::int / 10000,
       current_database(),
       current_user,
       coalesce(host(inet_server_addr()), 'socket'),
       has_function_privilege('pg_catalog.pg_control_system()', 'execute'),
       (select oid::text from pg_catalog.pg_database where datname = current_database()),
       pg_is_in_recovery(),
       """  # noqa: S608 - joined with a constant of ours
    + activity.READ_ONLY_SQL
)
# A statement of its own, because its privilege is checked even where CASE would never reach the call.
_SYSTEM_ID = text("select system_identifier::text from pg_catalog.pg_control_system()")


def engine(url: URL) -> PostgreSQL:
    """Return the engine bound to that URL; nothing is opened yet."""
    return PostgreSQL(url)


class PostgreSQL:
    """One PostgreSQL database behind one URL; satisfies `Engine`."""

    name = "postgresql"
    state_schema: str | None = "handrail"
    catalog: Catalog = catalog
    effects: Effects = effects
    statements: Statements = statements
    locks: Locks = locks
    activity: Activity = activity
    usage: Usage = usage
    plans: Plans = plans
    rights: Rights = rights
    orphans: Orphans = orphans
    sequences: Sequences = sequences
    ground: Ground = ground
    trials: Trials = trials
    actions: Actions = loaded("handrail.engines.postgresql.sql.actions")
    rows: Rows = loaded("handrail.engines.postgresql.rows")
    sizes: Sizes = loaded("handrail.engines.postgresql.sizes")
    violations: Violations = loaded("handrail.engines.postgresql.violations")
    dependants: Dependants = loaded("handrail.engines.postgresql.dependants")

    def __init__(self, url: URL, session: SessionSettings = NOTHING_SETTLED) -> None:
        self.url = url
        self._sessions = Sessions(url, session)

    def settled(self, session: SessionSettings, driver: str = "") -> PostgreSQL:
        """Return an engine for the same database whose sessions all start with those settings.

        SQL that is sent as it is was written for that `driver`, '' for that of the url.
        """
        stood_in_for = driver in STOOD_IN_FOR
        return PostgreSQL(self.url.set(drivername=f"postgresql+{driver}") if stood_in_for else self.url, session)

    @property
    def backups(self) -> Backups:
        """What makes archives of this database."""
        backups: Backups = import_module("handrail.engines.postgresql.backup").PostgresqlBackups(
            self.url, self._sessions
        )
        return backups

    def connect(self, purpose: Purpose, *, run: str = "") -> AbstractContextManager[Connection]:
        """Open one connection, closed at the end.

        READ and STATE run on psycopg 3 in autocommit, whatever driver the URL names; READ cannot write, gives up after
        60 s per statement and 2 s per lock. MIGRATE runs on the URL's own driver in ordinary transactions.
        Raises Unreachable, TargetRefused, or UsageRefused where the driver is not installed.
        """
        return self._sessions.open(purpose, run)

    def target(self, conn: Connection) -> Target:
        """Return the facts about the database in two statements; `system_id` is '' where we may not read it."""
        row = conn.execute(_TARGET).one()
        server, major, database, user, host, may_read_system_id, oid, standby, read_only = row
        return Target(
            engine=self.name,
            url=mask(self.url.render_as_string(hide_password=True)),
            database=database,
            host=self.url.host or host,
            user=user,
            server=server,
            server_major=major,
            system_id=conn.execute(_SYSTEM_ID).scalar_one() if may_read_system_id else "",
            database_oid=oid,
            standby=standby,
            read_only=read_only,
        )

    def needs(self, conn: Connection) -> Needs:
        """Return what the database needs of a server; every user may see all of it."""
        return read_needs(conn, self.url)

    def classify(self, exc: BaseException) -> Cause:
        """Return why a driver raised, by class and SQLSTATE."""
        return classify(exc)

    def before_step(self, conn: Connection) -> None:
        """Nothing to prepare: DDL is transactional here."""

    def before_commit(self, conn: Connection) -> tuple[str, ...]:  # noqa: ARG002 - the Protocol's shape
        """Nothing can be broken at this point: the server has checked every constraint."""
        return ()

    def after_step(self, conn: Connection) -> None:
        """Nothing to restore."""

    def shadow(self) -> None:
        """Return None: a PostgreSQL schema needs a server."""

    def sandbox(self, *, server_major: int) -> AbstractContextManager[Sandbox]:
        """Start (or find) a server of that major version to work in. Raises SandboxUnavailable."""
        sandbox: AbstractContextManager[Sandbox] = import_module(
            "handrail.engines.postgresql.servers.sandbox"
        ).open_sandbox(server_major)
        return sandbox

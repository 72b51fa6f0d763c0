"""Why a connection could not be opened, found out by trying, never by reading a message.

libpq gives no SQLSTATE for a failed connection attempt, and the server's sentence is in its own language. So the
question is put in parts: does the address answer, does the server ask for a password we do not have, does another
database of the same server let us in.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg.pq.abc import PGconn
from sqlalchemy import URL

from handrail.errors import Unreachable
from handrail.host.secrets import mask

PROBE_TIMEOUT_S = 5
_MAINTENANCE_DATABASES = ("postgres", "template1")

# No lock beyond ACCESS SHARE on shared catalogues; microseconds.
_DATABASE_SQL = """
select d.datallowconn,
       has_database_privilege(d.oid, 'connect'),
       d.datconnlimit,
       (select count(*) from pg_stat_activity a where a.datid = d.oid)
from pg_database d
where d.datname = %s
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sentence:
    """The three parts of the answer."""

    what: str
    why: str
    fix: str


def unreachable(url: URL, parameters: Mapping[str, Any], exc: BaseException) -> Unreachable:
    """Return the error that says why `exc` was raised while connecting with libpq's `parameters`.

    Opens up to three short connections to find out. The server's own words are shown, masked, but not interpreted.
    """
    driver_error = getattr(exc, "orig", None) or exc
    said = mask(" ".join(str(driver_error).split()))
    attempt = _libpq(driver_error) or _libpq(_try(parameters))
    sentence = (
        _address(url, _addresses(parameters, attempt))
        or _password(url, parameters, attempt, said)
        or _database(url, parameters, said)
    )
    return Unreachable(what=mask(sentence.what), why=mask(sentence.why), fix=mask(sentence.fix))


def _address(url: URL, addresses: list[tuple[str, int]]) -> _Sentence | None:
    """Knock at each address, as libpq did; one that answers is enough."""
    reasons = []
    for host, port in addresses:
        try:
            _knock(host, port)
        except OSError as exc:
            reasons.append(f"{_where(host, port)}: {exc.strerror or exc}")
        else:
            return None
    if not reasons:
        return None
    return _Sentence(
        what=f"the server of database {_name(url)} is not reachable; nothing was touched",
        why="; ".join(reasons),
        fix="start the server or correct host and port in the environment's url",
    )


def _password(url: URL, parameters: Mapping[str, Any], status: PGconn | None, said: str) -> _Sentence | None:
    """Ask other databases of the server: a refusal there too is about the user, not about the database."""
    user = url.username or parameters.get("user") or "the operating system's user"
    if status is not None and status.needs_password:
        return _Sentence(
            what=f"the server wants a password for user {user}; nothing was touched",
            why="the environment's url has none, and no password file names this server",
            fix="add the password to the url's source, or a line to ~/.pgpass",
        )
    if status is None or not status.used_password or _maintenance(parameters) is not None:
        return None
    return _Sentence(
        what=f"the server does not accept the password of user {user}; nothing was touched",
        why=said,
        fix="correct user and password in the url's source; special characters must be percent-encoded there",
    )


def _database(url: URL, parameters: Mapping[str, Any], said: str) -> _Sentence:
    name, user = _name(url), url.username or parameters.get("user") or "the operating system's user"
    with_another = _maintenance(parameters)
    if with_another is None:
        return _Sentence(
            what=f"the server refused user {user} before it opened database {name}; nothing was touched",
            why=said,
            fix="check the url's parameters, max_connections, the user's name and the server's pg_hba.conf",
        )
    allowed, may_connect, limit, sessions = with_another or (None, None, None, None)
    if allowed is None:
        return _Sentence(
            what=f"there is no database {name} on the server; nothing was touched",
            why="the server lets us in but does not list it",
            fix=f"createdb {name}, or correct the database in the environment's url",
        )
    if not allowed or not may_connect:
        return _Sentence(
            what=f"user {user} has no right to connect to database {name}; nothing was touched",
            why=said,
            fix=f"as its owner: GRANT CONNECT ON DATABASE {name} TO {user}",
        )
    if limit is not None and sessions is not None and 0 <= limit <= sessions:
        return _Sentence(
            what=f"database {name} has too many connections; nothing was touched",
            why=f"{sessions} are open, its limit is {limit}; a run needs three of its own",
            fix="close some, or ALTER DATABASE ... CONNECTION LIMIT",
        )
    return _Sentence(
        what=f"database {name} could not be opened; nothing was touched",
        why=said,
        fix="try again; if it stays so, look into the server's log",
    )


def _addresses(parameters: Mapping[str, Any], attempt: PGconn | None) -> list[tuple[str, int]]:
    """Return the addresses libpq tries, in its order; where the URL names none, the one it chose by itself."""
    hosts = [host for host in str(parameters.get("hostaddr") or parameters.get("host") or "").split(",") if host]
    ports = [port for port in str(parameters.get("port") or "").split(",") if port] or ["5432"]
    if hosts:
        return [(host, int(ports[number] if number < len(ports) else ports[0])) for number, host in enumerate(hosts)]
    return [(attempt.host.decode(), int(attempt.port))] if attempt is not None and attempt.host else []


def _knock(host: str, port: int) -> None:
    """Open and close a plain connection. Raises OSError."""
    if host.startswith("/"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as plain:
            plain.settimeout(PROBE_TIMEOUT_S)
            plain.connect(f"{host}/.s.PGSQL.{port}")
        return
    socket.create_connection((host, port), timeout=PROBE_TIMEOUT_S).close()


def _where(host: str, port: int) -> str:
    return f"{host}/.s.PGSQL.{port}" if host.startswith("/") else f"{host}:{port}"


def _libpq(exc: BaseException | None) -> PGconn | None:
    """Return the failed connection that psycopg keeps with its error; psycopg2 keeps none."""
    return exc.pgconn if isinstance(exc, psycopg.OperationalError) else None


def _try(parameters: Mapping[str, Any]) -> psycopg.Error | None:
    """Return how one more attempt fails, None where it succeeds now."""
    try:
        with psycopg.connect(**{**parameters, "connect_timeout": PROBE_TIMEOUT_S}):
            return None
    except psycopg.Error as exc:
        return exc


def _maintenance(parameters: Mapping[str, Any]) -> tuple[Any, ...] | None:
    """Return what another database says about ours, () where it is not listed; None where none lets us in."""
    wanted = parameters.get("dbname") or parameters.get("user")
    for name in _MAINTENANCE_DATABASES:
        try:
            with psycopg.connect(**{**parameters, "connect_timeout": PROBE_TIMEOUT_S, "dbname": name}) as conn:
                return conn.execute(_DATABASE_SQL, [wanted]).fetchone() or ()
        except psycopg.Error:
            continue
    return None


def _name(url: URL) -> str:
    return url.database or url.username or "(unnamed)"

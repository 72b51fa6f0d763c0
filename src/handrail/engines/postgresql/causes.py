"""Why a driver raised, by class and SQLSTATE. Source: https://www.postgresql.org/docs/current/errcodes-appendix.html."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause

_BY_SQLSTATE = {
    "08001": Cause.UNREACHABLE,
    "08004": Cause.UNREACHABLE,
    "25P03": Cause.CONNECTION_LOST,  # idle_in_transaction_session_timeout ends the session
    "25P04": Cause.CONNECTION_LOST,  # so does transaction_timeout (17+)
    "25006": Cause.READ_ONLY,
    "28000": Cause.DENIED,
    "28P01": Cause.WRONG_PASSWORD,
    "3D000": Cause.NO_DATABASE,
    "3F000": Cause.MISSING,
    "40001": Cause.SERIALIZATION,
    "40P01": Cause.DEADLOCK,
    "42501": Cause.DENIED,
    "42703": Cause.MISSING,
    "42704": Cause.MISSING,
    "42883": Cause.MISSING,
    "42P01": Cause.MISSING,
    "42701": Cause.EXISTS,
    "42710": Cause.EXISTS,
    "42723": Cause.EXISTS,
    "42P04": Cause.EXISTS,
    "42P06": Cause.EXISTS,
    "42P07": Cause.EXISTS,
    "53100": Cause.DISK_FULL,
    "53300": Cause.UNREACHABLE,
    "55P03": Cause.LOCK_TIMEOUT,
    "57014": Cause.CANCELED,
    "57P01": Cause.CONNECTION_LOST,
    "57P02": Cause.CONNECTION_LOST,
    "57P03": Cause.UNREACHABLE,
    "57P05": Cause.CONNECTION_LOST,
}
_BY_CLASS = {"08": Cause.CONNECTION_LOST, "23": Cause.CONSTRAINT}


def classify(exc: BaseException) -> Cause:
    """Return why psycopg, psycopg2, asyncpg or pg8000 raised, also when SQLAlchemy has wrapped it.

    An error without SQLSTATE never came from the server's parser or executor: it is about the connection. One raised
    while connecting is UNREACHABLE or WRONG_PASSWORD, any other CONNECTION_LOST.
    """
    for link in _chain(exc):
        code = sqlstate(link)
        if code:
            return _BY_SQLSTATE.get(code) or _BY_CLASS.get(code[:2], Cause.OTHER)
        if isinstance(link, DBAPIError) and link.connection_invalidated:
            return Cause.CONNECTION_LOST
        cause = _without_sqlstate(link)
        if cause is not None:
            return cause
    return Cause.OTHER


def sqlstate(exc: BaseException) -> str:
    """Return the five characters the server sent, '' where it sent none."""
    for name in ("sqlstate", "pgcode"):
        code = getattr(exc, name, None)
        if isinstance(code, str):
            return code
    fields = exc.args[0] if exc.args else None  # pg8000 hands over the fields of the message
    return str(fields.get("C", "")) if isinstance(fields, dict) else ""


def _chain(exc: BaseException) -> Iterator[BaseException]:
    """Yield the driver's own exception inside SQLAlchemy's, then SQLAlchemy's."""
    if isinstance(exc, DBAPIError) and exc.orig is not None:
        yield exc.orig
    yield exc


def _without_sqlstate(exc: BaseException) -> Cause | None:
    module, name = type(exc).__module__.partition(".")[0], type(exc).__name__
    if module not in {"psycopg", "psycopg2", "pg8000", "asyncpg"}:
        return None
    if name == "InterfaceError":
        return Cause.CONNECTION_LOST
    if name != "OperationalError":
        return None
    attempt = getattr(exc, "pgconn", None)  # psycopg sets it where connecting failed
    if attempt is not None:
        return Cause.WRONG_PASSWORD if attempt.needs_password else Cause.UNREACHABLE
    return Cause.CONNECTION_LOST

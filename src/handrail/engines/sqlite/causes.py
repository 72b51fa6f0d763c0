"""Why the driver raised, by SQLite's own result codes: https://www.sqlite.org/rescode.html."""

from __future__ import annotations

import errno
import sqlite3

from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause

_PRIMARY = 0xFF  # the low byte of an extended code
_CAUSES = {
    sqlite3.SQLITE_BUSY: Cause.LOCK_TIMEOUT,
    sqlite3.SQLITE_LOCKED: Cause.LOCK_TIMEOUT,
    sqlite3.SQLITE_PROTOCOL: Cause.LOCK_TIMEOUT,
    sqlite3.SQLITE_INTERRUPT: Cause.CANCELED,
    sqlite3.SQLITE_PERM: Cause.DENIED,
    sqlite3.SQLITE_AUTH: Cause.DENIED,
    sqlite3.SQLITE_READONLY: Cause.READ_ONLY,
    sqlite3.SQLITE_FULL: Cause.DISK_FULL,
    sqlite3.SQLITE_CANTOPEN: Cause.UNREACHABLE,
    sqlite3.SQLITE_NOTADB: Cause.NO_DATABASE,
    sqlite3.SQLITE_CONSTRAINT: Cause.CONSTRAINT,
    sqlite3.SQLITE_MISMATCH: Cause.CONSTRAINT,
}
_ERRNO = {
    errno.EACCES: Cause.DENIED,
    errno.EPERM: Cause.DENIED,
    errno.EROFS: Cause.READ_ONLY,
    errno.ENOSPC: Cause.DISK_FULL,
    errno.ENOENT: Cause.UNREACHABLE,
    errno.ENOTDIR: Cause.UNREACHABLE,
    errno.EISDIR: Cause.UNREACHABLE,
}


def classify(exc: BaseException) -> Cause:
    """Return why a driver raised.

    SQLite has one code, SQLITE_ERROR, for an object that exists already, one that does not exist and for bad syntax:
    these are OTHER, for messages are never matched.
    """
    if isinstance(exc, DBAPIError):
        if exc.connection_invalidated:
            return Cause.CONNECTION_LOST
        return classify(exc.orig) if exc.orig else Cause.OTHER
    if isinstance(exc, OSError):
        return _ERRNO.get(exc.errno or 0, Cause.OTHER)
    code = getattr(exc, "sqlite_errorcode", None)
    if not isinstance(exc, sqlite3.Error) or code is None:
        return Cause.OTHER
    if code == sqlite3.SQLITE_BUSY_SNAPSHOT:
        return Cause.SERIALIZATION
    return _CAUSES.get(code & _PRIMARY, Cause.OTHER)


def code_name(exc: BaseException) -> str:
    """Return SQLite's name for what happened, e.g. SQLITE_CORRUPT."""
    origin = exc.orig if isinstance(exc, DBAPIError) else exc
    return str(getattr(origin, "sqlite_errorname", type(origin).__name__))

"""Tries something on a sandbox and takes it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoResultFound, StatementError

from handrail.host import secrets

T = TypeVar("T")


class Swallowed(Exception):
    """A statement did nothing and said nothing, where the version's mapper would stop."""


#: What a version's own code would be told by an exception.
Failure = StatementError | NoResultFound | Swallowed
_FAILURES = (StatementError, NoResultFound, Swallowed)


def kept(conn: Connection, code: Callable[[], T]) -> T | Failure:
    """Return what `code` returns, in a savepoint of its own; the error it raised, taken back."""
    scope = conn.begin_nested()
    try:
        value = code()
    except _FAILURES as exc:
        if isinstance(exc, DBAPIError) and exc.connection_invalidated:
            raise
        scope.rollback()
        return exc
    scope.commit()
    return value


def undone(conn: Connection, code: Callable[[], T]) -> T | Failure:
    """Return the same, taken back in either case."""
    scope = conn.begin_nested()
    try:
        return code()
    except _FAILURES as exc:
        if isinstance(exc, DBAPIError) and exc.connection_invalidated:
            raise
        return exc
    finally:
        if scope.is_active:
            scope.rollback()


def message(exc: Failure) -> str:
    """Return the server's message in one line, masked."""
    if isinstance(exc, NoResultFound):
        return "the server stored no row and said nothing: a trigger, rule or policy swallowed it"
    lines = str(getattr(exc, "orig", None) or exc).strip().splitlines()
    return secrets.mask(lines[0] if lines else type(exc).__name__)

"""Tries something on a sandbox and takes it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, StatementError

from handrail.host import secrets

T = TypeVar("T")


def kept(conn: Connection, code: Callable[[], T]) -> T | StatementError:
    """Return what `code` returns, in a savepoint of its own; the error it raised, taken back."""
    scope = conn.begin_nested()
    try:
        value = code()
    except StatementError as exc:
        if isinstance(exc, DBAPIError) and exc.connection_invalidated:
            raise
        scope.rollback()
        return exc
    scope.commit()
    return value


def undone(conn: Connection, code: Callable[[], T]) -> T | StatementError:
    """Return the same, taken back in either case."""
    scope = conn.begin_nested()
    try:
        return code()
    except StatementError as exc:
        if isinstance(exc, DBAPIError) and exc.connection_invalidated:
            raise
        return exc
    finally:
        if scope.is_active:
            scope.rollback()


def message(exc: StatementError) -> str:
    """Return the server's message in one line, masked."""
    lines = str(exc.orig or exc).strip().splitlines()
    return secrets.mask(lines[0] if lines else type(exc).__name__)

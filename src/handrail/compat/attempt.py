"""Tries something on a sandbox and takes it back."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import count
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, NoResultFound, StatementError

from handrail.host import secrets

T = TypeVar("T")


class Swallowed(Exception):
    """A statement did nothing and said nothing, where the version's mapper would stop."""


#: What a version's own code would be told by an exception.
Failure = StatementError | NoResultFound | Swallowed
FAILURES = (StatementError, NoResultFound, Swallowed)


class Attempts:
    """Tries things in one transaction of a sandbox, in savepoints sent to the driver itself: there are thousands.

    An outermost savepoint stays for the next attempt, until something is kept. All others are released: one that was
    only rolled back to would nest the next one, and each level has a transaction id of its own:
    https://www.postgresql.org/docs/current/subxacts.html
    """

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._numbers = count(1)
        self._depth = 0
        self._floor = ""

    @property
    def tentative(self) -> bool:
        """Whether what is done now will be taken back."""
        return self._depth > 0

    def kept(self, code: Callable[[], T]) -> T | Failure:
        """Return what `code` returns, in a savepoint of its own; the error it raised, taken back."""
        if self._floor and not self._depth:
            self._send("RELEASE SAVEPOINT", self._floor)
            self._floor = ""
        name = self._begun()
        done = _told(code)
        if isinstance(done, FAILURES):
            self._send("ROLLBACK TO SAVEPOINT", name)
        self._send("RELEASE SAVEPOINT", name)
        return done

    def undone(self, code: Callable[[], T]) -> T | Failure:
        """Return the same, taken back in either case."""
        outermost = not self._depth
        name = self._floor if outermost and self._floor else self._begun()
        self._depth += 1
        try:
            return _told(code)
        finally:
            self._depth -= 1
            self._send("ROLLBACK TO SAVEPOINT", name)
            if outermost:
                self._floor = name
            else:
                self._send("RELEASE SAVEPOINT", name)

    def _begun(self) -> str:
        name = f"handrail_{next(self._numbers)}"
        self._send("SAVEPOINT", name)
        return name

    def _send(self, command: str, name: str) -> None:
        if not self._conn.invalidated:
            with closing(self._conn.connection.cursor()) as cursor:
                cursor.execute(f"{command} {name}")


def _told(code: Callable[[], T]) -> T | Failure:
    """Return what `code` returns, or how it failed. Raises where the session is lost."""
    try:
        return code()
    except FAILURES as exc:
        if isinstance(exc, DBAPIError) and exc.connection_invalidated:
            raise
        return exc


def message(exc: Failure) -> str:
    """Return the server's message in one line, masked."""
    if isinstance(exc, NoResultFound):
        return "the server stored no row and said nothing: a trigger, rule or policy swallowed it"
    lines = str(getattr(exc, "orig", None) or exc).strip().splitlines()
    return secrets.mask(lines[0] if lines else type(exc).__name__)

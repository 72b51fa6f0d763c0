"""Bounds what a step does to others: how long it waits in a lock queue, and how long it holds what others wait for."""

from __future__ import annotations

from collections.abc import Callable
from math import nan
from typing import TYPE_CHECKING

from sqlalchemy import Connection

from handrail.errors import LockHoldSpent

if TYPE_CHECKING:
    from handrail.flows.run.attempt import Session


class Bounds:
    """The bounds of the session that migrates; kept over its steps, since some outlive their transaction."""

    def __init__(self, session: Session) -> None:
        self._s = session
        locks = session.ports.engine.locks
        self._lock_timeout = _Setting(session.conn, locks.set_lock_timeout)
        self._statement_timeout = _Setting(session.conn, locks.set_statement_timeout)
        self._bounded = locks.set_statement_timeout(None) is not None
        self._wait_s = 0.0
        self._created: set[str] = set()
        self._hold_ends: float | None = None
        self._strong_lock = ""

    def begin(self, wait_s: float) -> None:
        """Begin an attempt whose statements wait for a lock up to `wait_s`."""
        self._wait_s = wait_s
        self._created.clear()
        self._hold_ends = None
        self._lock_timeout.step_ended()
        self._statement_timeout.step_ended()

    def transaction_ended(self) -> None:
        """Forget what ended with a transaction: its settings and its locks."""
        self._hold_ends = None
        self._lock_timeout.transaction_ended()
        self._statement_timeout.transaction_ended()

    def doubt(self) -> None:
        """Forget the settings: a statement of the revision itself changes them."""
        self._lock_timeout.doubt()
        self._statement_timeout.doubt()

    def settle(self, sql: str, *, autocommit: bool) -> None:
        """Set the bounds for the next statement: a short wait for a lock that others queue behind, none for the rest.

        Raises LockHoldSpent where the transaction has held such a lock for too long already.
        """
        self.check_hold()
        effects = self._s.ports.engine.effects.effects(sql, server_major=self._s.server_major)
        self._created.update(e.relation for e in effects if e.created_here)
        strong = next((e for e in effects if e.strong and e.relation not in self._created), None)
        self._lock_timeout.set(self._wait_s if strong else None, autocommit=autocommit)
        now = self._s.ports.clock.monotonic()
        # what is only guessed to lock may as well be a long work on rows, which is not ours to end
        if strong and not strong.guessed and self._hold_ends is None:
            self._hold_ends = now + self._wait_s + self._s.ports.environment.lock.hold.total_seconds()
            self._strong_lock = f"{strong.lock} on {strong.relation}"
        left_s = None if self._hold_ends is None else max(0.001, self._hold_ends - now)
        if not self._statement_timeout.keeps(left_s):
            self._statement_timeout.set(left_s, autocommit=autocommit)

    @property
    def holding(self) -> bool:
        """Whether the transaction holds a lock that others wait for, or has asked for one."""
        return self._hold_ends is not None

    @property
    def hold_spent(self) -> bool:
        """Whether the transaction has held a lock that others wait for longer than lock.hold."""
        ends = self._hold_ends
        return self._bounded and ends is not None and self._s.ports.clock.monotonic() >= ends

    def check_hold(self) -> None:
        """Raise LockHoldSpent where that is so."""
        if self.hold_spent:
            raise self.hold_error()

    def hold_error(self) -> LockHoldSpent:
        """Return the error that says so."""
        hold_s = self._s.ports.environment.lock.hold.total_seconds()
        return LockHoldSpent(
            what="a lock that others wait for was held longer than lock.hold",
            why=f"{self._strong_lock} for more than {hold_s:g} s",
            fix="move the long work before the lock or into a revision of its own, or raise lock.hold",
        )


class _Setting:
    """One timeout of the session, set only where it is not in force already. None seconds is no bound."""

    def __init__(self, conn: Connection, make: Callable[..., str | None]) -> None:
        self._conn = conn
        self._make = make
        self._session_s: float | None = None
        self._in_force_s: float | None = None

    def keeps(self, wanted_s: float | None) -> bool:
        """Whether what is in force is near enough: each new bound is a round trip to the server."""
        in_force_s = self._in_force_s
        if wanted_s is None or in_force_s is None:
            return wanted_s == in_force_s
        return wanted_s <= in_force_s <= 2 * wanted_s

    def set(self, wanted_s: float | None, *, autocommit: bool) -> None:
        if wanted_s == self._in_force_s:
            return
        sql = self._make(wanted_s, autocommit=autocommit)
        if sql:
            self._conn.exec_driver_sql(sql)
        self._in_force_s = wanted_s
        if autocommit:
            self._session_s = wanted_s

    def transaction_ended(self) -> None:
        self._in_force_s = self._session_s

    def step_ended(self) -> None:
        self.transaction_ended()
        if self._session_s is not None:  # the engine may have restored its session, or not
            self.doubt()

    def doubt(self) -> None:
        self._session_s = self._in_force_s = nan  # equal to nothing, so that the next bound is set

"""Questions to a file that are given up after a while: SQLite has no timeout for a statement of its own."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause
from handrail.engines.sqlite.causes import classify
from handrail.engines.sqlite.session import driver_of
from handrail.model.verdict import Unsupported

#: How often SQLite lets us look at the clock. Source: https://www.sqlite.org/c3ref/progress_handler.html.
_STEPS_BETWEEN_LOOKS = 10_000

T = TypeVar("T")


def answered(conn: Connection, ask: Callable[[], T], *, limit_s: float) -> T | Unsupported:
    """Return what `ask` returns, or why the file did not answer it within `limit_s` seconds."""
    try:
        with bounded(conn, limit_s):
            return ask()
    except DBAPIError as exc:
        match classify(exc):
            case Cause.CANCELED:
                reason = f"the query took longer than {limit_s:.0f} s, and was ended"
            case Cause.LOCK_TIMEOUT:
                reason = "somebody holds a lock that keeps readers out"
            case _:
                reason = " ".join(str(exc.orig).split())
        return Unsupported(reason=reason)


@contextmanager
def bounded(conn: Connection, limit_s: float) -> Iterator[None]:
    """End a query that takes longer than that: it raises what `classify` calls CANCELED."""
    driver, until = driver_of(conn), time.monotonic() + limit_s
    driver.set_progress_handler(lambda: time.monotonic() > until, _STEPS_BETWEEN_LOOKS)
    try:
        yield
    finally:
        driver.set_progress_handler(None, 0)

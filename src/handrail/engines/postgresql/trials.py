"""A transaction to try things in: every constraint speaks at once, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

# No lock. A deferred constraint would speak at COMMIT, which never comes.
_AT_ONCE = "SET CONSTRAINTS ALL IMMEDIATE"


@contextmanager
def trying(conn: Connection) -> Iterator[None]:
    """Begin a transaction for what is inside, and roll it back at the end."""
    conn.rollback()
    with conn.begin() as transaction:
        conn.exec_driver_sql(_AT_ONCE)
        yield
        transaction.rollback()

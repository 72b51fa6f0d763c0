"""A transaction to try things in: foreign keys hold, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from handrail.engines.sqlite.session import driver_of

# No lock. Off by default, and without effect inside a transaction: https://www.sqlite.org/pragma.html#pragma_foreign_keys
_KEYS = "PRAGMA foreign_keys"
_ON, _OFF = "PRAGMA foreign_keys = ON", "PRAGMA foreign_keys = OFF"


@contextmanager
def trying(conn: Connection) -> Iterator[None]:
    """Begin a transaction for what is inside, and roll it back at the end. Foreign keys are checked meanwhile."""
    conn.rollback()
    driver = driver_of(conn)
    before = driver.execute(_KEYS).fetchone()[0]
    driver.execute(_ON)
    try:
        with conn.begin() as transaction:
            yield
            transaction.rollback()
    finally:
        if not before:
            driver.execute(_OFF)

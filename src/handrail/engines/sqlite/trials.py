"""A transaction to try things in: foreign keys hold, nothing stays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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


@contextmanager
def within(conn: Connection) -> Iterator[bool]:  # noqa: ARG001 - the Protocol's shape
    """Nothing can be tried inside a transaction: foreign keys cannot be switched on there."""
    yield False


def ordinary(conn: Connection, role: str) -> bool:  # noqa: ARG001 - the Protocol's shape
    """Return False: there are no roles."""
    return False


def rights(conn: Connection, role: str) -> Mapping[str, str]:  # noqa: ARG001 - the Protocol's shape
    """Return none: there are no rights."""
    return {}


@contextmanager
def acting(conn: Connection, role: str) -> Iterator[None]:  # noqa: ARG001 - the Protocol's shape
    """Nothing to take on."""
    yield

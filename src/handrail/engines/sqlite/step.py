"""What surrounds one revision: foreign keys are off while tables are recreated, and looked at before the commit.

Alembic's batch operations recreate a table inside the transaction; with foreign keys on, dropping the old one deletes
the rows that refer to it, and the setting cannot be changed inside a transaction: https://www.sqlite.org/foreignkeys.html.
"""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from sqlalchemy import Connection

from handrail.engines.sqlite.locks import set_lock_timeout
from handrail.engines.sqlite.session import driver_of
from handrail.errors import TargetRefused

#: How many broken rows of one table are named before the rest is counted.
NAMED_ROWS = 20

_BEFORE = "handrail.sqlite.before_step"

# No lock; settings of this connection.
_FOREIGN_KEYS = "PRAGMA foreign_keys"
_FOREIGN_KEYS_OFF = "PRAGMA foreign_keys = OFF"
_FOREIGN_KEYS_ON = "PRAGMA foreign_keys = ON"
_BUSY_TIMEOUT = "PRAGMA busy_timeout"
# SHARED lock; reads every table that has foreign keys, once, and looks each key up in the parent.
_CHECK = 'SELECT "table", rowid, parent FROM pragma_foreign_key_check'
# SHARED lock; the same for one table.
_CHECK_TABLE = 'SELECT "table", rowid, parent FROM pragma_foreign_key_check(?)'
# SHARED lock; reads the schema in memory.
_TABLES = "SELECT name FROM sqlite_schema WHERE type = 'table' AND sql NOT LIKE 'create virtual%'"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One row whose parent is missing.

    `rowid` is None in a table without one; `parent` is '' where the whole foreign key fits no parent.
    """

    table: str
    rowid: int | None
    parent: str

    def describe(self) -> str:
        """One line that names the row to a person."""
        if not self.parent:
            return f"a foreign key of table {self.table} refers to columns that are not unique in their table"
        row = "a row" if self.rowid is None else f"the row with rowid {self.rowid}"
        return f"{row} of table {self.table} refers to a row of {self.parent} that is not there"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Before:
    foreign_keys: bool
    busy_timeout_ms: int
    violations: Counter[Violation]


def before(conn: Connection) -> None:
    """Switch foreign keys off and remember which rows violate them already: one scan of the tables that have any.

    Raises TargetRefused inside a transaction, where SQLite would ignore the switch.
    """
    driver = driver_of(conn)
    if driver.in_transaction:
        raise TargetRefused(
            what="the revision was not begun",
            why="a transaction is open already, in which SQLite cannot switch foreign keys off",
            fix="commit in env.py before the migration begins",
        )
    conn.info[_BEFORE] = _Before(
        foreign_keys=bool(_one(driver, _FOREIGN_KEYS)),
        busy_timeout_ms=_one(driver, _BUSY_TIMEOUT),
        violations=Counter(_violations(driver)),
    )
    driver.execute(_FOREIGN_KEYS_OFF)


def broken(conn: Connection) -> tuple[str, ...]:
    """Return a line for each row whose parent is missing now and was not before the step; one scan."""
    known: _Before | None = conn.info.get(_BEFORE)
    new = Counter(_violations(driver_of(conn)))
    if known:
        new -= known.violations
    return tuple(_lines(new))


def after(conn: Connection) -> None:
    """Put the settings back; a transaction still open is rolled back, for it was neither committed nor given up."""
    if conn.closed or conn.invalidated:
        return
    known: _Before | None = conn.info.pop(_BEFORE, None)
    driver = driver_of(conn)
    if known is None:
        return
    if conn.in_transaction():
        conn.rollback()
    if driver.in_transaction:
        driver.rollback()
    driver.execute(_FOREIGN_KEYS_ON if known.foreign_keys else _FOREIGN_KEYS_OFF)
    driver.execute(set_lock_timeout(known.busy_timeout_ms / 1000)).fetchall()


def _violations(driver: sqlite3.Connection) -> Iterator[Violation]:
    try:
        rows = driver.execute(_CHECK).fetchall()
    except sqlite3.OperationalError:
        # One foreign key that fits no parent ends the whole check, so each table is asked by itself.
        for (table,) in driver.execute(_TABLES).fetchall():
            yield from _violations_of(driver, table)
    else:
        yield from (Violation(table=table, rowid=rowid, parent=parent) for table, rowid, parent in rows)


def _violations_of(driver: sqlite3.Connection, table: str) -> Iterator[Violation]:
    try:
        rows = driver.execute(_CHECK_TABLE, (table,)).fetchall()
    except sqlite3.OperationalError:
        yield Violation(table=table, rowid=None, parent="")
    else:
        yield from (Violation(table=table, rowid=rowid, parent=parent) for _, rowid, parent in rows)


def _lines(violations: Counter[Violation]) -> Iterator[str]:
    named: Counter[str] = Counter()
    for violation in violations.elements():
        named[violation.table] += 1
        if named[violation.table] <= NAMED_ROWS:
            yield violation.describe()
    for table, count in named.items():
        if count > NAMED_ROWS:
            yield f"{count - NAMED_ROWS} more rows of table {table}"


def _one(driver: sqlite3.Connection, sql: str) -> int:
    row = driver.execute(sql).fetchone()
    return int(row[0])

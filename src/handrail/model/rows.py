"""What rows hold, as numbers that can be compared: a print of every column of every table, and what differs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """The rows of one table whose key falls into one bucket; what finds a changed row without the original.

    `sums` are, for each column of the table's print and in its order, 24 hex digits: 8 of the sum of a 32 bit hash u of
    each value, 16 of the sum of u times a 31 bit hash of the row's key, both without what overflows. One row that
    changed by d moves them by d and by d times its key's hash, so the quotient names the row.
    """

    number: int
    rows: int
    sums: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePrint:
    """One table: its rows counted, and one sum of hashes for each column.

    `key` are the columns by which a row is known (primary key, else a unique key without nulls); () where there is
    none: then the sums do not see two rows that exchange their values, and there are no buckets. `columns` are
    (name, sum in 16 hex digits) in the order of names. `buckets` are there where they were asked for and hold rows;
    `bucket_count` is how many there could be, a power of two. `strict` as in the RowsPrint.
    """

    name: str
    key: tuple[str, ...]
    rows: int
    columns: tuple[tuple[str, str], ...]
    strict: bool = False
    bucket_count: int = 0
    buckets: tuple[Bucket, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsPrint:
    """All rows of one database at one moment, without Handrail's own tables.

    Only prints of one engine and server major compare. `sequences` are (name, last value), the value with `, not given
    out` where the next one is that value itself. `left_out` are (name, reason) of what holds rows and is not looked at.
    """

    engine: str
    server_major: int
    tables: tuple[TablePrint, ...]
    sequences: tuple[tuple[str, str], ...] = ()
    left_out: tuple[tuple[str, str], ...] = ()
    strict: bool = False

    def table(self, name: str) -> TablePrint | None:
        """Return the table of that name, None where there is none."""
        return next((t for t in self.tables if t.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowDifference:
    """One thing that differs. `column` is '' for the number of rows, and for a table or sequence as a whole.

    `key` names the row as `id=7` (columns in the key's order, joined by `, `), '' where it could not be found.
    `expected` and `found` are values as text, None where they are not known. `note` says in words what neither can.
    """

    table: str
    column: str = ""
    key: str = ""
    expected: str | None = None
    found: str | None = None
    note: str = ""

    def describe(self) -> str:
        """One line, e.g. `players.age where id=10: 28, expected 27`."""
        where = ".".join(filter(None, (self.table, self.column))) + (f" where {self.key}" if self.key else "")
        if self.note:
            return f"{where}: {self.note}"
        if self.found is None and self.expected is None:
            return f"{where} differs"
        if self.expected is None:
            return f"{where} differs: it is {self.found} now"
        return f"{where}: {self.found if self.found is not None else 'missing'}, expected {self.expected}"


def differences(expected: RowsPrint, found: RowsPrint) -> tuple[RowDifference, ...]:
    """Return what differs between two prints, table by table: columns without the key of a row."""
    return tuple(_differences(expected, found))


def _differences(expected: RowsPrint, found: RowsPrint) -> Iterator[RowDifference]:
    theirs = {table.name: table for table in found.tables}
    for table in expected.tables:
        other = theirs.pop(table.name, None)
        if other is None:
            yield RowDifference(table=table.name, expected=f"a table of {table.rows} rows")
            continue
        if other.rows != table.rows:
            yield RowDifference(table=table.name, expected=f"{table.rows} rows", found=f"{other.rows} rows")
        if other.key != table.key:
            keys = " and ".join(", ".join(key) or "none" for key in (table.key, other.key))
            yield RowDifference(table=table.name, note=f"its values cannot be compared: the keys are {keys}")
            continue
        sums = dict(other.columns)
        for column, total in table.columns:
            if sums.pop(column, None) != total:
                yield RowDifference(table=table.name, column=column)
        for column in sums:
            yield RowDifference(table=table.name, column=column, found="a column that was not there")
    for name in theirs:
        yield RowDifference(table=name, found="a table that was not there")
    last = dict(found.sequences)
    for name, value in expected.sequences:
        if last.get(name) != value:
            yield RowDifference(table=name, expected=value, found=last.get(name))

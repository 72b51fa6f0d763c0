"""Reads what tables hold: prints of all rows, and the rows that differ.

Tables, partitioned ones through their root. Foreign tables, materialized views and large objects are not looked at; the
first two are named in the print. Hashes: rows_sql.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from psycopg.pq import TransactionStatus
from sqlalchemy import Connection, text

from handrail.engines import bucketing
from handrail.engines.bucketing import BUCKETS, Place, Sums
from handrail.engines.postgresql import rows_sql
from handrail.engines.postgresql.rows_catalog import RowTable, holders
from handrail.model.rows import RowDifference, RowsPrint, TablePrint

# One moment for all statements, and nothing written. No lock.
_BEGIN = "begin isolation level repeatable read, read only"
_ONE_MOMENT = "set transaction isolation level repeatable read, read only"
_SAVEPOINT = "savepoint handrail_rows"
_BACK = "rollback to savepoint handrail_rows; release savepoint handrail_rows"
_END = "rollback"
# What texts of values depend on. Without row security a forbidden row is an error instead of being left out. A scan may
# take longer than a look at the catalogue. https://www.postgresql.org/docs/current/runtime-config-client.html
_SETTINGS = text("""
select set_config(name, value, true) from (values
  ('row_security', 'off'), ('search_path', 'pg_catalog'), ('DateStyle', 'ISO, YMD'), ('IntervalStyle', 'postgres'),
  ('TimeZone', 'UTC'), ('extra_float_digits', '1'), ('bytea_output', 'hex'), ('lc_monetary', 'C'),
  ('statement_timeout', '0')) as fixed (name, value)
""")


def fingerprint(
    conn: Connection, *, tables: Collection[str] | None = None, strict: bool = False, buckets: bool = False
) -> RowsPrint:
    """Return the print of those tables, of all and the sequences where None; one scan of each.

    All at one moment: in the transaction `conn` is in, else in one of our own. Raises the driver's error where a row
    may not be read.
    """
    with _reading(conn):
        found = holders(conn, tables)
        return RowsPrint(
            engine="postgresql",
            server_major=int(version[0]) if (version := conn.dialect.server_version_info) else 0,
            tables=tuple([_print(conn, table, strict=strict, buckets=buckets) for table in found.tables]),
            sequences=tuple(_sequences(conn, found.sequences)),
            left_out=found.left_out,
            strict=strict,
        )


def locate(conn: Connection, expected: TablePrint, column: str) -> tuple[RowDifference, ...]:
    """Return the rows of `conn` in which that column is not what the print with buckets was made of.

    One scan of the table where nothing differs, three at most.
    """
    with _reading(conn):
        table = next(iter(holders(conn, (expected.name,)).tables), None)
        problem = bucketing.unlocatable(expected, column, table.columns if table else None)
        if problem or table is None:
            return problem
        scan = _Scan(conn, _with_key(table, expected.key), column, strict=expected.strict)
        return tuple(bucketing.located(expected, column, scan))


def compare(
    original: Connection, copy: Connection, table: str, column: str, *, limit: int = 20, strict: bool = False
) -> tuple[RowDifference, ...]:
    """Return the rows in which that column differs between two databases, by key, with both values; at most `limit`.

    The rows are known by the original's key. One scan of each table where nothing differs, three at most.
    """
    with _reading(original), _reading(copy):
        before = next(iter(holders(original, (table,)).tables), None)
        after = next(iter(holders(copy, (table,)).tables), None)
        problem = bucketing.incomparable(
            table,
            column,
            key=before.key if before else (),
            original=before.columns if before else None,
            copy=after.columns if after else None,
        )
        if problem or before is None or after is None:
            return problem
        scans = (
            _Scan(original, before, column, strict=strict),
            _Scan(copy, _with_key(after, before.key), column, strict=strict),
        )
        return tuple(bucketing.compared(table, column, *scans, limit=limit))


@contextmanager
def _reading(conn: Connection) -> Iterator[None]:
    """Fix what texts of values depend on, within the transaction `conn` is in or one of our own, and undo it."""
    driver: Any = conn.connection.driver_connection
    if not getattr(driver, "autocommit", False):
        nested = conn.in_transaction()
        scope = conn.begin_nested() if nested else conn.begin()
        try:
            if not nested:
                conn.exec_driver_sql(_ONE_MOMENT)
            conn.execute(_SETTINGS)
            yield
        finally:
            scope.rollback()
        return
    idle = driver.info.transaction_status == TransactionStatus.IDLE
    conn.exec_driver_sql(_BEGIN if idle else _SAVEPOINT)
    try:
        conn.execute(_SETTINGS)
        yield
    finally:
        if not conn.invalidated:  # a signal in the middle of a scan has ended the session
            conn.exec_driver_sql(_END if idle else _BACK)


def _print(conn: Connection, table: RowTable, *, strict: bool, buckets: bool) -> TablePrint:
    rows = 0
    sums: dict[str, str] = {}
    columns = list(table.columns)
    with_buckets = buckets and bool(table.key)
    by_bucket: dict[int, tuple[Sums, ...]] = {}
    for start in range(0, len(columns) or 1, rows_sql.COLUMNS_AT_ONCE):
        some = columns[start : start + rows_sql.COLUMNS_AT_ONCE]
        if with_buckets:
            found = _sums(conn, table, some, BUCKETS, strict=strict)
            rows = sum(one[0].rows for one in found.values())
            totals = [sum(one[position].values for one in found.values()) for position in range(len(some))]
            by_bucket = {number: (*by_bucket.get(number, ()), *one) for number, one in found.items()}
        else:
            count, *texts = _rows(conn, rows_sql.totals(table, some, strict=strict))[0]
            rows, totals = int(count), [int(total) for total in texts]
        sums |= {name: bucketing.total(total) for name, total in zip(some, totals, strict=True)}
    bare = TablePrint(name=table.name, key=table.key, rows=rows, columns=tuple(sums.items()), strict=strict)
    return bucketing.folded(bare, by_bucket) if with_buckets else bare


def _sums(
    conn: Connection, table: RowTable, columns: Sequence[str], count: int, *, strict: bool
) -> dict[int, tuple[Sums, ...]]:
    found = {}
    for number, rows, *sums in _rows(conn, rows_sql.buckets(table, columns, count, strict=strict)):
        pairs = zip(sums[::2], sums[1::2], strict=True)
        found[int(number)] = tuple(
            [
                Sums(rows=int(rows), values=int(a) & bucketing.HASH_MASK, products=int(b) & bucketing.HASH_MASK)
                for a, b in pairs
            ]
        )
    return found


def _sequences(conn: Connection, found: Sequence[tuple[str, tuple[str, str]]]) -> Iterator[tuple[str, str]]:
    for start in range(0, len(found), rows_sql.SEQUENCES_AT_ONCE):
        some = found[start : start + rows_sql.SEQUENCES_AT_ONCE]
        yield from ((name, value) for name, value in _rows(conn, rows_sql.sequences(some)))


def _with_key(table: RowTable, key: tuple[str, ...]) -> RowTable:
    """Return the table with its rows known by that key, as the other side knows them."""
    return RowTable(
        name=table.name, relation=table.relation, partitioned=table.partitioned, columns=table.columns, key=key
    )


def _rows(conn: Connection, statement: str) -> Sequence[Any]:
    """Run a statement without parameters, so that a `%` in a name is one."""
    return conn.exec_driver_sql(statement, execution_options={"no_parameters": True}).all()


class _Scan:
    """One column of one table; satisfies `bucketing.Scan`."""

    def __init__(self, conn: Connection, table: RowTable, column: str, *, strict: bool) -> None:
        self._conn = conn
        self._table = table
        self._column = column
        self._strict = strict

    def sums(self, buckets: int) -> dict[int, Sums]:
        found = _sums(self._conn, self._table, (self._column,), buckets, strict=self._strict)
        return {number: sums[0] for number, sums in found.items()}

    def places(self, buckets: int, numbers: Collection[int], among: Collection[int] | None = None) -> Iterator[Place]:
        statement = rows_sql.places(self._table, self._column, buckets, numbers, among, strict=self._strict)
        for key_hash, value_hash, *key in _rows(self._conn, statement):
            yield Place(
                key_hash=key_hash & bucketing.HASH_MASK,
                value_hash=(value_hash or 0) & bucketing.HASH_MASK,
                key=bucketing.key_text(self._table.key, key),
            )

    def values(self, key_hashes: Iterable[int]) -> dict[str, str]:
        signed = [one - (1 << 64) if one >> 63 else one for one in key_hashes]
        if not signed:
            return {}
        rows = _rows(self._conn, rows_sql.values(self._table, self._column, signed))
        return {bucketing.key_text(self._table.key, key): value for *key, value in rows}

"""Reads what tables hold: prints of all rows, and the rows that differ.

Virtual tables are not looked at, and named in the print; the ordinary tables in which their modules keep what they know
are. A table's rowid is no key unless it is the primary key: VACUUM may change it
(https://www.sqlite.org/lang_vacuum.html). Rows are hashed in Python, a batch at a time: hashes.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

from sqlalchemy import Connection

from handrail.engines import bucketing
from handrail.engines.bucketing import BUCKETS, PLACE_MASK, PLACE_SHIFT, VALUE_MASK, Place, Sums
from handrail.engines.sqlite.catalog import SERVER_MAJOR
from handrail.engines.sqlite.hashes import PRIME, images, key_hashes, keyless_sum, weighted, weighted_sum
from handrail.engines.sqlite.session import driver_of
from handrail.model.rows import RowDifference, RowsPrint, TablePrint

# SHARED lock while they run; the schema is held in memory.
_BEGIN = "BEGIN"
_END = "ROLLBACK"
_TABLES = r"""
select t.name, t.sql like 'create virtual%', c.name, c.pk
from sqlite_schema as t left join pragma_table_xinfo(t.name) as c on t.sql not like 'create virtual%'
where t.type = 'table' and t.name not like 'sqlite\_%' escape '\' and t.name not like 'handrail\_%' escape '\'
order by t.name, c.name
"""
# The unique indexes of a table over columns that hold no NULL, the shortest first.
_UNIQUE = """
select i.name, c.name
from pragma_index_list(?) as i join pragma_index_info(i.name) as c
where i."unique" and not i.partial and not exists (
  select 1 from pragma_index_info(i.name) as x left join pragma_table_xinfo(?) as n on n.cid = x.cid
  where n."notnull" is not 1)
order by (select count(*) from pragma_index_info(i.name)), i.name, c.seqno
"""
_HAS_SEQUENCES = "select 1 from sqlite_schema where name = 'sqlite_sequence'"
_SEQUENCES = r"select name, seq from sqlite_sequence where name not like 'handrail\_%' escape '\' order by name"
# One scan; in the order of the key where rows are to be named.
_SELECT = "SELECT {columns} FROM {table}"
_ORDERED = "SELECT {columns} FROM {table} ORDER BY {key}"

#: Rows hashed at once: enough for speed, little memory.
_BATCH = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Table:
    """A table, its columns in the order of names, and those of its key."""

    name: str
    columns: tuple[str, ...]
    key: tuple[str, ...]


def fingerprint(
    conn: Connection, *, tables: Collection[str] | None = None, strict: bool = False, buckets: bool = False
) -> RowsPrint:
    """Return the print of those tables, of all and the AUTOINCREMENT counters where None; one scan of each.

    All at one moment: in the transaction `conn` is in, else in one of our own.
    """
    with _reading(conn) as driver:
        found, left_out = _tables(driver, tables)
        return RowsPrint(
            engine="sqlite",
            server_major=SERVER_MAJOR,
            tables=tuple([_print(conn, table, strict=strict, buckets=buckets) for table in found]),
            sequences=() if tables is not None else _sequences(driver),
            left_out=left_out,
            strict=strict,
        )


def locate(conn: Connection, expected: TablePrint, column: str) -> tuple[RowDifference, ...]:
    """Return the rows of `conn` in which that column is not what the print with buckets was made of.

    One scan of the table where nothing differs, three at most.
    """
    with _reading(conn) as driver:
        table = next(iter(_tables(driver, (expected.name,))[0]), None)
        problem = bucketing.unlocatable(expected, column, table.columns if table else None)
        if problem or table is None:
            return problem
        scan = _Scan(conn, replace(table, key=expected.key), column, strict=expected.strict)
        return tuple(bucketing.located(expected, column, scan))


def compare(
    original: Connection, copy: Connection, table: str, column: str, *, limit: int = 20, strict: bool = False
) -> tuple[RowDifference, ...]:
    """Return the rows in which that column differs between two databases, by key, with both values; at most `limit`.

    The rows are known by the original's key. One scan of each table where nothing differs, three at most.
    """
    with _reading(original) as one, _reading(copy) as other:
        before = next(iter(_tables(one, (table,))[0]), None)
        after = next(iter(_tables(other, (table,))[0]), None)
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
            _Scan(copy, replace(after, key=before.key), column, strict=strict),
        )
        return tuple(bucketing.compared(table, column, *scans, limit=limit))


@contextmanager
def _reading(conn: Connection) -> Iterator[sqlite3.Connection]:
    """Give the driver's connection, inside the transaction it is in, or one of our own that ends with the block."""
    driver = driver_of(conn)
    ours = not driver.in_transaction
    if ours:
        driver.execute(_BEGIN)
    try:
        yield driver
    finally:
        if ours:
            driver.execute(_END)


def _tables(
    driver: sqlite3.Connection, wanted: Collection[str] | None
) -> tuple[list[_Table], tuple[tuple[str, str], ...]]:
    """Return the tables, the wanted ones where they are named, and what is left out with the reason."""
    tables: list[_Table] = []
    left_out: list[tuple[str, str]] = []
    for (name, virtual), rows in groupby(driver.execute(_TABLES).fetchall(), key=itemgetter(0, 1)):
        if wanted is not None and name not in wanted:
            continue
        if virtual:
            left_out.append((name, "a virtual table: its module makes the rows"))
            continue
        columns = [(column, place) for _, _, column, place in rows]
        key = tuple(column for column, place in sorted(columns, key=itemgetter(1)) if place)
        tables.append(
            _Table(name=name, columns=tuple(column for column, _ in columns), key=key or _unique(driver, name))
        )
    return tables, tuple(left_out)


def _unique(driver: sqlite3.Connection, table: str) -> tuple[str, ...]:
    for _, columns in groupby(driver.execute(_UNIQUE, (table, table)).fetchall(), key=itemgetter(0)):
        return tuple(column for _, column in columns)
    return ()


def _sequences(driver: sqlite3.Connection) -> tuple[tuple[str, str], ...]:
    if not driver.execute(_HAS_SEQUENCES).fetchone():
        return ()
    return tuple((name, str(last)) for name, last in driver.execute(_SEQUENCES).fetchall())


def _print(conn: Connection, table: _Table, *, strict: bool, buckets: bool) -> TablePrint:
    by_bucket = {}
    if buckets and table.key:
        by_bucket = _sums(conn, table, table.columns, BUCKETS, strict=strict)
        rows = sum(one[0].rows for one in by_bucket.values())
        totals = [sum(one[position].values for one in by_bucket.values()) for position in range(len(table.columns))]
    else:
        rows, totals = _totals(conn, table, strict=strict)
    sums = tuple((name, bucketing.total(total % PRIME)) for name, total in zip(table.columns, totals, strict=True))
    bare = TablePrint(name=table.name, key=table.key, rows=rows, columns=sums, strict=strict)
    return bucketing.folded(bare, by_bucket) if buckets and table.key else bare


def _totals(conn: Connection, table: _Table, *, strict: bool) -> tuple[int, list[int]]:
    rows = 0
    totals = [0] * len(table.columns)
    for key, columns in _batches(conn, table, table.columns):
        rows += len(columns[0])
        hashes = key_hashes(key) if key else ()
        for position, column in enumerate(columns):
            values = images(column, strict=strict)
            totals[position] += weighted_sum(values, hashes) if key else keyless_sum(values)
    return rows, totals


def _sums(
    conn: Connection, table: _Table, columns: Sequence[str], count: int, *, strict: bool
) -> dict[int, tuple[Sums, ...]]:
    """Return rows and both sums of each column by bucket. Sums of hashes are whole: a total is taken modulo PRIME."""
    rows: defaultdict[int, int] = defaultdict(int)
    values = [defaultdict[int, int](int) for _ in columns]
    products = [defaultdict[int, int](int) for _ in columns]
    for key, batch in _batches(conn, table, columns):
        hashes = key_hashes(key)
        numbers = [one % count for one in hashes]
        places = [one >> PLACE_SHIFT & PLACE_MASK for one in hashes]
        for number in numbers:
            rows[number] += 1
        for position, column in enumerate(batch):
            sums, weights = values[position], products[position]
            hashed = weighted(images(column, strict=strict), hashes)
            for number, value, place in zip(numbers, hashed, places, strict=True):
                sums[number] += value
                weights[number] += (value & VALUE_MASK) * place
    return {
        number: tuple(
            [
                Sums(rows=rows[number], values=sums[number], products=weights[number] & bucketing.HASH_MASK)
                for sums, weights in zip(values, products, strict=True)
            ]
        )
        for number in rows
    }


def _batches(
    conn: Connection, table: _Table, columns: Sequence[str], *, ordered: bool = False
) -> Iterator[tuple[list[tuple[object, ...]], list[tuple[object, ...]]]]:
    """Yield the key's columns and the others, a batch of rows at a time; texts as bytearrays, valid UTF-8 or not."""
    quote = conn.dialect.identifier_preparer.quote_identifier
    names = ", ".join(quote(name) for name in (*table.key, *columns))
    key = ", ".join(quote(name) for name in table.key)
    template = _ORDERED if ordered else _SELECT
    driver = driver_of(conn)
    texts, driver.text_factory = driver.text_factory, bytearray
    try:
        cursor = driver.execute(template.format(columns=names, table=quote(table.name), key=key))
        while rows := cursor.fetchmany(_BATCH):
            turned = list(zip(*rows, strict=True))
            yield turned[: len(table.key)], turned[len(table.key) :]
    finally:
        driver.text_factory = texts


class _Scan:
    """One column of one table; satisfies `bucketing.Scan`."""

    def __init__(self, conn: Connection, table: _Table, column: str, *, strict: bool) -> None:
        self._conn = conn
        self._table = table
        self._column = column
        self._strict = strict

    def sums(self, buckets: int) -> Mapping[int, Sums]:
        found = _sums(self._conn, self._table, (self._column,), buckets, strict=self._strict)
        return {number: sums[0] for number, sums in found.items()}

    def places(self, buckets: int, numbers: Collection[int], among: Collection[int] | None = None) -> Iterator[Place]:
        wanted = frozenset(numbers)
        right = None if among is None else frozenset(among)
        for key, (column,) in _batches(self._conn, self._table, (self._column,), ordered=True):
            hashes = key_hashes(key)
            values = weighted(images(column, strict=self._strict), hashes)
            for key_hash, value_hash, parts in zip(hashes, values, zip(*key, strict=True), strict=True):
                if key_hash % buckets in wanted and (right is None or key_hash >> PLACE_SHIFT & PLACE_MASK in right):
                    yield Place(key_hash=key_hash, value_hash=value_hash, key=self._named(parts))

    def values(self, key_hashes_wanted: Collection[int]) -> Mapping[str, str]:
        wanted = frozenset(key_hashes_wanted)
        return {
            self._named(parts): _shown(value)
            for key, (column,) in (_batches(self._conn, self._table, (self._column,)) if wanted else ())
            for key_hash, value, parts in zip(key_hashes(key), column, zip(*key, strict=True), strict=True)
            if key_hash in wanted
        }

    def _named(self, parts: Sequence[object]) -> str:
        return bucketing.key_text(self._table.key, map(_shown, parts))


def _shown(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytearray):
        return value.decode(errors="replace")
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)

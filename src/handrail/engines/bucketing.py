"""Finds changed rows by the sums of buckets: the arithmetic, the same on every engine.

A row's key has a 64 bit hash k. Its lowest bits choose the row's bucket, the 31 bits above the lowest eight are g. A
value has a 64 bit hash h that depends on the key too; its lowest 32 bits are u. Of each bucket the sums of u and of
u * g are kept, so that one row whose u moved by d is found: the second sum moved by d * g.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Protocol

from handrail.model.rows import Bucket, RowDifference, TablePrint

#: How many buckets a print has at most, and how many rows fill one in a smaller table.
BUCKETS = 256
ROWS_PER_BUCKET = 4
#: How many buckets two databases are compared by.
COMPARED_BUCKETS = 1024
#: How many rows of each side are held in memory for it, unless one bucket has more.
COMPARED_ROWS = 200_000

VALUE_MASK = (1 << 32) - 1
PLACE_SHIFT = 8
PLACE_MASK = (1 << 31) - 1
HASH_MASK = (1 << 64) - 1

#: How many characters of a value are shown.
SHOWN = 60
_BUCKETS_NAMED = 5

_VALUE_DIGITS = 8
_PRODUCT_DIGITS = 16
_SIGN = 1 << 63


@dataclass(frozen=True, slots=True, kw_only=True)
class Sums:
    """One column in one bucket: its rows, the sum of h modulo 2**64, the sum of u * g modulo 2**64."""

    rows: int
    values: int
    products: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One row by the hashes of its key and of one value, each of 64 bits, and its key as `id=7`."""

    key_hash: int
    value_hash: int
    key: str


class Scan(Protocol):
    """Reads one column of one table; every call is one scan."""

    def sums(self, buckets: int) -> Mapping[int, Sums]:
        """Return the sums of that many buckets by number, without the empty ones."""

    def places(self, buckets: int, numbers: Collection[int], among: Collection[int] | None = None) -> Iterable[Place]:
        """Yield the rows that fall into those of so many buckets, in the order of their keys.

        Only those whose g is `among` the given ones, all of them where None.
        """

    def values(self, key_hashes: Collection[int]) -> Mapping[str, str]:
        """Return the values of the rows with those hashes as text, by key."""


def bucket_count(rows: int) -> int:
    """Return how many buckets a table of so many rows gets: a power of two."""
    wanted = min(BUCKETS, rows // ROWS_PER_BUCKET)
    return 1 << wanted.bit_length() - 1 if wanted else 1


def folded(table: TablePrint, sums: Mapping[int, tuple[Sums, ...]]) -> TablePrint:
    """Return the print with the buckets made of the sums of `BUCKETS` buckets, one for each column in its order."""
    count = bucket_count(table.rows)
    merged: dict[int, list[tuple[int, int, int]]] = {}
    for number, columns in sums.items():
        into = merged.setdefault(number % count, [(0, 0, 0)] * len(columns))
        for position, one in enumerate(columns):
            rows, values, products = into[position]
            into[position] = (rows + one.rows, values + one.values, products + one.products)
    buckets = tuple(
        Bucket(
            number=number, rows=columns[0][0], sums=tuple(_packed(values, products) for _, values, products in columns)
        )
        for number, columns in sorted(merged.items())
    )
    return TablePrint(
        name=table.name,
        key=table.key,
        rows=table.rows,
        columns=table.columns,
        strict=table.strict,
        bucket_count=count,
        buckets=buckets,
    )


def total(hashes: int) -> str:
    """Return a sum of hashes as a print keeps it."""
    return f"{hashes & HASH_MASK:016x}"


def unlocatable(expected: TablePrint, column: str, found: Collection[str] | None) -> tuple[RowDifference, ...]:
    """Return why no row can be named in a table that has those columns now, None where it is gone; () where it can."""
    if found is None:
        return (RowDifference(table=expected.name, note="the table is missing"),)
    if column not in dict(expected.columns) or column not in found:
        return (RowDifference(table=expected.name, column=column, note="the column is missing"),)
    if not expected.key:
        return (RowDifference(table=expected.name, column=column, note="no row can be named: the table has no key"),)
    if not expected.bucket_count:
        return (RowDifference(table=expected.name, column=column, note="no row can be named: made without buckets"),)
    return _without_key(expected.name, expected.key, found)


def incomparable(
    table: str,
    column: str,
    *,
    key: tuple[str, ...],
    original: Collection[str] | None,
    copy: Collection[str] | None,
) -> tuple[RowDifference, ...]:
    """Return why rows of two tables with those columns cannot be compared, None for one that is not there."""
    if original is None or copy is None:
        note = "the table is missing" + (" from the original" if original is None else "")
        return (RowDifference(table=table, note=note),)
    if column not in original or column not in copy:
        note = "the column is missing" + (" from the original" if column not in original else "")
        return (RowDifference(table=table, column=column, note=note),)
    if not key:
        return (RowDifference(table=table, column=column, note="no row can be named: the table has no key"),)
    return _without_key(table, key, copy)


def _without_key(table: str, key: tuple[str, ...], found: Collection[str]) -> tuple[RowDifference, ...]:
    gone = [name for name in key if name not in found]
    if not gone:
        return ()
    return (RowDifference(table=table, note=f"no row can be named: {', '.join(gone)} of the key is missing"),)


def located(expected: TablePrint, column: str, scan: Scan) -> Iterator[RowDifference]:
    """Yield what changed in that column since the print was made: rows by key, then in words what has no name."""
    position = [name for name, _ in expected.columns].index(column)
    before = {bucket.number: (bucket.rows, *_unpacked(bucket.sums[position])) for bucket in expected.buckets}
    after = {
        number: (sums.rows, sums.values & VALUE_MASK, sums.products)
        for number, sums in scan.sums(expected.bucket_count).items()
    }
    moved = {
        number: _Moved.between(before.get(number, (0, 0, 0)), after.get(number, (0, 0, 0)))
        for number in sorted(before.keys() | after.keys())
        if before.get(number) != after.get(number)
    }
    if not moved:
        yield RowDifference(table=expected.name, column=column, note="no bucket of rows differs")
        return
    suspects = {number: places for number, move in moved.items() if (places := move.places())}
    among = {g for places in suspects.values() for g in places}
    found: dict[int, list[Place]] = {}
    for place in scan.places(expected.bucket_count, suspects, among) if suspects else ():
        number = place.key_hash % expected.bucket_count
        if moved[number].explained_by(place):
            found.setdefault(number, []).append(place)
    sure = {number: places[0] for number, places in found.items() if len(places) == 1}
    values = scan.values([place.key_hash for place in sure.values()]) if sure else {}
    for number, place in sure.items():
        if moved[number].rows == 0:
            yield RowDifference(
                table=expected.name, column=column, key=place.key, found=shortened(values.get(place.key, ""))
            )
        else:
            yield RowDifference(table=expected.name, key=place.key, note="a row that was not there")
    yield from _nameless(expected, column, {number: move for number, move in moved.items() if number not in sure})


def _nameless(expected: TablePrint, column: str, moved: Mapping[int, _Moved]) -> Iterator[RowDifference]:
    """Say what the buckets tell of rows whose key is not known."""
    count = expected.bucket_count
    for number, move in moved.items():
        if move.rows < 0:
            rows = "1 row is" if move.rows == -1 else f"{-move.rows} rows are"
            yield RowDifference(table=expected.name, note=f"{rows} missing from bucket {number} of {count}")
        elif move.rows > 0:
            rows = "1 row" if move.rows == 1 else f"{move.rows} rows"
            yield RowDifference(table=expected.name, note=f"{rows} too many in bucket {number} of {count}")
    several = [str(number) for number, move in moved.items() if move.rows == 0]
    if several:
        shown = ", ".join(several[:_BUCKETS_NAMED]) + (", ..." if len(several) > _BUCKETS_NAMED else "")
        where = f"bucket {shown}" if len(several) == 1 else f"{len(several)} buckets ({shown})"
        each = expected.rows // count
        yield RowDifference(
            table=expected.name,
            column=column,
            note=f"more than one row changed in {where} of {count}, about {each} row{'' if each == 1 else 's'} each, "
            "or the key of one",
        )


def compared(table: str, column: str, original: Scan, copy: Scan, *, limit: int) -> Iterator[RowDifference]:
    """Yield rows that differ in that column between two databases, by key with both values; at most `limit`."""
    before, after = original.sums(COMPARED_BUCKETS), copy.sums(COMPARED_BUCKETS)
    differing = [n for n in sorted(before.keys() | after.keys()) if before.get(n) != after.get(n)]
    numbers: list[int] = []
    rows = 0
    for number in differing[:limit]:  # each holds a row that differs
        rows += max(side[number].rows for side in (before, after) if number in side)
        if numbers and rows > COMPARED_ROWS:
            break
        numbers.append(number)
    if not numbers:
        return
    ours = {place.key: place for place in original.places(COMPARED_BUCKETS, numbers)}
    theirs = {place.key: place for place in copy.places(COMPARED_BUCKETS, numbers)}
    keys = list(islice((key for key in {**ours, **theirs} if _hash(ours, key) != _hash(theirs, key)), limit))
    old = original.values([ours[key].key_hash for key in keys if key in ours])
    new = copy.values([theirs[key].key_hash for key in keys if key in theirs])
    for key in keys:
        if key not in theirs:
            yield RowDifference(table=table, key=key, note="the row is missing")
        elif key not in ours:
            yield RowDifference(table=table, key=key, note="a row that was not there")
        else:
            expected, found = _side_by_side(old.get(key, ""), new.get(key, ""))
            yield RowDifference(table=table, column=column, key=key, expected=expected, found=found)


def shortened(value: str, start: int = 0) -> str:
    """Return at most `SHOWN` characters of the value, from `start` on, with dots where something is left out."""
    end = start + SHOWN
    return ("..." if start else "") + value[start:end] + ("..." if end < len(value) else "")


def key_text(names: Iterable[str], values: Iterable[str]) -> str:
    """Return a key as a RowDifference names it."""
    return ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Moved:
    """By how much one bucket moved: rows, the sum of u modulo 2**32, the sum of u * g."""

    rows: int
    value: int
    product: int

    @classmethod
    def between(cls, before: tuple[int, int, int], after: tuple[int, int, int]) -> _Moved:
        product = after[2] - before[2] & HASH_MASK
        return cls(
            rows=after[0] - before[0],
            value=after[1] - before[1] & VALUE_MASK,
            product=product - (1 << 64) if product & _SIGN else product,
        )

    def places(self) -> dict[int, int]:
        """Return g of the one row that could have moved the bucket so, with its d; d is known up to 2**32."""
        if self.rows not in (0, 1) or not self.value:
            return {}
        found = {}
        for d in (self.value, self.value - (1 << 32)):
            place, rest = divmod(self.product, d)
            if not rest and 0 <= place <= PLACE_MASK:
                found[place] = d
        return found

    def explained_by(self, place: Place) -> bool:
        """Return whether that row alone can have moved the bucket: by its key's hash and by the value it has now."""
        d = self.places().get(place.key_hash >> PLACE_SHIFT & PLACE_MASK)
        if d is None:
            return False
        before = (place.value_hash & VALUE_MASK) - d
        return before == 0 if self.rows else 0 <= before <= VALUE_MASK


def _packed(values: int, products: int) -> str:
    return f"{values & VALUE_MASK:0{_VALUE_DIGITS}x}{products & HASH_MASK:0{_PRODUCT_DIGITS}x}"


def _unpacked(sums: str) -> tuple[int, int]:
    return int(sums[:_VALUE_DIGITS], 16), int(sums[_VALUE_DIGITS:], 16)


def _hash(places: Mapping[str, Place], key: str) -> int | None:
    place = places.get(key)
    return place.value_hash if place else None


def _side_by_side(old: str, new: str) -> tuple[str, str]:
    """Return both values around the first character in which they differ."""
    if max(len(old), len(new)) <= SHOWN:
        return old, new
    same = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    start = max(0, same - SHOWN // 3)
    return shortened(old, start), shortened(new, start)

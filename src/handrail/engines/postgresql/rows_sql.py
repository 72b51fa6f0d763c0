"""The statements that hash rows: an expression for each column by its type, and the queries around them.

Every expression gives the same 64 bits on every server of one major version, whatever the oids, the collations and the
settings of the session. A hash depends on the value and on a seed, which is the row's key: what moves to another row
changes the sum.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from psycopg.sql import SQL, Composable, Composed, Identifier, Literal

from handrail.engines.bucketing import PLACE_MASK, PLACE_SHIFT, VALUE_MASK
from handrail.engines.postgresql.rows_catalog import ColumnType, RowTable

_BASE = "b"
_NUMBERS = "N"
_STRINGS = "S"
_BLANK_PADDED = "bpchar"
_INTEGERS = frozenset({"int2", "int4", "int8"})

_COMMA = SQL(", ")
_NO_SEED = SQL("0::int8")
_SEED = SQL("s")
_HASH_INT8 = SQL("hashint8extended")
# The C collation hashes the bytes, also where the column's own collation calls different texts equal.
_TEXT = SQL('hashtextextended(({value})::text collate "C", {seed})')
# A cast to text loses a bpchar's blanks, and may lose anything where an extension defines it; output functions do not.
# A row of nulls IS NULL, and is not the same as none.
_OUTPUT = SQL(
    "hashtextextended(case when {value} is distinct from null then format('%s', {value}) end collate \"C\", {seed})"
)
_FUNCTION = SQL("{function}({value}, {seed})")
# Reaches, by way of an array, a hash function that takes another type or `internal`, as that of timestamptz below 18.
_ELEMENT = SQL("hash_array_extended(array[{value}], {seed})")
# hashint8extended folds its argument to 32 bits: 1 and 2**32 are alike without the seed.
_INT8 = SQL("{function}({value}, {seed} # ({value} >> 32))")
# The hash of zero is the seed, the key itself, whose sum tells little: so the seed is hashed for numbers.
_NUMBER = SQL("{function}({value}, hashint8extended({seed}, 1))")
# hash_numeric_extended leaves out the sign: src/backend/utils/adt/numeric.c.
_NUMERIC = SQL("{function}({value}, hashint8extended(case when {value} < 0 then ~{seed} else {seed} end, 1))")
_WEAK = {"int8": _INT8, "numeric": _NUMERIC}

# A volatile expression in its select list, removed once it is planned, keeps a subquery from being merged into the
# outer query, where its expressions would be evaluated once for each use. Unlike OFFSET 0 it allows parallel workers.
_FENCE = SQL("case when false then clock_timestamp() end as fence")

# Locks: ACCESS SHARE. Cost: each reads the table once.
_SEEDED = SQL("select {columns} from {relation}")
_HASHED = SQL("select {columns} from ({seeded}) as seeded")
_TOTALS = SQL("select {sums} from ({seeded}) as seeded")
_BUCKETS = SQL("select k & {mask}, {sums} from ({hashed}) as hashed group by 1")
_PLACES = SQL("select k, h0, {keys} from ({hashed}) as hashed where k & {mask} in ({numbers}){among} order by {order}")
_AMONG = SQL(" and (k >> {shift} & {place_mask}) in ({places})")
_VALUES = SQL("select {keys}, v from ({hashed}) as hashed where k in ({hashes})")
_COUNT = SQL("count(*)::text")
_SUM = SQL("coalesce(sum({}), 0)::text")
_PRODUCT = SQL("coalesce(sum(({value} & {value_mask}) * (k >> {shift} & {place_mask})), 0)::text")
_AS = SQL("{} as {}")
_SHOWN = SQL("format('%s', {})")
_SHOWN_VALUE = SQL(
    "case when {value} is distinct from null then left(format('%s', {value}), {characters}) else 'NULL' end"
)
_SEQUENCE = SQL(
    "select {name}, last_value::text || case when is_called then '' else ', not given out' end from {relation}"
)

#: A select list holds at most 1664 entries, and a bucket needs two for each column.
COLUMNS_AT_ONCE = 800
#: Sequences looked at in one statement.
SEQUENCES_AT_ONCE = 200
_SHOWN_CHARACTERS = 10_000


def hashed(value: Composable, seed: Composable, column: ColumnType, *, strict: bool) -> Composable:
    """Return the expression that hashes a value of that type.

    Types are hashed natively where what they call equal is identical, and numbers by their value unless `strict`.
    Everything else, enums (whose hash is that of an oid), arrays, ranges, rows, json, citext, is hashed by its text.
    """
    parts = {"value": value, "seed": seed}
    if column.builtin and column.category == _STRINGS and column.name != _BLANK_PADDED:
        return _TEXT.format(**parts)
    number = column.builtin and column.category == _NUMBERS
    native = column.kind == _BASE and column.category != _STRINGS and (column.exact or (number and not strict))
    if not native or column.function is None:
        return (_TEXT if column.builtin and column.name != _BLANK_PADDED else _OUTPUT).format(**parts)
    if not column.callable:
        return _ELEMENT.format(**parts)
    template = _FUNCTION if column.exact else _NUMBER
    if column.builtin:
        template = _WEAK.get(column.name, template)
    return template.format(function=Identifier(*column.function), **parts)


def totals(table: RowTable, columns: Sequence[str], *, strict: bool) -> str:
    """Return the statement that counts the rows and sums the hashes of those columns: one row of texts."""
    sums = [
        _SUM.format(hashed(_numbered("c", number), _SEED, table.columns[column], strict=strict))
        for number, column in enumerate(columns)
    ]
    return _written(_TOTALS.format(sums=_COMMA.join([_COUNT, *sums]), seeded=_seeded(table, columns)))


def buckets(table: RowTable, columns: Sequence[str], count: int, *, strict: bool) -> str:
    """Return the statement that gives, for each bucket, its number, its rows and two sums for each column, as texts."""
    sums: list[Composable] = [_COUNT]
    for number in range(len(columns)):
        value = _numbered("h", number)
        sums.append(_SUM.format(value))
        sums.append(
            _PRODUCT.format(
                value=value,
                value_mask=Literal(VALUE_MASK),
                shift=Literal(PLACE_SHIFT),
                place_mask=Literal(PLACE_MASK),
            )
        )
    return _written(
        _BUCKETS.format(mask=Literal(count - 1), sums=_COMMA.join(sums), hashed=_hashed(table, columns, strict=strict))
    )


def places(
    table: RowTable, column: str, count: int, numbers: Iterable[int], among: Iterable[int] | None, *, strict: bool
) -> str:
    """Return the statement that gives key hash, value hash and key of the rows in those of so many buckets.

    Only rows whose key has one of the hashes `among`, where they are given.
    """
    filtered = _AMONG.format(
        shift=Literal(PLACE_SHIFT),
        place_mask=Literal(PLACE_MASK),
        places=_COMMA.join([Literal(g) for g in among or ()]),
    )
    keys = [_numbered("c", number) for number in range(1, len(table.key) + 1)]
    return _written(
        _PLACES.format(
            keys=_COMMA.join([_SHOWN.format(key) for key in keys]),
            hashed=_hashed(table, (column,), strict=strict, beside=keys),
            mask=Literal(count - 1),
            numbers=_COMMA.join([Literal(number) for number in numbers]),
            among=SQL("") if among is None else filtered,
            order=_COMMA.join(keys),
        )
    )


def values(table: RowTable, column: str, key_hashes: Iterable[int]) -> str:
    """Return the statement that gives key and value, as texts, of the rows whose key has one of those hashes."""
    keys = [_numbered("c", number) for number in range(1, len(table.key) + 1)]
    value = _SHOWN_VALUE.format(value=_numbered("c", 0), characters=Literal(_SHOWN_CHARACTERS))
    return _written(
        _VALUES.format(
            keys=_COMMA.join([_SHOWN.format(key) for key in keys]),
            hashed=_hashed(table, (column,), strict=False, beside=[*keys, _AS.format(value, Identifier("v"))]),
            hashes=_COMMA.join([Literal(one) for one in key_hashes]),
        )
    )


def sequences(named: Iterable[tuple[str, tuple[str, str]]]) -> str:
    """Return the statement that gives each sequence's name and last value."""
    return _written(
        SQL(" union all ").join(
            [_SEQUENCE.format(name=Literal(name), relation=Identifier(*relation)) for name, relation in named]
        )
    )


def _hashed(table: RowTable, columns: Sequence[str], *, strict: bool, beside: Sequence[Composable] = ()) -> Composable:
    """Return the subquery that gives k, h0, h1 ... and what stands beside them, where the key is c1, c2 ..."""
    values = [
        _AS.format(hashed(_numbered("c", number), _SEED, table.columns[column], strict=strict), _numbered("h", number))
        for number, column in enumerate(columns)
    ]
    key_hash = _INT8.format(function=_HASH_INT8, value=_SEED, seed=_NO_SEED) if _own_seed(table) else _SEED
    wanted = (*columns, *table.key) if beside else columns
    return _HASHED.format(
        columns=_COMMA.join([_AS.format(key_hash, Identifier("k")), *values, *beside, _FENCE]),
        seeded=_seeded(table, wanted),
    )


def _seeded(table: RowTable, columns: Sequence[str]) -> Composable:
    """Return the subquery that gives the row's seed s and those columns as c0, c1 ..."""
    selected: list[Composable] = [
        _AS.format(Identifier(column), _numbered("c", number)) for number, column in enumerate(columns)
    ]
    seed: Composable = _NO_SEED
    if _own_seed(table):
        seed = SQL("{}::int8").format(Identifier(table.key[0]))
    elif table.key:
        for column in table.key:
            seed = hashed(Identifier(column), seed, table.columns[column], strict=False)
        selected.append(_FENCE)
    relation = Identifier(*table.relation)
    return _SEEDED.format(
        columns=_COMMA.join([_AS.format(seed, _SEED), *selected]),
        relation=relation if table.partitioned else SQL("only {}").format(relation),
    )


def _own_seed(table: RowTable) -> bool:
    """Return whether the key is one integer, which is a seed by itself and costs nothing."""
    types = [table.columns[column] for column in table.key]
    return len(types) == 1 and types[0].builtin and types[0].name in _INTEGERS


def _numbered(letter: str, number: int) -> Identifier:
    return Identifier(f"{letter}{number}")


def _written(statement: Composed) -> str:
    return statement.as_string(None)

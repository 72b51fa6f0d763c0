"""Finds values that a column's new type does not take, or would cut.

Which conversions fail and which round: https://www.postgresql.org/docs/current/datatype-numeric.html and
https://www.postgresql.org/docs/current/datatype-character.html. Texts are tried one by one with pg_input_is_valid,
which the server has since 16; before, and for other conversions, all of them are tried at once, which tells whether
one fails and not how many do.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, Connection, column, func, literal_column, select, table
from sqlalchemy.exc import DBAPIError

from handrail.engines.anti_join import Name, written
from handrail.engines.breach import Breach
from handrail.engines.postgresql.causes import sqlstate
from handrail.engines.postgresql.orphans import DATA_EXCEPTION
from handrail.engines.postgresql.sql.syntax import quote
from handrail.model.demand import Demand
from handrail.model.hazards.column_type import parsed
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation

_STRINGS = frozenset({"character varying", "character", "text", "citext"})
_MOMENTS = frozenset({"date", "timestamp without time zone", "timestamp with time zone"})
_LARGEST = {"smallint": 2**15 - 1, "integer": 2**31 - 1, "bigint": 2**63 - 1}
_NUMBERS = frozenset(_LARGEST) | {"numeric", "real", "double precision"}
_TRIES_EACH_SINCE = 16


def unfit(conn: Connection, wanted: Demand, name: Name) -> Violation | Unsupported | None:
    """Return the rows whose value does not fit, or is cut; one scan, or two. ACCESS SHARE.

    `count` is 1 and `at_least` True where only a try of all rows can tell.
    """
    broken = _changed(wanted) if wanted.using else _condition(conn, wanted)
    if broken is None or wanted.using:
        failing = _tried(conn, wanted, name)
        if failing is not None or not wanted.using:
            return failing
    if broken is None:
        return Unsupported(reason="every value converts, and whether USING keeps what it means cannot be told")
    return Breach(name=name, condition=literal_column(f"({broken})")).counted(conn, wanted)


def _changed(wanted: Demand) -> str | None:
    """Return what is true of a value that USING cuts, None where that cannot be told from what it makes of it."""
    value, using = quote(wanted.columns[0]), f"(({wanted.using})::{wanted.new_type})"
    old, new = parsed(wanted.old_type), parsed(wanted.new_type)
    if old.name in _STRINGS and new.name in _STRINGS:
        return f"length({using}::text) < length({value}::text)"
    if old.name in _NUMBERS and new.name in _NUMBERS:
        return f"{using}::numeric <> {value}::numeric"
    return None


def _condition(conn: Connection, wanted: Demand) -> str | None:
    """Return what is true of a value that does not fit, None where only trying tells."""
    value = quote(wanted.columns[0])
    old, new = parsed(wanted.old_type), parsed(wanted.new_type)
    if old.array or new.array or not wanted.old_type:
        return None
    if new.name in {"character varying", "character"} and new.sizes and old.name in _STRINGS:
        # spaces at the end that are too many are dropped without a word
        return f"rtrim(substr({value}::text, {new.sizes[0]} + 1), ' ') <> ''"
    if old.name in _NUMBERS and new.name in _LARGEST:
        most = _LARGEST[new.name]
        whole = f"round({value}::numeric)"
        return f"{whole} <> {value}::numeric or {whole} not between {-most - 1} and {most}"
    if old.name in _NUMBERS and new.name == "numeric" and new.sizes:
        precision, scale = (*new.sizes, 0)[:2]
        rounded = f"round({value}::numeric, {scale})"
        return f"{rounded} <> {value}::numeric or abs({rounded}) >= 1e{precision - scale}::numeric"
    if old.name in _MOMENTS and new.name in _MOMENTS:
        return f"({value}::{wanted.new_type})::{wanted.old_type} is distinct from {value}"
    if old.name in _STRINGS and _major(conn) >= _TRIES_EACH_SINCE:
        type_ = wanted.new_type.replace("'", "''")
        return f"{value} is not null and not pg_input_is_valid({value}::text, '{type_}')"
    return None


def _major(conn: Connection) -> int:
    return int((conn.dialect.server_version_info or (0,))[0])


def _tried(conn: Connection, wanted: Demand, name: Name) -> Violation | None:
    """Convert every value, and say whether one fails; its own text, which the server's message holds, is not told."""
    source = f"({wanted.using})" if wanted.using else quote(wanted.columns[0])
    converted: ColumnElement[object] = literal_column(f"({source}::{wanted.new_type})")
    rows = table(name.table, column(wanted.columns[0]), schema=name.schema)
    query = select(func.count(converted)).select_from(rows)
    try:
        conn.execute(query)
    except DBAPIError as exc:
        if exc.orig is None or not sqlstate(exc.orig).startswith(DATA_EXCEPTION):
            raise
        return Violation(
            kind=wanted.kind,
            table=wanted.table,
            columns=wanted.columns,
            count=1,
            keys=(),
            query=written(conn, query),
            at_least=True,
        )
    return None

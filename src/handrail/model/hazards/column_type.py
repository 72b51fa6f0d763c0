"""What a change of a column's type does to its values, by the types' names alone.

Types are as `ColumnSpec.type` has them, in PostgreSQL's or MySQL's words. Sources:
https://www.postgresql.org/docs/current/datatype.html and, for casts, the catalogue pg_cast of PostgreSQL 14 to 18.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

_TYPE = re.compile(r"([^(\[]+)(?:\(([\d\s,]+)\))?([a-z ]*)((?:\[\])*)")
_LISTED = re.compile(r"(?:enum|set)\((.*)\)", re.IGNORECASE | re.DOTALL)
_VALUE = re.compile(r"'(?:[^']|'')*'")
_WORDS = {
    "int": "integer",
    "varchar": "character varying",
    "char": "character",
    "bool": "boolean",
    "decimal": "numeric",
    "float": "double precision",
    "datetime": "timestamp without time zone",
    "timestamp": "timestamp without time zone",
    "double": "double precision",
    "tinytext": "text",
    "mediumtext": "text",
    "longtext": "text",
}
_BYTES = {"tinyint": 1, "smallint": 2, "mediumint": 3, "integer": 4, "bigint": 8}
#: Decimal digits that the largest value of each has, and those that every value of a floating type keeps.
_DIGITS = {"tinyint": 3, "smallint": 5, "mediumint": 7, "integer": 10, "bigint": 19, "real": 6, "double precision": 15}
_FLOATS = frozenset({"real", "double precision"})
_STRINGS = frozenset({"character varying", "character", "text", "citext"})
_JSON = frozenset({"json", "jsonb"})
_MOMENTS = frozenset({"timestamp without time zone", "timestamp with time zone"})
_DATES = _MOMENTS | {"date"}
_TIMES = frozenset({"time without time zone", "time with time zone"})
_NUMBERS = frozenset({*_BYTES, "numeric", "real", "double precision"})
_NETWORK = frozenset({"inet", "cidr"})
_BITS = frozenset({"bit", "bit varying"})
_KNOWN = (
    _STRINGS
    | _NUMBERS
    | _JSON
    | _DATES
    | _TIMES
    | _NETWORK
    | _BITS
    | {"boolean", "bytea", "uuid", "interval", "money", "macaddr", "xml", "tsvector"}
)
#: Casts between kinds that an assignment takes by itself.
_ASSIGNED = frozenset(
    {(a, b) for a in _MOMENTS for b in _TIMES}
    | {("interval", "time without time zone"), ("time without time zone", "interval"), ("numeric", "money")}
    | {("money", "numeric"), ("integer", "money"), ("bigint", "money")}
)


class Fit(Enum):
    """What becomes of values: all FIT, those that do not fit FAIL, or they are CUT without a word."""

    FIT = "fit"
    FAIL = "fail"
    CUT = "cut"


@dataclass(frozen=True, slots=True)
class ColumnType:
    """A type taken apart: its name without size, its sizes, and whether it is an array."""

    name: str
    sizes: tuple[int, ...] = ()
    array: bool = False

    @property
    def family(self) -> str:
        """Types of one family look the same to an application; '' for none but its own name."""
        families = {"string": _STRINGS, "integer": frozenset(_BYTES), "float": _FLOATS, "json": _JSON}
        name = next((family for family, names in families.items() if self.name in names), self.name)
        return name + "[]" * self.array


def parsed(text: str) -> ColumnType:
    """Return the type of that text, in one spelling."""
    found = _TYPE.fullmatch(text.strip().lower())
    if found is None:
        return ColumnType(text.strip().lower())
    name = " ".join(filter(None, (found[1].strip(), found[3].strip()))).removesuffix(" unsigned")
    sizes = tuple(int(size) for size in found[2].split(",")) if found[2] else ()
    name = _WORDS.get(name, name)
    return ColumnType(name, (1,) if name == "character" and not sizes else sizes, bool(found[4]))


def listed(text: str) -> frozenset[str]:
    """Return the values of MySQL's ENUM and SET, none for any other type."""
    found = _LISTED.fullmatch(text.strip())
    return frozenset(_VALUE.findall(found[1])) if found else frozenset()


def fit(old: str, new: str) -> Fit:
    """Return what becomes of the values of the old type in the new one, FIT where the two are of different kinds."""
    values, kept = listed(old), listed(new)
    if values and kept:
        return Fit.FIT if values <= kept else Fit.FAIL
    before, after = parsed(old), parsed(new)
    if before.array is not after.array:
        return Fit.FIT
    if before.name in _STRINGS and after.name in _STRINGS:
        return Fit.FAIL if after.sizes and (not before.sizes or after.sizes[0] < before.sizes[0]) else Fit.FIT
    if before.name in _NUMBERS and after.name in _NUMBERS:
        return _numbers(before, after)
    if before.name in _MOMENTS and after.name in _MOMENTS:
        return Fit.CUT if after.sizes and after.sizes < (before.sizes or (6,)) else Fit.FIT
    if before.name in _MOMENTS and (after.name == "date" or after.name in _TIMES):
        return Fit.CUT
    if before.name in _BITS and after.name in _BITS and after.sizes:
        return Fit.FAIL if after.sizes < (before.sizes or (1 << 31,)) else Fit.FIT
    return Fit.FIT


def _numbers(before: ColumnType, after: ColumnType) -> Fit:
    if after.name in _BYTES:
        if before.name not in _BYTES:
            return Fit.CUT
        return Fit.FAIL if _BYTES[after.name] < _BYTES[before.name] else Fit.FIT
    if after.name in _FLOATS:
        exact = before.name in _BYTES and _DIGITS[before.name] <= _DIGITS[after.name]
        wider = before.name == after.name or (before.name, after.name) == ("real", "double precision")
        short = before.name == "numeric" and bool(before.sizes) and before.sizes[0] <= _DIGITS[after.name]
        return Fit.FIT if exact or wider or short else Fit.CUT
    if not after.sizes:
        return Fit.FIT
    precision, scale = (*after.sizes, 0)[:2]
    if before.name in _BYTES:
        return Fit.FIT if precision - scale >= _DIGITS[before.name] else Fit.FAIL
    if before.name in _FLOATS or not before.sizes:
        return Fit.CUT
    old_precision, old_scale = (*before.sizes, 0)[:2]
    if scale < old_scale:
        return Fit.CUT
    return Fit.FIT if precision - scale >= old_precision - old_scale else Fit.FAIL


def bounds(text: str) -> str:
    """Return the least and the largest number of a type as BETWEEN takes them, '' where it is no exact one."""
    kind = parsed(text)
    if kind.name in _BYTES:
        most = 1 << (8 * _BYTES[kind.name] - 1)
        return f"{-most} AND {most - 1}"
    if kind.name != "numeric" or not kind.sizes:
        return ""
    precision, scale = (*kind.sizes, 0)[:2]
    nines = "9" * (precision - scale) or "0"
    largest = nines + ("." + "9" * scale if scale else "")
    return f"-{largest} AND {largest}"


def alike(old: str, new: str) -> bool:
    """Return whether an application sees values of the same kind in both: texts, whole numbers, and so on."""
    if listed(old) and listed(new):
        return fit(old, new) is Fit.FIT
    return parsed(old).family == parsed(new).family


def casts(old: str, new: str, enums: frozenset[str]) -> bool | None:
    """Return whether ALTER COLUMN TYPE finds a cast without USING, None where a type is not known.

    Only implicit and assignment casts count: https://www.postgresql.org/docs/current/sql-createcast.html.
    """
    before, after = parsed(old), parsed(new)
    known = _KNOWN | enums
    if before.name not in known or after.name not in known:
        return None
    if (not after.array and after.name in _STRINGS) or before == after:
        return True
    if before.array is not after.array:
        return False
    groups = (_STRINGS, _NUMBERS, _JSON, _DATES, _TIMES, _NETWORK, _BITS)
    same = before.name == after.name or any(before.name in g and after.name in g for g in groups)
    return same or (before.name, after.name) in _ASSIGNED

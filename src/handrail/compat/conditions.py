"""CHECKs that can be understood: one column that is compared with constants."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

from handrail.model.replayed_table import ReplayedTable
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec

_CAST = re.compile(
    r"::\s*(?:\"[^\"]+\"|[a-z_][\w.]*(?:\s+(?:varying|precision|with(?:out)? time zone))?)"
    r"(?:\s*\(\d+(?:,\s*\d+)?\))?(?:\[\])?",
    re.IGNORECASE,
)
_TOKEN = re.compile(
    r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+(?:\.\d+)?)|(?P<name>\"[^\"]+\"|[a-z_][\w$]*)"
    r"|(?P<mark><=|>=|<>|!=|[=<>(),\[\]]))\s*",
    re.IGNORECASE,
)
_WORD = re.compile(r"\w+")
#: A default that is a constant: a text or a number, and what it is cast to.
_LITERAL = re.compile(r"\(*(?:'((?:[^']|'')*)'|(-?\d+(?:\.\d+)?))\)*(?:::[\w .\"]+(?:\(\d+(?:,\d+)?\))?)?\)*$")
#: What gives a column its value, so that a CHECK has no choice.
_BINDING = frozenset({ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY, ConstraintKind.FOREIGN_KEY})
_ORDERING = frozenset({"<", ">", "<=", ">="})
#: The words of a list of values, and of a range.
_LISTING = frozenset({"check", "or", "in", "any", "array"})
_RANGING = frozenset({"check", "and", "between"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """What a CHECK asks of one column: to be one of the `values`, as texts, or None where it is a range of numbers."""

    column: str
    values: frozenset[str] | None


def condition(definition: str, columns: Collection[str]) -> Condition | None:
    """Return what a CHECK of a table with those columns asks; None for what is more than constants and one column.

    For each there is a value that passes, which its text names or which is next to a number in it.
    """
    text = _CAST.sub("", definition.removesuffix(" NOT VALID").removesuffix(" NO INHERIT"))
    named, words, marks, texts, numbers = set(), set(), set(), [], []
    place = 0
    while place < len(text):
        token = _TOKEN.match(text, place)
        if token is None:
            return None
        place = token.end()
        kind, found = token.lastgroup, token[token.lastgroup or 0]
        if kind == "text":
            texts.append(found[1:-1].replace("''", "'"))
        elif kind == "number":
            numbers.append(found)
        elif kind == "mark":
            marks.add(found)
        elif (bare := found.strip('"')) in columns:
            named.add(bare)
        else:
            words.add(found.lower())
    if len(named) != 1:
        return None
    column = named.pop()
    if words <= _LISTING and not marks & {*_ORDERING, "<>", "!="} and (texts or numbers):
        return Condition(column=column, values=frozenset((*texts, *numbers)))
    if words <= _RANGING and numbers and not texts and "=" not in marks and marks & _ORDERING | words & {"between"}:
        return Condition(column=column, values=None)
    return None


def satisfiable(table: ReplayedTable) -> bool:
    """Return whether a row passes all CHECKs of a table for certain: of each there is one for a column, and no key."""
    names = names_of(table)
    keys = [each.columns for each in (*table.foreign_keys, *table.constraints) if each.kind in _BINDING]
    bound = {name for columns in keys for name in columns}
    for each in table.constraints:
        if each.kind is ConstraintKind.EXCLUDE:
            return False
        if each.kind is ConstraintKind.CHECK:
            asked = condition(str(each.expression), names)
            column = table.column(asked.column) if asked else None
            if asked is None or column is None or asked.column in bound:
                return False
            if column.default is not None and not passes_by_default(column, asked):
                return False
            bound.add(asked.column)
    return True


def names_of(table: ReplayedTable) -> frozenset[str]:
    """Return the names of its columns."""
    return frozenset(column.name for column in table.columns)


def mentioned(check: str, names: frozenset[str]) -> frozenset[str]:
    """Return those of the names that stand in a CHECK."""
    words = frozenset(_WORD.findall(check))
    return frozenset(name for name in names if name in words or (not _WORD.fullmatch(name) and name in check))


def passes_by_default(column: ColumnSpec | None, asked: Condition) -> bool:
    """Return whether a row that says nothing of the column passes: NULL does, and so does a constant of the list."""
    if column is None or column.default is UNKNOWN or asked.values is None:
        return False
    if column.default is None:
        return column.nullable is True
    literal = _LITERAL.match(str(column.default))
    return literal is not None and (literal[1] or literal[2]).replace("''", "'") in asked.values

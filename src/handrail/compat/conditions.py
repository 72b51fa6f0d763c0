"""CHECKs that can be understood: one column that is compared with constants."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

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

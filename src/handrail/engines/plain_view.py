"""The columns that a view hands on from its one table as they are, for the servers whose views are read as words."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

_NAME = r"[^\s(),;.]+"
_COLUMNS = r"(?:\( (?P<aliases>[^()]+) \) )?AS SELECT (?P<columns>[^()]+?)"
_TABLE = rf"{_NAME}(?: \. {_NAME})?(?:(?: AS)? {_NAME})?"
_END = r"(?: WITH(?: CASCADED| LOCAL)? CHECK OPTION)?(?: ;)?"
_QUERY = re.compile(f"{_COLUMNS} FROM {_TABLE}{_END}", re.IGNORECASE)
_COLUMN = re.compile(rf"(?:{_NAME} \. )*(?P<read>{_NAME})(?: AS (?P<shown>{_NAME}))?", re.IGNORECASE)


def handed_on(words: Sequence[str], name: Callable[[str], str]) -> tuple[tuple[str, str], ...]:
    """Return them as (shown, read), see CreateObject, from the words after the view's name; `name` takes quotes off."""
    query = _QUERY.fullmatch(" ".join(words))
    columns = [_COLUMN.fullmatch(part.strip()) for part in query["columns"].split(",")] if query else []
    if query is None or not all(columns):
        return ()
    pairs = [(name(c["shown"] or c["read"]), name(c["read"])) for c in columns if c]
    aliases = [name(part.strip()) for part in (query["aliases"] or "").split(",") if part.strip()]
    if not aliases:
        return tuple(pairs)
    return () if ("*", "*") in pairs else tuple((alias, read) for alias, (_, read) in zip(aliases, pairs, strict=False))

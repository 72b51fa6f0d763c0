"""Whether PostgreSQL writes a table anew when the type of a column changes.

Source: https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES, and
ATColumnChangeRequiresRewrite in src/backend/commands/tablecmds.c: what needs no conversion of the bytes stays.
"""

from __future__ import annotations

import re

_SIZED = re.compile(r"(?P<base>[^(]+?)\s*(?:\((?P<sizes>[\d,\s]+)\))?(?P<zone> with(?:out)? time zone)?")
#: Casts that only put another name on the same bytes, beside those between types of one family.
_SAME_BYTES = frozenset(
    {
        ("character varying", "text"),
        ("text", "character varying"),
        ("cidr", "inet"),
        ("xml", "text"),
        ("citext", "text"),
        ("text", "citext"),
        ("citext", "character varying"),
        ("character varying", "citext"),
        ("integer", "oid"),
        ("oid", "integer"),
    }
)  # fmt: skip - a list of pairs
_SHORT = {"varchar": "character varying", "varbit": "bit varying", "decimal": "numeric"}
_BY_LENGTH = frozenset({"character varying", "bit varying", "timestamp", "time", "interval"})


def rewrites(old: str, new: str) -> bool:
    """Return whether a change from one type to the other, in the server's words, writes every row anew."""
    before, after = _parts(old), _parts(new)
    if before == after:
        return False
    (base, sizes, zone), (base_after, sizes_after, zone_after) = before, after
    if base != base_after or zone != zone_after:
        return (base, base_after) not in _SAME_BYTES or bool(sizes_after)
    if base == "numeric":
        scale, scale_after = (*sizes, 0, 0)[1], (*sizes_after, 0, 0)[1]
        return bool(sizes_after) and not (sizes and sizes[0] <= sizes_after[0] and scale == scale_after)
    if base in _BY_LENGTH:
        return bool(sizes_after) and not (sizes and sizes[0] <= sizes_after[0])
    return True


def _parts(type_: str) -> tuple[str, tuple[int, ...], str]:
    found = _SIZED.fullmatch(type_.strip().lower())
    if found is None:
        return type_, (), ""
    sizes = tuple(int(size) for size in (found["sizes"] or "").split(",") if size.strip())
    return _SHORT.get(found["base"], found["base"]), sizes, (found["zone"] or "").strip()

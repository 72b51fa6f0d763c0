"""What there is in a replayed schema, thing by thing, so that two moments can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

from handrail.model.replayed import Replayed
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec, ConstraintSpec, IndexSpec, Unknown

_CAST = re.compile(r"::[\w .]+(?:\(\d+(?:, *\d+)*\))?(?:\[\])?")
_NOW = re.compile(r"^(?:now\(\)|current_timestamp(?:\(\))?|transaction_timestamp\(\))$")

#: What an index is where no method is named.
_USUAL = "btree"

K = TypeVar("K")
Spec = ReplayedTable | ColumnSpec | ConstraintSpec | IndexSpec | tuple[str, ...] | object


@dataclass(frozen=True, slots=True, order=True)
class Thing:
    """One table, column, constraint, index, enum or other object by its kind and name; `table` is its owner's.

    `named` is False for a constraint whose name the server makes up; then `name` says what it is.
    """

    kind: str
    table: str
    name: str
    named: bool = True

    def __str__(self) -> str:
        where = f" of {self.table}" if self.table and self.kind not in {"table", "column"} else ""
        return f"{self.kind} {self.table}.{self.name}" if self.kind == "column" else f"{self.kind} {self.name}{where}"


def inventories(*states: Replayed) -> tuple[Mapping[Thing, Spec], ...]:
    """Return all that is known to be there at each of these moments, but for what is the same at all of them.

    Tables of which only parts are known are not told as tables; temporary ones, which go with their session, never.
    """
    tables = [t for t in _differing([s.tables for s in states]) if not any(_temporary(s, t) for s in states)]
    enums = _differing([state.enums for state in states])
    objects = _differing([state.objects for state in states])
    return tuple(dict(_things(state, tables, enums, objects)) for state in states)


@lru_cache(maxsize=1)  # several rules ask, one after the other
def there_and_back(revision: ReviewedRevision) -> tuple[Mapping[Thing, Spec], ...]:
    """Return what is there before upgrade, between both and after downgrade, () where one of them is not at hand."""
    up, down = revision.upgrade, revision.downgrade
    return inventories(up.before, up.after, down.after) if up is not None and down is not None else ()


def _temporary(state: Replayed, table: str) -> bool:
    known = state.tables.get(table)
    return known is not None and known.temporary


def _differing(several: Sequence[Mapping[K, object]]) -> list[K]:
    """Return the keys under which not all have the very same value."""
    first = several[0]
    others = [other for other in several[1:] if other is not first]  # a step changes little of a schema
    found: dict[K, None] = {}
    for other in others:
        found.update((key, None) for key, value in first.items() if other.get(key) is not value)
        found.update((key, None) for key in other if key not in first)
    return list(found)


def _things(
    state: Replayed, tables: list[str], enums: list[str], objects: list[tuple[str, str]]
) -> Iterator[tuple[Thing, Spec]]:
    for name in tables:
        if name in state.tables:
            yield from _of_table(name, state.tables[name])
    for name in enums:
        if name in state.enums:
            yield Thing("enum", "", name), state.enums[name]
    for kind, name in objects:
        made = state.objects.get((kind, name))
        if made is not None and not (kind == "type" and name in state.enums):
            yield Thing(kind, "" if kind == "sequence" else made.table, name), made


def _of_table(name: str, table: ReplayedTable) -> Iterator[tuple[Thing, Spec]]:
    if table.complete or table.created_in:
        yield Thing("table", name, name), table
    for column in table.columns:
        yield Thing("column", name, column.name), column
    for constraint in table.constraints:
        if constraint.name:
            yield Thing("constraint", name, constraint.name), constraint
        else:
            told = f"{constraint.kind.value} ({', '.join(constraint.columns) or constraint.expression})"
            yield Thing("constraint", name, told, named=False), constraint
    for index in table.indexes:
        yield Thing("index", name, index.name or f"({', '.join(index.columns)})", bool(index.name)), index


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute in which two specifications of a thing differ, in words: what it was and what it is."""

    name: str
    was: str
    now: str


def differences(was: Spec, now: Spec) -> Iterator[Attribute]:
    """Yield what is known to differ between two specifications of one thing."""
    match was, now:
        case ColumnSpec(), ColumnSpec():
            yield from _of_columns(was, now)
        case ConstraintSpec(), ConstraintSpec():
            yield from _of_constraints(was, now)
        case IndexSpec(), IndexSpec():
            if was.columns != now.columns:
                yield Attribute("columns", ", ".join(was.columns), ", ".join(now.columns))
            if was.unique != now.unique:
                yield Attribute(
                    "uniqueness", *("unique" if unique else "not unique" for unique in (was.unique, now.unique))
                )
            if _plain(was.where) != _plain(now.where):
                yield Attribute("condition", was.where or "none", now.where or "none")
            if (was.method or _USUAL) != (now.method or _USUAL):
                yield Attribute("method", was.method or _USUAL, now.method or _USUAL)


def _of_columns(was: ColumnSpec, now: ColumnSpec) -> Iterator[Attribute]:
    if was.type is not UNKNOWN and now.type is not UNKNOWN and _type(was.type) != _type(now.type):
        yield Attribute("type", was.type, now.type)
    if was.nullable is not UNKNOWN and now.nullable is not UNKNOWN and was.nullable is not now.nullable:
        yield Attribute(
            "nullability", *("nullable" if free is True else "NOT NULL" for free in (was.nullable, now.nullable))
        )
    if was.default is not UNKNOWN and now.default is not UNKNOWN and _default(was.default) != _default(now.default):
        yield Attribute("default", was.default or "none", now.default or "none")


def _of_constraints(was: ConstraintSpec, now: ConstraintSpec) -> Iterator[Attribute]:
    if was.kind is not now.kind:
        yield Attribute("kind", was.kind.value, now.kind.value)
        return
    if was.kind is ConstraintKind.CHECK:
        if _plain(was.expression) != _plain(now.expression):
            yield Attribute("condition", was.expression, now.expression)
        return
    if was.columns and now.columns and was.columns != now.columns:
        yield Attribute("columns", ", ".join(was.columns), ", ".join(now.columns))
    if was.kind is ConstraintKind.FOREIGN_KEY:
        if was.referenced_table.rpartition(".")[2] != now.referenced_table.rpartition(".")[2]:
            yield Attribute("target", was.referenced_table, now.referenced_table)
        if was.on_delete != now.on_delete:
            yield Attribute("ON DELETE", was.on_delete or "NO ACTION", now.on_delete or "NO ACTION")
    if was.deferrable != now.deferrable:
        yield Attribute("deferral", was.deferrable or "NOT DEFERRABLE", now.deferrable or "NOT DEFERRABLE")


def _type(text: str) -> str:
    return re.sub(r"\s+", "", text.lower()).removeprefix("public.").replace("charactervarying", "varchar")


def _default(text: str | Unknown | None) -> str:
    if text is None or text is UNKNOWN:
        return ""
    bare = (
        re.sub(r"[()'\"\s]", "", _CAST.sub("", text.lower()))
        if "(" not in text
        else _CAST.sub("", text.lower()).strip()
    )
    bare = bare.strip("'\"")
    if _NOW.match(bare):
        return "now()"
    return {"1": "true", "0": "false", "null": ""}.get(bare, bare)


def _plain(text: str) -> str:
    return re.sub(r"[\s()\"`]", "", _CAST.sub("", text)).lower()

"""What the server refuses to drop or to retype, because something else is built on it."""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.replayed import Replayed, bare
from handrail.model.reviewed import ReviewedStatement
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN

_KEYS = frozenset({ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE})


def in_use(statement: ReviewedStatement, action: Action, engine: str) -> str:
    """Return `drops table teams while users refers to it` and the like, '' where nothing known is built on it."""
    before = statement.before
    match action:
        case act.DropTable(table=table, cascade=False) if engine != "sqlite" and before.table(table) is not None:
            others = sorted({t.name for t, _ in before.referring(table)} - {bare(table)} - _dropped_with(statement))
            if others:
                return f"drops table {bare(table)} while {', '.join(others)} refers to it"
            views = sorted(view.name for view in before.views_on(table)) if engine == "postgresql" else []
            return f"drops table {bare(table)} while {', '.join(views)} reads it" if views else ""
        case act.DropColumn(table=table, column=column, cascade=False) if engine == "postgresql":
            views = sorted(_reading(before, table, column))
            return f"drops column {bare(table)}.{column} while {', '.join(views)} reads it" if views else ""
        case act.AlterType(table=table, column=column) if engine == "postgresql":
            views = sorted(_reading(before, table, column))
            return f"changes the type of {bare(table)}.{column} while {', '.join(views)} reads it" if views else ""
        case act.DropConstraint(table=table, name=name, cascade=False) if engine == "postgresql":
            others = sorted(_relying(before, table, name))
            return f"drops the key {name} of {bare(table)} while {', '.join(others)} refers to it" if others else ""
        case act.DropObject(cascade=False):
            return _object_in_use(before, action, engine)
    return ""


def _object_in_use(before: Replayed, dropped: act.DropObject, engine: str) -> str:
    name = dropped.name
    match dropped.kind:
        case "type" if bare(name) in before.enums:
            users = [
                f"{t.name}.{c.name}"
                for t in before.tables.values()
                for c in t.columns
                if c.type is not UNKNOWN and bare(c.type) == bare(name)
            ]
            return f"drops type {bare(name)} while {', '.join(users)} uses it" if users else ""
        case "schema" if engine == "postgresql":
            inside = sorted(table for table in before.tables if table.startswith(f"{name}."))
            return f"drops schema {name} while {', '.join(inside)} stands in it" if inside else ""
        case "function" if engine == "postgresql":
            made = (o for o in before.objects.values() if o.kind == "trigger" and bare(o.definition) == bare(name))
            triggers = [f"trigger {trigger.name} of {bare(trigger.table)}" for trigger in made]
            return f"drops function {bare(name)} while {', '.join(triggers)} calls it" if triggers else ""
    return ""


def views_in_the_way(before: Replayed, action: Action) -> tuple[str, ...]:
    """Return the views that read what the action drops or retypes."""
    match action:
        case act.DropColumn(table=table, column=column) | act.AlterType(table=table, column=column):
            return tuple(sorted(_reading(before, table, column)))
        case act.DropTable(table=table):
            return tuple(sorted(view.name for view in before.views_on(table)))
        case _:
            return ()


def _reading(before: Replayed, table: str, column: str) -> Iterator[str]:
    """Yield the views whose query names that column, where no other table it reads may have one of that name."""
    word = re.compile(rf"(?<!\w){re.escape(column)}(?!\w)")
    for view in before.views_on(table):
        others = [before.table(name) for name in view.reads if bare(name) != bare(table)]
        if any(t is None or not t.complete or t.column(column) for t in others):
            continue
        if word.search(view.definition) or ("*" in view.definition.split() and not others):
            yield view.name


def _relying(before: Replayed, table: str, name: str) -> Iterator[str]:
    """Yield the tables with a foreign key that points at the columns of that key."""
    known = before.table(table)
    key = known.constraint(name) if known else None
    if known is None or key is None or key.kind not in _KEYS:
        return
    keys = [c for c in known.constraints if c.kind in _KEYS and c is not key and set(c.columns) == set(key.columns)]
    for other, foreign in before.referring(table):
        target = foreign.referenced_columns or known.primary_key
        if set(target) == set(key.columns) and not keys:
            yield other.name


def _dropped_with(statement: ReviewedStatement) -> set[str]:
    """Return the tables that the same statement drops."""
    return {bare(a.table) for a in statement.actions if isinstance(a, act.DropTable)}

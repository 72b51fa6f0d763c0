"""Which actions work through a whole table while they hold their lock, on PostgreSQL."""

from __future__ import annotations

import re

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.hazards.table_rewrite import rewrites
from handrail.model.replayed import Replayed
from handrail.model.reviewed import ReviewedStatement
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN

_LONG_OTHERS = frozenset(
    {
        "ATTACH PARTITION",
        "CLUSTER",
        "REFRESH MATERIALIZED VIEW",
        "SET ACCESS METHOD",
        "SET LOGGED",
        "SET TABLE SPACE",
        "SET UN LOGGED",
    }
)  # fmt: skip - a list of words

#: What SQLAlchemy's types are called without a dialect, and what the server calls them.
_STATED = {
    "bigint": "bigint",
    "integer": "integer",
    "numeric": "numeric",
    "smallint": "smallint",
    "text": "text",
    "varchar": "character varying",
}


def never_null(schema: Replayed, table: str, column: str) -> bool:
    """Return whether a column is known to hold no NULL: it is NOT NULL, or a valid CHECK says so (PostgreSQL 12+).

    Source: https://www.postgresql.org/docs/current/sql-altertable.html, SET NOT NULL.
    """
    known = schema.table(table)
    if known is None:
        return False
    found = known.column(column)
    if found is not None and found.nullable is False:
        return True
    checks = (c for c in known.constraints if c.kind is ConstraintKind.CHECK and c.validated)
    return any(_says_not_null(check.expression, column) for check in checks)


def _says_not_null(expression: str, column: str) -> bool:
    parts = re.split(r"\s+and\s+", expression.lower().replace('"', "").replace("(", " ").replace(")", " "))
    if " or " in expression.lower():
        return False
    return any(" ".join(part.split()) == f"{column.lower()} is not null" for part in parts)


def old_server_type(statement: ReviewedStatement, action: act.AlterType) -> str:
    """Return the type that a column has before it is changed, '' where it is not known.

    Where its making was not seen, that is what the operation names as `existing_type`.
    """
    known = statement.before.column(action.table, action.column)
    if known is not None and known.type is not UNKNOWN:
        return known.type
    stated = dict(statement.operation.details).get("existing_type", "") if statement.operation else ""
    word, bracket, sizes = stated.lower().partition("(")
    return _STATED[word] + bracket + sizes if word in _STATED else ""


def converts(action: act.AlterType) -> bool:
    """Return whether USING does more than the cast that the server would make by itself."""
    plain = action.using.lower().replace('"', "").replace("(", "").replace(")", "").strip()
    name = action.column.lower()
    return plain not in {"", name} and not plain.startswith((f"{name}::", f"cast{name} as "))


def long_work(statement: ReviewedStatement, action: Action) -> str:
    """Return the table that an action works through, '' where it takes a moment or it cannot be told."""
    match action:
        case act.CreateIndex(concurrently=False, table=table) | act.ValidateConstraint(table=table):
            return table
        case act.AddConstraint(table=table, constraint=constraint):
            return table if constraint.validated and not constraint.using_index else ""
        case act.AlterNullable(nullable=False, table=table, column=column):
            return "" if never_null(statement.before, table, column) else table
        case act.AlterType(table=table):
            old = old_server_type(statement, action)
            return table if old and (converts(action) or rewrites(old, action.type)) else ""
        case act.AddColumn(table=table, column=column):
            new_rows = column.volatile_default is True or column.identity or (column.generated and column.stored)
            return table if new_rows else ""
        case act.Reindex(concurrently=False, name=name):
            return name
        case act.Other(what=what, table=table):
            return table if what in _LONG_OTHERS else ""
        case _:
            return ""

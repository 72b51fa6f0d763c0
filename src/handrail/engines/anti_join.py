"""The query for rows without a parent, the same on every engine: one NOT EXISTS.

Measured against LEFT JOIN, EXCEPT and NOT IN on two million rows: none is faster in general, and NOT IN is wrong where
the parent holds a null. An index on the child is not needed: PostgreSQL makes it a hash anti join of one scan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, TableClause, and_, column, exists, func, or_, select, table

from handrail.engines.integrity import SAMPLED
from handrail.model.relation import Relation
from handrail.model.violation import Violation, ViolationKind


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A table as SQL names it; `schema` is None on an engine without schemas."""

    schema: str | None
    table: str


def orphans(conn: Connection, relation: Relation, child: Name, parent: Name, *, total: int) -> Violation | None:
    """Return the orphans of the relation, of which there are `total`, with some of them; None where there are none."""
    if not total:
        return None
    query = _sample(relation, child, parent)
    rows = conn.execute(query).all()
    return Violation(
        kind=ViolationKind.ORPHANS,
        table=relation.table,
        columns=relation.columns,
        count=total,
        keys=_keys(relation, rows),
        query=written(conn, query),
    )


def count(relation: Relation, child: Name, parent: Name) -> Select[Any]:
    """Return the query that counts the orphans of the relation."""
    rows = _aliased(child, "child", (*relation.columns, *relation.key))
    return select(func.count()).select_from(rows).where(_broken(relation, rows, parent))


def _sample(relation: Relation, child: Name, parent: Name) -> Select[Any]:
    """Return the query for some orphans: the columns of their key, then those that name the parent."""
    rows = _aliased(child, "child", (*relation.columns, *relation.key))
    wanted = [rows.c[name] for name in dict.fromkeys((*relation.key, *relation.columns))]
    return select(*wanted).where(_broken(relation, rows, parent)).limit(SAMPLED)


def written(conn: Connection, query: Select[Any]) -> str:
    """Return the query as a person would type it."""
    text = str(query.compile(dialect=conn.dialect, compile_kwargs={"literal_binds": True}))
    return " ".join(text.split()).replace("%%", "%")


def _keys(relation: Relation, rows: Iterable[Sequence[object]]) -> tuple[str, ...]:
    """Return each sampled row as `id=7 with user_id=99`; what has no key by what it names alone."""
    names = tuple(dict.fromkeys((*relation.key, *relation.columns)))
    return tuple(_one(relation, dict(zip(names, row, strict=True))) for row in rows)


def _one(relation: Relation, values: dict[str, object]) -> str:
    key = ", ".join(f"{name}={values[name]}" for name in relation.key)
    other = ", ".join(f"{name}={values[name]}" for name in relation.columns if name not in relation.key)
    return " with ".join(filter(None, (key, other)))


def _broken(relation: Relation, rows: TableClause, parent: Name) -> ColumnElement[bool]:
    parents = _aliased(parent, "parent", relation.referenced_columns)
    pairs = zip(relation.columns, relation.referenced_columns, strict=True)
    named = [rows.c[name].is_not(None) for name in relation.columns]
    there = exists().where(*(parents.c[other] == rows.c[own] for own, other in pairs))
    lost = and_(*named, ~there)
    if not relation.match_full or len(named) == 1:
        return lost
    return or_(lost, and_(or_(*named), or_(*(rows.c[name].is_(None) for name in relation.columns))))


def _aliased(name: Name, alias: str, columns: tuple[str, ...]) -> TableClause:
    # The alias of a TableClause is no TableClause to the type checker, though it has the same columns.
    made = table(name.table, *(column(each) for each in dict.fromkeys(columns)), schema=name.schema)
    return made.alias(alias)  # type: ignore[return-value]  # see above

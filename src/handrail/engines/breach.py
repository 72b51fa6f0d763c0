"""The queries for rows that break a demand, the same on every engine. Each is one scan; duplicates sort or hash it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

from sqlalchemy import ColumnElement, Connection, Select, and_, column, func, literal_column, not_, or_, select, table
from sqlalchemy import true as always
from sqlalchemy.sql.expression import TableClause

from handrail.engines.anti_join import Name, written
from handrail.engines.facts import SAMPLED
from handrail.model.relation import Relation, RelationKind
from handrail.model.violation import Violation, ViolationKind

if TYPE_CHECKING:
    from handrail.model.demand import Demand

_IDENTIFIER = re.compile(r"[^\W\d][\w$ ]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Breach:
    """The rows of one table that meet a condition."""

    name: Name
    condition: ColumnElement[bool]

    def counted(self, conn: Connection, wanted: Demand) -> Violation | None:
        """Return the rows, some by key; None where there are none. Two scans at most."""
        rows = _table(self.name, wanted.key)
        total = conn.execute(select(func.count()).select_from(rows).where(self.condition)).scalar_one()
        if not total:
            return None
        shown: list[ColumnElement[Any]] = [column(k) for k in wanted.key] or [literal_column("*")]
        query = select(*shown).select_from(rows).where(self.condition)
        keys = conn.execute(query.limit(SAMPLED)).all() if wanted.key else ()
        return Violation(
            kind=wanted.kind,
            table=wanted.table,
            columns=wanted.columns,
            count=total,
            keys=tuple(_row(wanted.key, row) for row in keys),
            query=written(conn, query),
        )


def condition(wanted: Demand) -> ColumnElement[bool]:
    """Return what is true of a row that breaks a demand about NULL or a CHECK."""
    if wanted.every_row:
        return always()
    if wanted.kind is ViolationKind.NULLS:
        return or_(*(column(name).is_(None) for name in wanted.columns))
    return not_(literal_column(f"({wanted.condition})").self_group())


def relation(wanted: Demand) -> Relation:
    """Return what a demand for a parent says of the rows, as the engines' look for orphans takes it."""
    return Relation(
        kind=RelationKind.PENDING,
        name=wanted.name,
        table=wanted.table,
        columns=wanted.columns,
        referenced_table=wanted.referenced_table,
        referenced_columns=wanted.referenced_columns,
        key=wanted.key,
    )


def duplicates(conn: Connection, wanted: Demand, name: Name) -> Violation | None:
    """Return the rows that repeat what shall be unique; rows with a NULL in it do not. Two passes at most."""
    parts = [part(each) for each in wanted.columns]
    rows = _table(name, wanted.key)
    there = and_(*(each.is_not(None) for each in parts))
    if wanted.condition:
        there = and_(there, literal_column(f"({wanted.condition})"))
    labelled = [each.label(f"part{number}") for number, each in enumerate(parts)]
    groups = (
        select(*labelled, func.count().label("repeats"))
        .select_from(rows)
        .where(there)
        .group_by(*parts)
        .having(func.count() > 1)
    )
    found = groups.subquery("repeated")
    total = conn.execute(select(func.coalesce(func.sum(found.c.repeats), 0))).scalar_one()
    if not total:
        return None
    keys = _alike(conn, wanted, rows, parts, there, groups) if wanted.key else ()
    return Violation(
        kind=wanted.kind,
        table=wanted.table,
        columns=wanted.columns,
        count=int(total),
        keys=keys,
        query=written(conn, groups),
    )


def part(text: str) -> ColumnElement[Any]:
    """Return a column by its name, or the expression of an index."""
    return column(text) if _IDENTIFIER.fullmatch(text) else literal_column(f"({text})")


def _alike(
    conn: Connection,
    wanted: Demand,
    rows: TableClause,
    parts: list[ColumnElement[Any]],
    there: ColumnElement[bool],
    groups: Select[Any],
) -> tuple[str, ...]:
    """Return the keys of rows that are alike, as `id=1 and id=5`; the values that repeat are not told."""
    some = groups.limit(SAMPLED).subquery("some")
    pairs = zip(parts, (some.c[f"part{number}"] for number in range(len(parts))), strict=True)
    alike = and_(*(own == other for own, other in pairs))
    place = func.dense_rank().over(order_by=[some.c[f"part{number}"] for number in range(len(parts))])
    shown = [rows.c[k] for k in wanted.key]
    query = select(place, *shown).select_from(rows.join(some, alike)).where(there).order_by(place, *shown)
    told = conn.execute(query.limit(SAMPLED * 2)).all()
    return tuple(
        " and ".join(_row(wanted.key, row[1:]) for row in group) for _, group in groupby(told, key=lambda row: row[0])
    )


def _table(name: Name, columns: Iterable[str]) -> TableClause:
    return table(name.table, *(column(each) for each in columns), schema=name.schema)


def _row(key: Sequence[str], values: Sequence[object]) -> str:
    return ", ".join(f"{name}={value}" for name, value in zip(key, values, strict=True))

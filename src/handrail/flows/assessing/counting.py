"""Counts, read-only and for a bounded time, the rows that pending revisions would fail on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from sqlalchemy import Connection

from handrail.engines.base import Purpose
from handrail.flows.ports import Ports
from handrail.model.demand import Demand
from handrail.model.portrait import Portrait
from handrail.model.reviewed import ReviewedStep
from handrail.model.schema import ConstraintKind, Table
from handrail.model.verdict import Unsupported
from handrail.model.violation import Counted, Violation, ViolationKind

_NOT_YET = "cannot be counted yet"
_NO_ROWS = "a saved snapshot holds no rows"


def counted(
    ports: Ports | None, portrait: Portrait, wanted: Iterable[Demand], *, limit_s: float
) -> Mapping[Demand, Counted]:
    """Return what counting says of each demand; small tables first, so that one large one does not cost the others.

    `ports` are None where there is no database to count in. What is left when `limit_s` is over is not counted, and
    says so. Raises what losing the connection raises.
    """
    order = sorted(wanted, key=lambda demand: _bytes(portrait, demand))
    if ports is None:
        return {demand: _told(demand, Unsupported(reason=_NO_ROWS)) for demand in order}
    found: dict[Demand, Counted] = {}
    if not order:
        return found
    until = ports.clock.monotonic() + limit_s
    with ports.engine.connect(Purpose.READ) as conn:
        for demand in order:
            left_s = until - ports.clock.monotonic()
            found[demand] = _told(demand, _looked(ports, conn, portrait, demand, left_s, limit_s))
    return found


def dependants(ports: Ports, steps: Iterable[ReviewedStep]) -> Mapping[tuple[str, int], tuple[str, ...]]:
    """Return what each DROP ... CASCADE of the steps would take, by revision and number of the statement."""
    cascades = [
        (step.revision, number, action)
        for step in steps
        for number, statement in enumerate(step.statements)
        for action in statement.actions
        if getattr(action, "cascade", False)
    ]
    if not cascades:
        return {}
    found: dict[tuple[str, int], tuple[str, ...]] = {}
    with ports.engine.connect(Purpose.READ) as conn:
        for revision, number, action in cascades:
            taken = ports.engine.dependants.taken(conn, action)
            told = (f"not known: {taken.reason}",) if isinstance(taken, Unsupported) else taken
            found[revision, number] = (*found.get((revision, number), ()), *told)
    return found


def _looked(
    ports: Ports, conn: Connection, portrait: Portrait, demand: Demand, left_s: float, limit_s: float
) -> Violation | Unsupported | None:
    there = _there(demand, portrait)
    if isinstance(there, Unsupported):
        return there
    if _met(there, portrait):
        return None
    if left_s <= 0:
        return Unsupported(reason=f"the {limit_s:.0f} s for counting are over; handrail review --count-for allows more")
    return ports.engine.violations.look(conn, there, limit_s=left_s)


def _there(demand: Demand, portrait: Portrait) -> Demand | Unsupported:
    """Return the demand with names, type and key as the database has them, or what of it is not there yet."""
    table = portrait.table(demand.table)
    if not demand.there:
        return Unsupported(reason=f"{_NOT_YET}: {demand.before} comes first")
    if table is None:
        return Unsupported(reason=f"{_NOT_YET}: there is no table {demand.table}")
    lacking = () if demand.every_row else _lacking(table, demand.columns)
    if lacking:
        return Unsupported(reason=f"{_NOT_YET}: {demand.table} has no column {', '.join(lacking)}")
    present = next((column.type for column in table.columns if (column.name,) == demand.columns), "")
    wanted = replace(demand, table=table.name, key=table.primary_key, old_type=present or demand.old_type)
    if not demand.referenced_table:
        return wanted
    other = portrait.table(demand.referenced_table)
    if other is None:
        return Unsupported(reason=f"{_NOT_YET}: there is no table {demand.referenced_table}")
    columns = demand.referenced_columns or other.primary_key
    lacking = _lacking(other, columns)
    if lacking or len(columns) != len(demand.columns):
        return Unsupported(reason=f"{_NOT_YET}: {other.name} has no such key")
    return replace(wanted, referenced_table=other.name, referenced_columns=columns)


def _met(demand: Demand, portrait: Portrait) -> bool:
    """Return whether the database holds its rows to that already: nobody has to look at them."""
    table = portrait.table(demand.table)
    if table is None or demand.every_row:
        return False
    valid = [constraint for constraint in table.constraints if constraint.validated]
    match demand.kind:
        case ViolationKind.NULLS:
            return all(not column.nullable for column in table.columns if column.name in demand.columns)
        case ViolationKind.DUPLICATES:
            keys = [c.columns for c in valid if c.kind in {ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY}]
            return demand.columns in keys
        case ViolationKind.ORPHANS:
            keys_out = [(c.columns, c.referenced_table) for c in valid if c.kind is ConstraintKind.FOREIGN_KEY]
            return (demand.columns, demand.referenced_table) in keys_out
        case ViolationKind.CHECK:
            checks = [_plain(c.definition) for c in valid if c.kind is ConstraintKind.CHECK]
            return f"check{_plain(demand.condition)}" in checks
        case ViolationKind.CAST:
            return False


def _plain(expression: str) -> str:
    return "".join(c for c in expression.lower() if c not in '()" ')


def _lacking(table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    """Return the columns that the table does not have; what is no plain name is an expression of an index."""
    known = {column.name for column in table.columns}
    return tuple(name for name in columns if name.isidentifier() and name not in known)


def _told(demand: Demand, found: Violation | Unsupported | None) -> Counted:
    return Counted(
        kind=demand.kind,
        table=demand.table,
        columns=demand.columns,
        violation=found if isinstance(found, Violation) else None,
        unknown=_why(found) if isinstance(found, Unsupported) else "",
        before=demand.before if demand.there else "",
    )


def _why(found: Unsupported) -> str:
    return found.reason if found.reason.startswith(_NOT_YET) else f"not counted: {found.reason}"


def _bytes(portrait: Portrait, demand: Demand) -> int:
    size = portrait.size(demand.table)
    return size.bytes if size is not None and isinstance(size.bytes, int) else 0

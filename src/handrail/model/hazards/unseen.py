"""What downgrade leaves of changes to things whose making the history does not show: by the actions alone.

A history that was stamped, or whose beginning is elsewhere, tells nothing of what stood before; that a rename has no
counterpart can be told all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handrail.model import action as act
from handrail.model.hazards.column_type import parsed
from handrail.model.hazards.table_change import old_type
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedStatement, ReviewedStep
from handrail.model.spec import UNKNOWN, ColumnSpec

#: Families whose types are spelled the same way by a revision and by the server.
_COMPARABLE = frozenset({"string", "integer", "numeric"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What is not as it was, in one phrase that follows `downgrade()`, and what to do about it."""

    what: str
    fix: str


def left(up: ReviewedStep, down: ReviewedStep) -> Iterator[Left]:
    """Yield what upgrade renames, alters or drops without a counterpart in downgrade."""
    for statement, action in up.actions():
        if _is_unseen(statement, action):
            yield from _altered(action, down)
            yield from _dropped(action, up, down)


def _altered(action: act.Action, down: ReviewedStep) -> Iterator[Left]:
    match action:
        case act.RenameColumn(table=table, column=old, new_name=new) if not _touches(down, table, new):
            yield Left(what=f"leaves column {bare(table)}.{new}, which was {old}", fix=f"rename it to {old}")
        case act.AlterDefault(table=table, column=column) if not _touches(down, table, column):
            yield _as_made(f"default of column {bare(table)}.{column}")
        case act.AlterNullable(table=table, column=column) if not _touches(down, table, column):
            yield _as_made(f"nullability of column {bare(table)}.{column}")
        case act.AlterType(table=table, column=column) if not _touches(down, table, column):
            yield _as_made(f"type of column {bare(table)}.{column}")


def _dropped(action: act.Action, up: ReviewedStep, down: ReviewedStep) -> Iterator[Left]:
    match action:
        case act.DropIndex(name=name) if not any(_makes(step, bare(name)) for step in (up, down)):
            yield Left(what=f"does not bring index {bare(name)} back", fix=f"make index {bare(name)} again")
        case act.DropConstraint(table=table, name=name) if not any(_constrains(step, table) for step in (up, down)):
            yield Left(what=f"does not bring constraint {name} of {bare(table)} back", fix=f"make {name} again")


def otherwise(up: ReviewedStep, down: ReviewedStep) -> Iterator[tuple[str, str, str]]:
    """Yield columns whose type downgrade sets otherwise than upgrade said it was: column, type now, type then."""
    for statement, action in up.actions():
        if not isinstance(action, act.AlterType) or not _is_unseen(statement, action):
            continue
        was = old_type(statement, action)
        now = [
            back.type
            for _, back in down.actions()
            if isinstance(back, act.AlterType)
            and (bare(back.table), back.column) == (bare(action.table), action.column)
        ]
        if was is UNKNOWN or not now or not {parsed(was).family, parsed(now[-1]).family} <= _COMPARABLE:
            continue
        if parsed(was) != parsed(now[-1]):
            yield f"{bare(action.table)}.{action.column}", now[-1], was


def _is_unseen(statement: ReviewedStatement, action: act.Action) -> bool:
    """Return whether the history does not tell of what the action is about."""
    before = statement.before
    match action:
        case (
            act.RenameColumn(table=table, column=column)
            | act.AlterDefault(table=table, column=column)
            | act.AlterNullable(table=table, column=column)
            | act.AlterType(table=table, column=column)
        ):
            known = before.column(table, column)
            return not statement.creates(table) and (known is None or _bare_spec(known))
        case act.DropIndex(name=name):
            return before.table_of_index(name) is None and not any(t.complete for t in before.tables.values())
        case act.DropConstraint(table=table):
            owner = before.table(table)
            return owner is None or not (owner.complete or owner.created_in)
        case _:
            return False


def _bare_spec(column: ColumnSpec) -> bool:
    """Return whether no more than a column's name is known."""
    return column.type is UNKNOWN and column.default is UNKNOWN and column.nullable is UNKNOWN


def _as_made(what: str) -> Left:
    return Left(what=f"leaves the {what} as upgrade() makes it", fix=f"set the {what} back")


def _touches(down: ReviewedStep, table: str, column: str) -> bool:
    """Return whether downgrade alters that column in any way, or takes or makes its table."""
    for _, action in down.actions():
        if bare(getattr(action, "table", "")) != bare(table):
            continue
        if isinstance(action, act.OnTables) or getattr(action, "column", "") == column:
            return True
        if isinstance(action, act.AddColumn) and action.column.name == column:
            return True
    return any(isinstance(action, act.RenameTable | act.Opaque) for _, action in down.actions())


def _makes(step: ReviewedStep, index: str) -> bool:
    """Return whether the step makes an index or a constraint of that name, or a table, whose indexes come with it."""
    return any(
        isinstance(action, act.CreateTable | act.Opaque)
        or (isinstance(action, act.CreateIndex) and action.index.name == index)
        or (isinstance(action, act.AddConstraint) and action.constraint.name == index)
        or (isinstance(action, act.RenameIndex) and action.new_name == index)
        for _, action in step.actions()
    )


def _constrains(step: ReviewedStep, table: str) -> bool:
    """Return whether the step makes or renames any constraint of that table, or makes or drops the table."""
    return any(
        isinstance(action, act.AddConstraint | act.RenameConstraint | act.AddColumn | act.OnTables)
        and bare(action.table) == bare(table)
        for _, action in step.actions()
    ) or any(isinstance(action, act.Opaque) for _, action in step.actions())

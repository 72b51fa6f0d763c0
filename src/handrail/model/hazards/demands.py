"""What pending upgrades demand of the rows that are there, read from their actions."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.demand import Demand
from handrail.model.hazards.column_type import Fit, alike, fit
from handrail.model.hazards.long_work import converts
from handrail.model.hazards.table_change import changes, new_key, old_type
from handrail.model.portrait import Portrait
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedStatement, ReviewedStep
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ConstraintSpec
from handrail.model.standing_schema import constraint as constraint_spec
from handrail.model.violation import ViolationKind

_WRITES_THAT_MEND = frozenset(act.Verb) - {act.Verb.INSERT}


@dataclass(slots=True)
class _Ahead:
    """What the pending statements so far will have made or written, each with the words for it."""

    names: dict[tuple[str, ...], str] = field(default_factory=dict)
    writes: dict[str, str] = field(default_factory=dict)

    def note(self, revision: str, action: Action) -> None:
        """Remember what the action of that revision will have done."""
        match action:
            case act.CreateTable(table=table) | act.DropTable(table=table):
                self.names[(bare(table),)] = f"revision {revision}, which makes or drops {table},"
            case act.RenameTable(table=table, new_name=new):
                for name in (table, new):
                    self.names[(bare(name),)] = f"revision {revision}, which renames {table} to {new},"
            case act.AddColumn(table=table) | act.DropColumn(table=table):
                column = action.column if isinstance(action, act.DropColumn) else action.column.name
                self.names[bare(table), column] = f"revision {revision}, which adds or drops {table}.{column},"
            case act.RenameColumn(table=table, column=column, new_name=new):
                for name in (column, new):
                    self.names[bare(table), name] = f"revision {revision}, which renames {table}.{column} to {new},"
            case act.AlterType(table=table, column=column):
                self.names[bare(table), column] = f"revision {revision}, which changes the type of {table}.{column},"
            case act.WriteRows(verb=verb, table=table) if verb in _WRITES_THAT_MEND:
                self.writes[bare(table)] = f"{verb.value} of {table} in {revision}"
            case act.Opaque():
                self.writes["*"] = f"a statement of {revision} that could not be read"

    def named(self, demand: Demand) -> str:
        """Return what makes or renames something that the demand is about."""
        keys: list[tuple[str, ...]] = [(bare(demand.table),), *((bare(demand.table), c) for c in demand.columns)]
        if demand.referenced_table:
            other = bare(demand.referenced_table)
            keys += [(other,), *((other, c) for c in demand.referenced_columns)]
        return next((self.names[key] for key in keys if key in self.names), "")

    def written(self, demand: Demand) -> str:
        """Return what writes rows that the demand is about."""
        tables = (bare(demand.table), bare(demand.referenced_table), "*")
        return next((self.writes[table] for table in tables if table in self.writes), "")


def demands(steps: Iterable[ReviewedStep], live: Portrait) -> tuple[Demand, ...]:
    """Return what the pending upgrades demand of the rows, in the order sent; `steps` begin where `live` stands."""
    ahead = _Ahead()
    found: list[Demand] = []
    for step in steps:
        for statement, action in changes(step):
            for demand in _of(step, statement, action, live):
                named = "" if demand.every_row else ahead.named(demand)
                first = named or ahead.written(demand)
                found.append(replace(demand, before=first, there=not named))
            ahead.note(step.revision, action)
    return tuple(found)


def _of(step: ReviewedStep, statement: ReviewedStatement, action: Action, live: Portrait) -> Iterator[Demand]:
    table = getattr(action, "table", "")
    if not table or statement.creates(table):
        return
    number = step.ordinal(statement)
    plain = Demand(kind=ViolationKind.NULLS, revision=step.revision, statement=number, table=table, columns=())
    match action:
        case act.AlterNullable(nullable=False, column=column):
            yield replace(plain, columns=(column,))
        case act.AddColumn(column=column):
            none = column.default is None or str(column.default).upper() == "NULL"
            if column.nullable is False and none and not column.identity and not column.generated:
                yield replace(plain, columns=(column.name,), every_row=True)
        case act.AlterType(column=column, type=new, using=using):
            old = old_type(statement, action)
            if old is not UNKNOWN and not converts(action) and alike(old, new) and fit(old, new) is Fit.FIT:
                return
            yield replace(
                plain,
                kind=ViolationKind.CAST,
                columns=(column,),
                old_type="" if old is UNKNOWN else old,
                new_type=new,
                using=using if converts(action) else "",
            )
        case act.AddConstraint(constraint=constraint):
            yield from _of_rows(plain, constraint)
            yield from _of_key(plain, statement, action)
        case act.CreateIndex():
            yield from _of_key(plain, statement, action)
        case act.ValidateConstraint(name=name):
            known = _known(statement, table, name, live)
            if known is not None:
                yield from _of_rows(plain, replace(known, validated=True))


def _of_rows(plain: Demand, constraint: ConstraintSpec) -> Iterator[Demand]:
    """Yield what a foreign key or a CHECK demands."""
    demand = replace(plain, name=constraint.name, columns=constraint.columns, enforced=constraint.validated)
    if constraint.kind is ConstraintKind.FOREIGN_KEY:
        yield replace(
            demand,
            kind=ViolationKind.ORPHANS,
            referenced_table=constraint.referenced_table,
            referenced_columns=constraint.referenced_columns,
        )
    if constraint.kind is ConstraintKind.CHECK and constraint.expression:
        yield replace(demand, kind=ViolationKind.CHECK, condition=constraint.expression)


def _of_key(
    plain: Demand, statement: ReviewedStatement, action: act.AddConstraint | act.CreateIndex
) -> Iterator[Demand]:
    """Yield what a unique constraint, a unique index or a primary key demands that was not demanded before."""
    key = new_key(statement, action)
    if key is None:
        return
    if isinstance(action, act.CreateIndex):
        yield replace(
            plain,
            kind=ViolationKind.DUPLICATES,
            columns=key[1],
            name=action.index.name,
            condition=action.index.where,
        )
        return
    yield replace(plain, kind=ViolationKind.DUPLICATES, columns=key[1], name=action.constraint.name)
    if action.constraint.kind is ConstraintKind.PRIMARY_KEY:
        yield from (replace(plain, columns=(column,)) for column in key[1])


def _known(statement: ReviewedStatement, table: str, name: str, live: Portrait) -> ConstraintSpec | None:
    """Return the constraint of that name: as the revisions made it, else as the database has it."""
    replayed = statement.before.table(table)
    made = replayed.constraint(name) if replayed else None
    if made is not None:
        return made
    there = live.table(table)
    return next((constraint_spec(c) for c in there.constraints if c.name == name), None) if there else None

"""One table as the revisions make it, and what an action on a part of it does to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.constraint import about, meant
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec, ConstraintSpec, IndexSpec, Unknown


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayedTable:
    """One table. `created_in` is the revision that made it, '' where that was not seen.

    `complete` is whether all of it was seen being made. `added` maps columns to the revision that added them,
    those of the CREATE included. `partition_of` and `partition_by` are as in CreateTable.
    """

    name: str
    columns: tuple[ColumnSpec, ...] = ()
    constraints: tuple[ConstraintSpec, ...] = ()
    indexes: tuple[IndexSpec, ...] = ()
    complete: bool = True
    created_in: str = ""
    temporary: bool = False
    partition_of: str = ""
    partition_by: tuple[str, ...] = ()
    added: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))

    def column(self, name: str) -> ColumnSpec | None:
        """Return the column of that name, None where none is known."""
        return next((c for c in self.columns if c.name == name), None)

    def constraint(self, name: str) -> ConstraintSpec | None:
        """Return the constraint of that name, None where none is known."""
        return next((c for c in self.constraints if c.name == name), None)

    def index(self, name: str) -> IndexSpec | None:
        """Return the index of that name, None where none is known."""
        return next((i for i in self.indexes if i.name == name), None)

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key, () where none is known."""
        return next((c.columns for c in self.constraints if c.kind is ConstraintKind.PRIMARY_KEY), ())

    @property
    def foreign_keys(self) -> tuple[ConstraintSpec, ...]:
        """The foreign keys that are known."""
        return tuple(c for c in self.constraints if c.kind is ConstraintKind.FOREIGN_KEY)


def with_column(
    table: ReplayedTable,
    action: act.AddColumn
    | act.RenameColumn
    | act.AlterType
    | act.AlterNullable
    | act.AlterDefault
    | act.RedefineColumn,
    revision: str,
) -> ReplayedTable:
    """Return the table after that action of that revision on one column."""
    match action:
        case act.AddColumn(column=column):
            if table.column(column.name):
                return table
            return replace(
                table,
                columns=(*table.columns, column),
                constraints=(*table.constraints, *action.constraints),
                added=MappingProxyType({**table.added, column.name: revision}),
            )
        case act.RenameColumn(column=old, new_name=new):
            return _renamed(table, old, new)
        case act.AlterType(column=name, type=type_):
            return _altered(table, name, type_=type_)
        case act.AlterNullable(column=name, nullable=nullable):
            return _altered(table, name, nullable=nullable)
        case act.AlterDefault(column=name, default=default):
            return _altered(table, name, default=default)
        case act.RedefineColumn(column=name, new=new):
            if new.name != name:
                table = _renamed(table, name, new.name)
            columns = tuple(new if c.name == new.name else c for c in table.columns)
            known = table.column(new.name) is not None
            return replace(table, columns=columns if known else (*columns, new))


def _altered(
    table: ReplayedTable,
    name: str,
    *,
    type_: str | None = None,
    nullable: bool | None = None,
    default: str | Unknown | None = UNKNOWN,
) -> ReplayedTable:
    known = table.column(name)
    changed = known or ColumnSpec(name=name)
    if type_ is not None:
        changed = replace(changed, type=type_)
    if nullable is not None:
        changed = replace(changed, nullable=nullable)
    if default is not UNKNOWN:
        changed = replace(changed, default=default)
    if known is None:
        return replace(table, columns=(*table.columns, changed))
    return replace(table, columns=tuple(changed if c.name == name else c for c in table.columns))


def _renamed(table: ReplayedTable, old: str, new: str) -> ReplayedTable:
    def names(columns: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(new if name == old else name for name in columns)

    return replace(
        table,
        columns=tuple(replace(c, name=new) if c.name == old else c for c in table.columns),
        constraints=tuple(replace(c, columns=names(c.columns)) for c in table.constraints),
        indexes=tuple(replace(i, columns=names(i.columns)) for i in table.indexes),
        added=MappingProxyType({new if name == old else name: made for name, made in table.added.items()}),
    )


def of_type(table: ReplayedTable, old: str, new: str) -> ReplayedTable:
    """Return the table after a type got another name: columns of it, and arrays of it, follow."""
    if all(c.type is UNKNOWN or c.type.removesuffix("[]") != old for c in table.columns):
        return table
    names = {old: new, f"{old}[]": f"{new}[]"}
    return replace(
        table,
        columns=tuple(c if c.type is UNKNOWN else replace(c, type=names.get(c.type, c.type)) for c in table.columns),
    )


def without_column(table: ReplayedTable, column: str) -> ReplayedTable:
    """Return the table without that column and what stands on it."""
    return replace(
        table,
        columns=tuple(c for c in table.columns if c.name != column),
        constraints=tuple(c for c in table.constraints if not about(c, column)),
        indexes=tuple(i for i in table.indexes if column not in i.columns),
        added=MappingProxyType({name: made for name, made in table.added.items() if name != column}),
    )


def with_constraint(table: ReplayedTable, action: Action) -> ReplayedTable:
    """Return the table after an action on one constraint."""
    match action:
        case act.AddConstraint(constraint=constraint):
            columns, indexes = table.columns, table.indexes
            adopted = table.index(constraint.using_index) if constraint.using_index else None
            if adopted is not None:
                constraint = replace(constraint, columns=adopted.columns)
                renamed_to = constraint.name or adopted.name
                indexes = tuple(replace(i, name=renamed_to) if i is adopted else i for i in indexes)
            if constraint.kind is ConstraintKind.PRIMARY_KEY:
                columns = tuple(replace(c, nullable=False) if c.name in constraint.columns else c for c in columns)
            return replace(table, columns=columns, indexes=indexes, constraints=(*table.constraints, constraint))
        case act.DropConstraint(name=name):
            gone = meant(table.constraints, name)
            return replace(
                table,
                constraints=tuple(c for c in table.constraints if c is not gone),
                indexes=tuple(i for i in table.indexes if gone is None or not _stands_on(gone, i)),
            )
        case act.RenameConstraint(name=name, new_name=new):
            renamed = (replace(c, name=new) if c.name == name else c for c in table.constraints)
            return replace(table, constraints=tuple(renamed))
        case act.ValidateConstraint(name=name):
            valid = (replace(c, validated=True) if c.name == name else c for c in table.constraints)
            return replace(table, constraints=tuple(valid))
        case _:
            return table


def _stands_on(constraint: ConstraintSpec, index: IndexSpec) -> bool:
    """Return whether a constraint has taken that index over: it has its name from then on, and goes with it.

    Source: https://www.postgresql.org/docs/current/sql-altertable.html, ADD table_constraint_using_index.
    """
    return bool(constraint.using_index) and index.name in {constraint.name, constraint.using_index}

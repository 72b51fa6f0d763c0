"""The schema of a database as the replay of revisions would have it, so that what comes next can be read against it."""

from __future__ import annotations

from types import MappingProxyType

from handrail.model.replayed import Replayed
from handrail.model.replayed_table import ReplayedTable
from handrail.model.schema import Constraint, Snapshot, Table
from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec


def replayed_from(snapshot: Snapshot) -> Replayed:
    """Return the tables of the snapshot; views, triggers and types are left out, so that nothing is certain of them."""
    return Replayed(tables=MappingProxyType({table.name: _table(table) for table in snapshot.tables}), certain=False)


def constraint(known: Constraint) -> ConstraintSpec:
    """Return a constraint of a database as an action would name it."""
    return ConstraintSpec(
        name=known.name,
        kind=known.kind,
        columns=known.columns,
        expression=known.definition.removeprefix("CHECK ").removesuffix(" NO INHERIT"),
        validated=known.validated,
        referenced_table=known.referenced_table,
        referenced_columns=known.referenced_columns,
    )


def _table(table: Table) -> ReplayedTable:
    return ReplayedTable(
        name=table.name,
        columns=tuple(
            ColumnSpec(
                name=column.name,
                type=column.type.lower(),
                nullable=column.nullable,
                default=column.default,
                generated=column.generated,
                identity=column.identity,
                collation=column.collation,
            )
            for column in table.columns
        ),
        constraints=tuple(constraint(known) for known in table.constraints),
        indexes=tuple(IndexSpec(name=i.name, columns=i.columns, unique=i.unique) for i in table.indexes if i.valid),
        complete=False,
    )

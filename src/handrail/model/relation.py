"""Which rows should have a parent in another table, by the database's constraints and by the models."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from handrail.model.schema import ConstraintKind, Snapshot, Table
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation


class RelationKind(Enum):
    """Who says that there is a relation.

    VIEW_ONLY is a relationship() that only reads, so that nothing in the application counts on the parent.
    """

    VALIDATED = "foreign key"
    NOT_VALID = "foreign key that is not validated"
    MODEL_KEY = "ForeignKey of the models that the database does not have"
    RELATIONSHIP = "relationship() without a foreign key"
    PENDING = "foreign key of a pending revision"
    VIEW_ONLY = "view-only relationship() without a foreign key"


@dataclass(frozen=True, slots=True, kw_only=True)
class Relation:
    """Columns of one table that name a row of another; tables are named as in a Snapshot.

    `name` is the constraint's, or `Class.attribute`. `key` is the table's primary key, () where there is none. With
    `match_full` a row that names its parent by half is an orphan too; otherwise a null in any column asks for none.
    """

    kind: RelationKind
    name: str
    table: str
    columns: tuple[str, ...]
    referenced_table: str
    referenced_columns: tuple[str, ...]
    key: tuple[str, ...] = ()
    match_full: bool = False

    def describe(self) -> str:
        """One line, e.g. `marks (user_id) -> users (id), foreign key that is not validated fk_marks_users`."""
        own, other = ", ".join(self.columns), ", ".join(self.referenced_columns)
        return f"{self.table} ({own}) -> {self.referenced_table} ({other}), {self.kind.value} {self.name}".rstrip()

    @property
    def ends(self) -> frozenset[tuple[str, str]]:
        """What makes two relations the same one: each column with the one it names."""
        return frozenset(zip(self.columns, self.referenced_columns, strict=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """One relation and what was found of it: orphans, none, or why it could not be looked at."""

    relation: Relation
    found: Violation | Unsupported | None


def declared(snapshot: Snapshot) -> tuple[Relation, ...]:
    """Return the foreign keys of a schema whose other end is there."""
    return tuple(relation for table in snapshot.tables for relation in _declared(snapshot, table))


def _declared(snapshot: Snapshot, table: Table) -> Iterator[Relation]:
    for constraint in table.constraints:
        if constraint.kind is not ConstraintKind.FOREIGN_KEY:
            continue
        other = _table(snapshot, constraint.referenced_table)
        if other is None:
            continue
        referenced = constraint.referenced_columns or other.primary_key
        if len(referenced) != len(constraint.columns):
            continue
        yield Relation(
            kind=RelationKind.VALIDATED if constraint.validated else RelationKind.NOT_VALID,
            name=constraint.name,
            table=table.name,
            columns=constraint.columns,
            referenced_table=other.name,
            referenced_columns=referenced,
            key=table.primary_key,
            match_full=" MATCH FULL" in constraint.definition,
        )


def only_in_models(snapshot: Snapshot, of_models: Iterable[Relation]) -> tuple[Relation, ...]:
    """Return the models' relations that the schema has no foreign key for, each once, with the table's key filled in.

    What names tables or columns that are not there is left out: whether they should be is another question.
    """
    known = {(r.table, r.referenced_table, r.ends) for r in declared(snapshot)}
    found: list[Relation] = []
    for relation in sorted(of_models, key=lambda r: list(RelationKind).index(r.kind)):
        table, other = snapshot.table(relation.table), snapshot.table(relation.referenced_table)
        same = (relation.table, relation.referenced_table, relation.ends)
        if table is None or other is None or same in known:
            continue
        if _has(table, relation.columns) and _has(other, relation.referenced_columns):
            known.add(same)
            found.append(replace(relation, key=table.primary_key))
    return tuple(found)


def _table(snapshot: Snapshot, name: str) -> Table | None:
    """Return the table a foreign key names; SQLite keeps the name as it was written, in any case."""
    return snapshot.table(name) or next((t for t in snapshot.tables if t.name.lower() == name.lower()), None)


def _has(table: Table, columns: tuple[str, ...]) -> bool:
    return set(columns) <= {column.name for column in table.columns}

"""The schema as the revisions make it, kept by replaying what their statements do: no database is asked.

A table whose CREATE was never seen (a stamped history, SQL that could not be read) is `complete=False`: what is not
known of it is UNKNOWN or missing, and nothing is concluded from its absence.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.replayed_table import ReplayedTable, of_type, with_column, with_constraint, without_column
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """The schema at one moment. `certain` is False once a statement was met that may have changed anything.

    `objects` are views, triggers, functions and the like as (kind, name) -> CreateObject. `dropped` remembers columns
    that are gone, as (table, column) -> the specification they had and the revision that dropped them; `gone` the
    tables that are gone.
    """

    tables: Mapping[str, ReplayedTable] = field(default_factory=lambda: MappingProxyType({}))
    enums: Mapping[str, tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))
    objects: Mapping[tuple[str, str], act.CreateObject] = field(default_factory=lambda: MappingProxyType({}))
    dropped: Mapping[tuple[str, str], tuple[ColumnSpec, str]] = field(default_factory=lambda: MappingProxyType({}))
    gone: Mapping[str, ReplayedTable] = field(default_factory=lambda: MappingProxyType({}))
    built: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    certain: bool = True

    def table(self, name: str) -> ReplayedTable | None:
        """Return the table of that name, None where none is known; a default schema's name may be left out."""
        return self.tables.get(bare(name))

    def column(self, table: str, name: str) -> ColumnSpec | None:
        """Return that column of that table, None where it is not known."""
        found = self.table(table)
        return found.column(name) if found else None

    def table_of_index(self, name: str) -> ReplayedTable | None:
        """Return the table that has the index of that name, None where it is not known."""
        wanted = bare(name).rpartition(".")[2]
        return next((t for t in self.tables.values() for i in t.indexes if i.name == wanted), None)

    def referring(self, table: str) -> Iterator[tuple[ReplayedTable, ConstraintSpec]]:
        """Yield each known foreign key that names that table, with the table it belongs to."""
        for other in self.tables.values():
            for key in other.foreign_keys:
                if bare(key.referenced_table) == bare(table):
                    yield other, key

    def views_on(self, table: str) -> tuple[act.CreateObject, ...]:
        """Return the views whose query names that table."""
        return tuple(
            o for o in self.objects.values() if "view" in o.kind and bare(table) in {bare(name) for name in o.reads}
        )

    def triggers_on(self, table: str) -> tuple[act.CreateObject, ...]:
        """Return the triggers of that table."""
        return tuple(o for o in self.objects.values() if o.kind == "trigger" and bare(o.table) == bare(table))


EMPTY = Replayed()
_DEFAULT_SCHEMAS = ("public.", "main.")
#: What Alembic calls the table that takes another one's place: alembic/operations/batch.py.
_BATCH_PREFIX = "_alembic_tmp_"


def bare(name: str) -> str:
    """Return a table's name without a default schema's."""
    for schema in _DEFAULT_SCHEMAS:
        if name.startswith(schema):
            return name.removeprefix(schema)
    return name


def replayed(state: Replayed, action: Action, revision: str) -> Replayed:
    """Return the schema after that action of that revision, and after all that goes with what it drops."""
    for dependant in dependants(state, action):
        state = replayed(state, dependant, revision)
    match action:
        case act.CreateTable() | act.DropTable() | act.RenameTable():
            return _tables(state, action, revision)
        case act.CreateEnum() | act.AddEnumValue() | act.RenameEnumValue():
            return _enums(state, action)
        case act.CreateObject() | act.DropObject() | act.RenameObject():
            return _objects(state, action, revision)
        case act.OwnSequence(sequence=name, table=table, column=column):
            key = ("sequence", bare(name))
            known = {key: replace(state.objects[key], table=table, column=column)} if key in state.objects else {}
            return _with_objects(state, known)
        case act.DropIndex() | act.RenameIndex():
            return _index(state, action)
        case act.Opaque():
            return replace(state, certain=False)
        case (
            act.WriteRows()
            | act.LockTable()
            | act.TransactionControl()
            | act.SetSetting()
            | act.Reindex()
            | act.Other()
        ):
            return state
        case _:
            return _in_table(state, action, revision)


def dependants(state: Replayed, action: Action) -> Iterator[Action]:
    """Yield the drop of each thing that is known to go with what an action drops.

    A column takes the sequences that it owns along; CASCADE the views that read what goes, the foreign keys that point
    to it, and the columns of a type. Source: https://www.postgresql.org/docs/current/ddl-depend.html
    """
    match action:
        case act.DropColumn(table=table, column=column):
            for _, name in _owned(state, table, column):
                yield act.DropObject(kind="sequence", name=name)
            if action.cascade:
                yield from _drops(v for v in state.views_on(table) if {column, "*"} & {*v.definition.split()})
                yield from _released(state, table, column)
        case act.DropTable(table=table, cascade=True):
            yield from _drops(state.views_on(table))
            yield from _released(state, table)
        case act.DropObject(kind="view" | "materialized view", name=name, cascade=True):
            yield from _drops(state.views_on(name))
        case act.DropObject(kind="type" | "domain", name=name, cascade=True):
            for owner in state.tables.values():
                for spec in owner.columns:
                    if isinstance(spec.type, str) and bare(spec.type.removesuffix("[]")) == bare(name):
                        yield act.DropColumn(table=owner.name, column=spec.name, cascade=True)


def _drops(views: Iterable[act.CreateObject]) -> Iterator[Action]:
    for view in views:
        yield act.DropObject(kind=view.kind, name=view.name, cascade=True)


def _released(state: Replayed, table: str, column: str = "") -> Iterator[Action]:
    for other, key in state.referring(table):
        if key.name and (not column or column in key.referenced_columns):
            yield act.DropConstraint(table=other.name, name=key.name)


def _with_objects(state: Replayed, objects: Mapping[tuple[str, str], act.CreateObject]) -> Replayed:
    return replace(state, objects=MappingProxyType({**state.objects, **objects})) if objects else state


def _owned(state: Replayed, table: str, column: str) -> dict[tuple[str, str], act.CreateObject]:
    """Return the sequences that are owned by that column."""
    place = (bare(table), column)
    return {k: o for k, o in state.objects.items() if o.kind == "sequence" and (bare(o.table), o.column) == place}


def _is_view(key: tuple[str, str], name: str) -> bool:
    return "view" in key[0] and key[1] == bare(name)


def _index(state: Replayed, action: act.DropIndex | act.RenameIndex) -> Replayed:
    # Where names of indexes are those of one table (MySQL), the statement names it.
    owner = (state.table(action.table) if action.table else None) or state.table_of_index(action.name)
    if owner is None:
        return state
    name = bare(action.name).rpartition(".")[2]
    if isinstance(action, act.DropIndex):
        state = _without_attached(state, owner, owner.index(name))
        # There a UNIQUE constraint is its index, dropped by its name; one without goes by that of its first column.
        unique = (c for c in owner.constraints if c.kind is ConstraintKind.UNIQUE)
        named = (c for c in unique if action.table and name in {c.name, *(() if c.name else c.columns[:1])})
        gone = next(named, None)
        kept = tuple(c for c in owner.constraints if c is not gone)
        return _with(state, replace(owner, indexes=tuple(i for i in owner.indexes if i.name != name), constraints=kept))
    indexes = (replace(i, name=action.new_name) if i.name == name else i for i in owner.indexes)
    return _with(state, replace(owner, indexes=tuple(indexes)))


def _without_attached(state: Replayed, owner: ReplayedTable, index: IndexSpec | None) -> Replayed:
    """Return the schema without what is attached to an index of a partitioned table: the same index of its partitions.

    Source: https://www.postgresql.org/docs/current/sql-dropindex.html, and ALTER INDEX ... ATTACH PARTITION.
    """
    if index is None:
        return state
    for name in _partitions(state.tables, owner.name):
        partition = state.tables[name]
        kept = tuple(i for i in partition.indexes if replace(i, name=index.name) != index)
        if kept != partition.indexes:
            state = _with(state, replace(partition, indexes=kept))
    return state


def _tables(state: Replayed, action: act.CreateTable | act.DropTable | act.RenameTable, revision: str) -> Replayed:
    tables, gone, objects = dict(state.tables), dict(state.gone), dict(state.objects)
    name = bare(action.table)
    match action:
        case act.CreateTable():
            if not (action.if_not_exists and name in tables):
                tables[name] = _created(state, action, revision)
        case act.DropTable():
            gone[name] = tables.pop(name, ReplayedTable(name=name, complete=False))
            for partition in _partitions(tables, name):
                gone[partition] = tables.pop(partition)
            objects = {key: made for key, made in objects.items() if bare(made.table) not in {name, *gone}}
        case act.RenameTable(new_name=new):
            old = tables.pop(name, ReplayedTable(name=name, complete=False))
            tables[bare(new)] = _recreated(old, gone.get(bare(new)), bare(new))
            tables = {key: _pointing(table, name, bare(new)) for key, table in tables.items()}
            objects = _following(objects, name, bare(new))
    return replace(
        state, tables=MappingProxyType(tables), gone=MappingProxyType(gone), objects=MappingProxyType(objects)
    )


def _partitions(tables: Mapping[str, ReplayedTable], name: str) -> Iterator[str]:
    """Yield the partitions of that table and theirs, which go with it."""
    for partition in [key for key, table in tables.items() if table.partition_of == name]:
        yield from _partitions(tables, partition)
        yield partition


def _recreated(table: ReplayedTable, former: ReplayedTable | None, name: str) -> ReplayedTable:
    """Return the table under its new name; one that a batch made anew stays as old as the one it replaces."""
    if former is None or not table.name.startswith(_BATCH_PREFIX):
        return replace(table, name=name)
    added = {c.name: former.added.get(c.name, table.created_in) for c in table.columns}
    return replace(table, name=name, created_in=former.created_in, added=MappingProxyType(added))


def _pointing(table: ReplayedTable, old: str, new: str) -> ReplayedTable:
    """Return the table with foreign keys, and a partition's parent, that follow a renamed table, as servers' do."""
    if table.partition_of != old and all(bare(c.referenced_table) != old for c in table.foreign_keys):
        return table
    return replace(
        table,
        partition_of=new if table.partition_of == old else table.partition_of,
        constraints=tuple(
            replace(c, referenced_table=new) if bare(c.referenced_table) == old else c for c in table.constraints
        ),
    )


def _created(state: Replayed, action: act.CreateTable, revision: str) -> ReplayedTable:
    like = state.table(action.like) if action.like else None
    parent = state.table(action.partition_of) if action.partition_of else None
    source = like or parent
    columns = (*(source.columns if source else ()), *action.columns)
    unknown = action.from_query or (bool(action.like or action.partition_of) and source is None)
    return ReplayedTable(
        name=bare(action.table),
        columns=columns,
        constraints=action.constraints,
        indexes=action.indexes,
        complete=not unknown,
        created_in=revision,
        temporary=action.temporary,
        partition_of=bare(action.partition_of),
        partition_by=action.partition_by,
        added=MappingProxyType({c.name: revision for c in columns}),
    )


def _enums(state: Replayed, action: act.CreateEnum | act.AddEnumValue | act.RenameEnumValue) -> Replayed:
    enums = dict(state.enums)
    known = enums.get(bare(action.name), ())
    match action:
        case act.CreateEnum(values=values):
            known = values
        case act.AddEnumValue(value=value):
            known = known if value in known else (*known, value)
        case act.RenameEnumValue(value=value, new_value=new):
            known = tuple(new if v == value else v for v in known)
    enums[bare(action.name)] = known
    return replace(state, enums=MappingProxyType(enums))


def _objects(state: Replayed, action: act.CreateObject | act.DropObject | act.RenameObject, revision: str) -> Replayed:
    objects, enums, built, tables = dict(state.objects), dict(state.enums), dict(state.built), dict(state.tables)
    key = (action.kind, bare(action.name))
    match action:
        case act.CreateObject():
            objects[key] = action
            if action.kind == "materialized view":
                built[key[1]] = revision
        case act.DropObject(kind=kind):
            objects.pop(key, None)
            if built.pop(key[1], None) is not None:
                tables.pop(key[1], None)  # what was kept there are its indexes
            if kind == "type":
                enums.pop(bare(action.name), None)
        case act.RenameObject(kind=kind, new_name=new):
            if key in objects:
                objects[kind, bare(new)] = replace(objects.pop(key), name=new)
            if kind == "type" and key[1] in enums:
                enums[bare(new)] = enums.pop(key[1])
                tables = {name: of_type(table, key[1], bare(new)) for name, table in tables.items()}
            if key[1] in built:
                built[bare(new)] = built.pop(key[1])
                if key[1] in tables:
                    tables[bare(new)] = replace(tables.pop(key[1]), name=bare(new))
            if "view" in kind:
                objects = _following(objects, key[1], bare(new))
    after = replace(
        state,
        objects=MappingProxyType(objects),
        enums=MappingProxyType(enums),
        built=MappingProxyType(built),
        tables=MappingProxyType(tables),
    )
    return _moved(after, action) if isinstance(action, act.RenameObject) and action.kind == "schema" else after


def _following(
    objects: Mapping[tuple[str, str], act.CreateObject], old: str, new: str
) -> dict[tuple[str, str], act.CreateObject]:
    """Return triggers and views that follow a renamed table or view, as servers' do."""
    return {
        key: replace(
            made,
            table=new if bare(made.table) == old else made.table,
            reads=tuple(new if bare(name) == old else name for name in made.reads),
        )
        if old in {bare(made.table), *map(bare, made.reads)}
        else made
        for key, made in objects.items()
    }


def _moved(state: Replayed, action: act.RenameObject) -> Replayed:
    """Return the schema after all that has the name of one namespace before its own has that of another."""

    def there(name: str) -> str:
        inside = name.removeprefix(f"{action.name}.")
        return bare(f"{action.new_name}.{inside}") if inside != name else name

    tables = {
        there(key): replace(
            table,
            name=there(key),
            partition_of=there(table.partition_of),
            constraints=tuple(replace(c, referenced_table=there(c.referenced_table)) for c in table.constraints),
        )
        for key, table in state.tables.items()
    }
    objects = {
        (kind, there(name)): replace(
            made, name=there(made.name), table=there(made.table), reads=tuple(map(there, made.reads))
        )
        for (kind, name), made in state.objects.items()
    }
    return replace(
        state,
        tables=MappingProxyType(tables),
        objects=MappingProxyType(objects),
        enums=MappingProxyType({there(name): values for name, values in state.enums.items()}),
        built=MappingProxyType({there(name): made for name, made in state.built.items()}),
    )


def _with(state: Replayed, table: ReplayedTable | None) -> Replayed:
    if table is None:
        return state
    return replace(state, tables=MappingProxyType({**state.tables, table.name: table}))


def _in_table(state: Replayed, action: Action, revision: str) -> Replayed:
    """Return the schema after an action on a part of one table; one that is not known yet is known in part then."""
    name = bare(action.table)  # type: ignore[union-attr]  # those that are left all have a table
    table = state.tables.get(name) or ReplayedTable(name=name, complete=False)
    match action:
        case act.DropColumn(column=column):
            known = table.column(column) or ColumnSpec(name=column)
            gone = MappingProxyType({**state.dropped, (name, column): (known, revision)})
            return _with(replace(state, dropped=gone), without_column(table, column))
        case act.RenameColumn(column=old, new_name=new) if view := next(
            (k for k in state.objects if _is_view(k, name)), None
        ):
            columns = tuple(new if c == old else c for c in state.objects[view].columns)
            return _with_objects(state, {view: replace(state.objects[view], columns=columns)})
        case act.RenameColumn(column=old, new_name=new):
            owned = {key: replace(made, column=new) for key, made in _owned(state, name, old).items()}
            return _with(_with_objects(state, owned), with_column(table, action, revision))
        case act.AddColumn() | act.AlterType() | act.AlterNullable() | act.AlterDefault() | act.RedefineColumn():
            return _with(state, with_column(table, action, revision))
        case act.CreateIndex(index=index, if_not_exists=lenient):
            if lenient and index.name and table.index(index.name):
                return state
            return _with(state, replace(table, indexes=(*table.indexes, index)))
        case _:
            return _with(state, with_constraint(table, action))

"""The project's models: the schema they would make, and the relations they know. Only here are they touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection, ForeignKeyConstraint, MetaData, Table
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import configure_mappers
from sqlalchemy.orm.mapper import _all_registries
from sqlalchemy.schema import CreateSchema
from sqlalchemy.sql.elements import BinaryExpression, BooleanClauseList
from sqlalchemy.sql.operators import and_, eq

from handrail.history.env.env_py import EnvPy
from handrail.history.fencing.fence import Fence, fence
from handrail.history.fencing.guard import Raised, call
from handrail.model.relation import Relation, RelationKind
from handrail.model.verdict import Unsupported

if TYPE_CHECKING:
    from sqlalchemy import Column, ColumnElement
    from sqlalchemy.orm import Mapper, RelationshipProperty

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Related:
    """The relations of the models, and one line for each relationship() whose rows cannot be told from its columns."""

    relations: tuple[Relation, ...] = ()
    unread: tuple[str, ...] = ()


def metadata(env: EnvPy) -> tuple[MetaData, ...]:
    """Return what env.py gives as target_metadata, one or several; () where it gives none."""
    given = env.target_metadata
    if isinstance(given, MetaData):
        return (given,)
    return tuple(m for m in given if isinstance(m, MetaData)) if isinstance(given, Iterable) else ()


def create(conn: Connection, env: EnvPy, *, default_schema: str | None) -> Unsupported | None:
    """Make every table of the models in the empty database behind `conn`; return why that failed.

    What the models name no schema for goes into `default_schema` where that is not the connection's own. Raises
    FenceBreach where an event of the models opens a connection of its own.
    """
    schemas = {table.schema for table in _tables(env) if table.schema}
    own = conn.dialect.default_schema_name
    if default_schema and default_schema != own:
        schemas.add(default_schema)
        conn = conn.execution_options(schema_translate_map={None: default_schema})

    def make() -> None:
        with conn.begin():
            for schema in sorted(schemas):
                conn.execute(CreateSchema(schema, if_not_exists=True))
            for each in metadata(env):
                _create_types(conn, each)
                each.create_all(conn)

    made = _guarded(env, make)
    if isinstance(made, Raised):
        return Unsupported(reason=f"the models' tables cannot be made in an empty database: {made.summary}")
    return None


def relations(env: EnvPy, *, name_of: Callable[[str | None, str], str]) -> Related | Unsupported:
    """Return every relation of the models: ForeignKeys, and relationship()s whose columns have none.

    `name_of` turns schema and table into a Snapshot's name. Mappers are those of the models' tables that env.py has
    imported.
    """
    found = _guarded(env, lambda: _related(env, name_of))
    if isinstance(found, Raised):
        return Unsupported(reason=f"the relations of the models cannot be read: {found.summary}")
    return found


def _guarded(env: EnvPy, code: Callable[[], T]) -> T | Raised:
    """Run the models' code behind the fence, in the application's context."""

    def entered() -> T:
        with env.entered():
            return code()

    with fence(Fence.REFUSE) as fenced:
        done = call(entered)
    if fenced.attempts:
        raise fenced.breach()
    return done


def _tables(env: EnvPy) -> Iterator[Table]:
    for each in metadata(env):
        yield from each.tables.values()


def _create_types(conn: Connection, each: MetaData) -> None:
    """Make the types that create_all() leaves to the migrations (create_type=False)."""
    for table in each.tables.values():
        for column in table.columns:
            kind: Any = getattr(column.type, "item_type", column.type)  # what an ARRAY is made of
            kind = getattr(kind, "impl_instance", kind)  # what a TypeDecorator stands on
            if getattr(kind, "create_type", True) is False and hasattr(kind, "create"):
                kind.create(conn, checkfirst=True)


def _related(env: EnvPy, name_of: Callable[[str | None, str], str]) -> Related:
    keys = [relation for table in _tables(env) for relation in _keys(table, name_of)]
    unread: list[str] = []
    mine = set(metadata(env))
    configure_mappers()
    for mapper in sorted(_mappers(), key=lambda m: m.class_.__name__):
        if getattr(mapper.local_table, "metadata", None) not in mine:
            continue
        for relationship in mapper.relationships:
            if relationship.parent is not mapper:
                continue
            read = _relationship(mapper, relationship, name_of)
            if isinstance(read, str):
                unread.append(read)
            else:
                keys += read
    return Related(relations=tuple(keys), unread=tuple(unread))


def _mappers() -> set[Mapper[Any]]:
    return {mapper for registry in _all_registries() for mapper in registry.mappers}


def _keys(table: Table, name_of: Callable[[str | None, str], str]) -> Iterator[Relation]:
    for constraint in table.constraints:
        if not isinstance(constraint, ForeignKeyConstraint):
            continue
        try:
            parent = constraint.referred_table
            others = tuple(key.column.name for key in constraint.elements)
        except SQLAlchemyError:  # a table that the models do not know
            continue
        yield Relation(
            kind=RelationKind.MODEL_KEY,
            name=str(constraint.name or ""),
            table=name_of(table.schema, table.name),
            columns=tuple(column.name for column in constraint.columns),
            referenced_table=name_of(parent.schema, parent.name),
            referenced_columns=others,
            match_full=str(constraint.match or "").upper() == "FULL",
        )


def _relationship(
    mapper: Mapper[Any], relationship: RelationshipProperty[Any], name_of: Callable[[str | None, str], str]
) -> tuple[Relation, ...] | str:
    """Return the relations that the joins of a relationship() stand for, or a line that says why they cannot be read.

    A join of more than equal columns concerns some of the rows only: what is missing for the others is no orphan.
    """
    name = f"{mapper.class_.__name__}.{relationship.key}"
    kind = RelationKind.VIEW_ONLY if relationship.viewonly else RelationKind.RELATIONSHIP
    joins = [(relationship.primaryjoin, list(relationship.synchronize_pairs))]
    if relationship.secondaryjoin is not None:
        joins.append((relationship.secondaryjoin, list(relationship.secondary_synchronize_pairs or ())))
    found = []
    for join, pairs in joins:
        if pairs and all(child.references(parent) for parent, child in pairs):
            continue  # a ForeignKey, which says so of every row
        if not pairs or not _only_equal(join, len(pairs)):
            return f"relationship {name}: its join is more than equal columns"
        parents, children = zip(*pairs, strict=True)
        ends = _table_of(children), _table_of(parents)
        if ends[0] is None or ends[1] is None:
            return f"relationship {name}: its columns are not those of one table at each end"
        found.append(
            Relation(
                kind=kind,
                name=name,
                table=name_of(ends[0].schema, ends[0].name),
                columns=tuple(column.name for column in children),
                referenced_table=name_of(ends[1].schema, ends[1].name),
                referenced_columns=tuple(column.name for column in parents),
            )
        )
    return tuple(found)


def _only_equal(join: ColumnElement[bool], pairs: int) -> bool:
    whole = isinstance(join, BooleanClauseList) and join.operator is and_
    clauses = list(join.get_children()) if whole else [join]
    return len(clauses) == pairs and all(isinstance(c, BinaryExpression) and c.operator is eq for c in clauses)


def _table_of(columns: Iterable[Column[Any]]) -> Table | None:
    tables = {column.table for column in columns}
    only = tables.pop() if len(tables) == 1 else None
    return only if isinstance(only, Table) else None

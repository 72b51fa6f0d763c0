"""What to ask the catalogue after a statement was interrupted. Every answer is the value of a `Landed`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import TextClause, text

from handrail.engines.postgresql.sql.syntax import Node, dotted, kind_of, library, qualified, unwrap


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One statement with one row and one column: `yes`, `no`, `broken` or `unknown`. ACCESS SHARE on the catalogue."""

    sql: TextClause
    values: dict[str, str]


_UNKNOWN = Question(sql=text("select 'unknown'"), values={})

_INDEX_MADE = text("""
select coalesce((
  select case when not (i.indisvalid and i.indisready) then 'broken' else 'yes' end
  from pg_catalog.pg_class c join pg_catalog.pg_index i on i.indexrelid = c.oid
  where c.relname = :name and i.indrelid = to_regclass(:relation)),
  case when to_regclass(:relation) is null then 'unknown' else 'no' end)
""")
_INDEX_GONE = text("""
select case when to_regclass(:relation) is null then 'yes'
            when (select indisvalid from pg_catalog.pg_index where indexrelid = to_regclass(:relation)) then 'no'
            else 'broken' end
""")
_RELATION_MADE = text("select case when to_regclass(:relation) is null then 'no' else 'yes' end")
_RELATION_GONE = text("select case when to_regclass(:relation) is null then 'yes' else 'no' end")
_COLUMN_MADE = text("""
select case when to_regclass(:relation) is null then 'unknown' when exists (
  select from pg_catalog.pg_attribute
  where attrelid = to_regclass(:relation) and attname = :name and attnum > 0 and not attisdropped)
then 'yes' else 'no' end
""")
_COLUMN_GONE = text("""
select case when to_regclass(:relation) is null then 'unknown' when exists (
  select from pg_catalog.pg_attribute
  where attrelid = to_regclass(:relation) and attname = :name and attnum > 0 and not attisdropped)
then 'no' else 'yes' end
""")
_NOT_NULL_SET = text("""
select coalesce((select case when attnotnull then 'yes' else 'no' end from pg_catalog.pg_attribute
  where attrelid = to_regclass(:relation) and attname = :name and attnum > 0 and not attisdropped), 'unknown')
""")
_NOT_NULL_GONE = text("""
select coalesce((select case when attnotnull then 'no' else 'yes' end from pg_catalog.pg_attribute
  where attrelid = to_regclass(:relation) and attname = :name and attnum > 0 and not attisdropped), 'unknown')
""")
_CONSTRAINT_MADE = text("""
select case when to_regclass(:relation) is null then 'unknown' when exists (
  select from pg_catalog.pg_constraint where conrelid = to_regclass(:relation) and conname = :name)
then 'yes' else 'no' end
""")
_CONSTRAINT_GONE = text("""
select case when to_regclass(:relation) is null then 'unknown' when exists (
  select from pg_catalog.pg_constraint where conrelid = to_regclass(:relation) and conname = :name)
then 'no' else 'yes' end
""")
_VALIDATED = text("""
select coalesce((select case when convalidated then 'yes' else 'no' end from pg_catalog.pg_constraint
  where conrelid = to_regclass(:relation) and conname = :name), 'unknown')
""")
_LABEL_MADE = text("""
select case when to_regtype(:relation) is null then 'unknown' when exists (
  select from pg_catalog.pg_enum where enumtypid = to_regtype(:relation)::oid and enumlabel = :name)
then 'yes' else 'no' end
""")

_SUBCOMMANDS = {
    "AT_DropColumn": _COLUMN_GONE,
    "AT_DropConstraint": _CONSTRAINT_GONE,
    "AT_ValidateConstraint": _VALIDATED,
    "AT_SetNotNull": _NOT_NULL_SET,
    "AT_DropNotNull": _NOT_NULL_GONE,
}
_DROPPED = {
    "OBJECT_INDEX": _INDEX_GONE,
    "OBJECT_TABLE": _RELATION_GONE,
    "OBJECT_VIEW": _RELATION_GONE,
    "OBJECT_MATVIEW": _RELATION_GONE,
    "OBJECT_SEQUENCE": _RELATION_GONE,
}


def questions(node: Node) -> tuple[Question, ...]:
    """Return what to ask about one statement; all answers must agree."""
    ask = _STATEMENTS.get(kind_of(node))
    return tuple(ask(node)) if ask else (_UNKNOWN,)


def _about(sql: TextClause, relation: Node, name: str = "") -> Question:
    values = {"relation": qualified(relation.schemaname, relation.relname)}
    return Question(sql=sql, values=values | ({"name": name} if name else {}))


def _index(node: Node) -> Iterator[Question]:
    yield _about(_INDEX_MADE, node.relation, node.idxname) if node.idxname else _UNKNOWN


def _drop(node: Node) -> Iterator[Question]:
    sql = _DROPPED.get(library().pg_query_pb2.ObjectType.Name(node.remove_type))
    for item in map(unwrap, node.objects):
        if sql is None:
            yield _UNKNOWN
        else:
            yield Question(sql=sql, values={"relation": qualified(*dotted(item.items))})


def _table(node: Node) -> Iterator[Question]:
    yield _about(_RELATION_MADE, node.relation)


def _table_as(node: Node) -> Iterator[Question]:
    yield _about(_RELATION_MADE, node.into.rel)


def _view(node: Node) -> Iterator[Question]:
    yield _UNKNOWN if node.replace else _about(_RELATION_MADE, node.view)


def _sequence(node: Node) -> Iterator[Question]:
    yield _about(_RELATION_MADE, node.sequence)


def _label(node: Node) -> Iterator[Question]:
    schema, name = dotted(node.type_name)
    if node.old_val:  # RENAME VALUE
        yield _UNKNOWN
    else:
        yield Question(sql=_LABEL_MADE, values={"relation": qualified(schema, name), "name": node.new_val})


def _alter(node: Node) -> Iterator[Question]:
    for command in map(unwrap, node.cmds):
        name = library().pg_query_pb2.AlterTableType.Name(command.subtype)
        added = unwrap(getattr(command, "def"))
        if name in _SUBCOMMANDS:
            yield _about(_SUBCOMMANDS[name], node.relation, command.name)
        elif name == "AT_AddColumn":
            yield _about(_COLUMN_MADE, node.relation, added.colname)
        elif name == "AT_AddConstraint" and added.conname:
            yield _about(_CONSTRAINT_MADE, node.relation, added.conname)
        else:
            yield _UNKNOWN


_STATEMENTS: dict[str, Callable[[Node], Iterator[Question]]] = {
    "AlterEnumStmt": _label,
    "AlterTableStmt": _alter,
    "CreateSeqStmt": _sequence,
    "CreateStmt": _table,
    "CreateTableAsStmt": _table_as,
    "DropStmt": _drop,
    "IndexStmt": _index,
    "ViewStmt": _view,
}

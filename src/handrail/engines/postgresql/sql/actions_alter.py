"""What each subcommand of ALTER TABLE does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from handrail.engines.postgresql.sql import specs
from handrail.engines.postgresql.sql.syntax import Node, library, relation, strings, unwrap
from handrail.model import action as act
from handrail.model.action import Action


def alter_table(node: Node) -> Iterator[Action]:
    """Yield one action for each subcommand."""
    kind = library().pg_query_pb2.ObjectType.Name(node.objtype)
    table = relation(node.relation)
    for command in map(unwrap, node.cmds):
        name = library().pg_query_pb2.AlterTableType.Name(command.subtype)
        read = _READERS.get(name) if kind in {"OBJECT_TABLE", "OBJECT_FOREIGN_TABLE"} else None
        yield read(table, command) if read is not None else act.Other(what=_words(name), table=table)


def _words(name: str) -> str:
    """Return the subcommand in words: AT_EnableRowSecurity is ENABLE ROW SECURITY."""
    bare = name.removeprefix("AT_")
    return "".join(f" {c}" if c.isupper() and i else c for i, c in enumerate(bare)).upper()


def _definition(command: Node) -> Node:
    return unwrap(getattr(command, "def"))


def _cascade(command: Node) -> bool:
    return bool(library().pg_query_pb2.DropBehavior.Name(command.behavior) == "DROP_CASCADE")


def _add_column(table: str, command: Node) -> Action:
    column = _definition(command)
    return act.AddColumn(
        table=table,
        column=specs.column(column),
        constraints=specs.column_constraints(column),
        if_not_exists=command.missing_ok,
    )


def _drop_column(table: str, command: Node) -> Action:
    return act.DropColumn(table=table, column=command.name, cascade=_cascade(command), if_exists=command.missing_ok)


def _type(table: str, command: Node) -> Action:
    column = _definition(command)
    using = specs.expression(column.raw_default) if column.HasField("raw_default") else ""
    return act.AlterType(table=table, column=command.name, type=specs.type_name(column.type_name), using=using)


def _default(table: str, command: Node) -> Action:
    default = specs.expression(getattr(command, "def")) if command.HasField("def") else None
    return act.AlterDefault(table=table, column=command.name, default=default)


def _set_not_null(table: str, command: Node) -> Action:
    return act.AlterNullable(table=table, column=command.name, nullable=False)


def _drop_not_null(table: str, command: Node) -> Action:
    return act.AlterNullable(table=table, column=command.name, nullable=True)


def _add_constraint(table: str, command: Node) -> Action:
    definition = _definition(command)
    if specs.constraint_kind(definition) == "CONSTR_NOTNULL" and not definition.skip_validation:  # 18+
        return act.AlterNullable(table=table, column=strings(definition.keys)[0], nullable=False)
    found = specs.constraint(definition)
    return (
        act.Other(what="ADD CONSTRAINT", table=table)
        if found is None
        else act.AddConstraint(table=table, constraint=found)
    )


def _drop_constraint(table: str, command: Node) -> Action:
    return act.DropConstraint(table=table, name=command.name, cascade=_cascade(command), if_exists=command.missing_ok)


def _validate(table: str, command: Node) -> Action:
    return act.ValidateConstraint(table=table, name=command.name)


_READERS: dict[str, Callable[[str, Node], Action]] = {
    "AT_AddColumn": _add_column,
    "AT_AddConstraint": _add_constraint,
    "AT_AlterColumnType": _type,
    "AT_ColumnDefault": _default,
    "AT_DropColumn": _drop_column,
    "AT_DropConstraint": _drop_constraint,
    "AT_DropNotNull": _drop_not_null,
    "AT_SetNotNull": _set_not_null,
    "AT_ValidateConstraint": _validate,
}

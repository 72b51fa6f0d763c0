"""Alembic's operation objects as values of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator

from alembic.operations import ops
from sqlalchemy import Column
from sqlalchemy.sql.elements import quoted_name
from sqlalchemy.sql.schema import SchemaItem
from sqlalchemy.types import TypeEngine

from handrail.model.operation import Operation, Place

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
#: Where an operation keeps the name it is about, first found wins.
_SUBJECTS = ("constraint_name", "index_name", "column_name")
#: Facts worth keeping, in the words of Alembic's arguments. `constraint_type` is what `type_` becomes.
_FACTS = (
    "constraint_type",
    "source_table",
    "referent_table",
    "local_cols",
    "remote_cols",
    "columns",
    "condition",
    "unique",
    "new_table_name",
    "modify_name",
    "modify_type",
    "modify_nullable",
    "modify_server_default",
    "existing_type",
    "existing_nullable",
    "existing_server_default",
    "if_exists",
    "if_not_exists",
)


def describe(operation: ops.MigrateOperation, place: Place | None) -> Operation:
    """Return name, table, subject and the plain facts of an operation; also of one a third party registered."""
    return Operation(
        name=name_of(type(operation)),
        table=_table(operation),
        subject=_subject(operation),
        details=tuple(_details(operation)),
        place=place,
    )


def name_of(kind: type[ops.MigrateOperation]) -> str:
    """Return Alembic's own name of an operation: AddColumnOp is `add_column`."""
    if kind is ops.ExecuteSQLOp:
        return "execute"
    return _WORD.sub("_", kind.__name__.removesuffix("Op")).lower()


def _table(operation: ops.MigrateOperation) -> str | None:
    if isinstance(operation, ops.BulkInsertOp):
        return _qualified(operation.table.name, getattr(operation.table, "schema", None))
    if isinstance(operation, ops.CreateForeignKeyOp):
        return _qualified(operation.source_table, operation.kw.get("source_schema"))
    return _qualified(getattr(operation, "table_name", None), getattr(operation, "schema", None))


def _qualified(name: object, schema: object) -> str | None:
    if not isinstance(name, str):
        return None
    return f"{schema}.{name}" if isinstance(schema, str) else str(name)


def _subject(operation: ops.MigrateOperation) -> str | None:
    column = getattr(operation, "column", None)
    if isinstance(column, Column):
        return str(column.name)
    # A name left to a naming convention is a symbol, not a text.
    return next((str(n) for n in (getattr(operation, s, None) for s in _SUBJECTS) if isinstance(n, str)), None)


def _stated(operation: ops.AlterColumnOp) -> Iterator[str]:
    """Yield what an alter_column names of its column, new or existing; MySQL loses the rest."""
    if operation.modify_nullable is not None or operation.existing_nullable is not None:
        yield "nullable"
    if operation.modify_server_default is not False or operation.existing_server_default is not False:
        yield "server_default"
    if operation.modify_comment is not False or operation.existing_comment is not None:
        yield "comment"
    if not {"autoincrement", "existing_autoincrement"}.isdisjoint(operation.kw):
        yield "autoincrement"


def _details(operation: ops.MigrateOperation) -> Iterator[tuple[str, str]]:
    for name in _FACTS:
        value = getattr(operation, name, None)
        if value is not None and value is not False:
            yield name, _text(value)
        elif value is False and name.startswith("modify_nullable"):
            yield name, "false"
    if isinstance(operation, ops.AlterColumnOp):
        yield "states", ",".join(_stated(operation))
    column = getattr(operation, "column", None)
    if isinstance(column, Column):
        yield "type", _text(column.type)
        yield "nullable", _text(column.nullable)
        if column.server_default is not None:
            yield "server_default", _text(getattr(column.server_default, "arg", column.server_default))
        for key in column.foreign_keys:
            yield "references", str(key._colspec)  # noqa: SLF001 - the text as written; the table may not be known
    options = getattr(operation, "kw", None) or {}
    yield from ((str(name), _text(value)) for name, value in options.items() if value is not None)


def _text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case Column():
            return str(value.name)
        case quoted_name() | str():
            return str(value)
        case TypeEngine():
            return str(value)
        case list() | tuple():
            return ", ".join(_text(item) for item in value if not _constraint(item))
        case _:
            return str(value)


def _constraint(item: object) -> bool:
    return isinstance(item, SchemaItem) and not isinstance(item, Column)

"""Whether a history builds its database by itself, or starts from tables that were made elsewhere and stamped."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from handrail.model.operation import Operation, Origin, Reading, RecordedRevision, Statement, StatementKind
from handrail.model.revision import Revision

#: Operations that need their table to be there. Names: https://alembic.sqlalchemy.org/en/latest/ops.html
_NEEDS_TABLE = frozenset(
    {
        "add_column",
        "alter_column",
        "bulk_insert",
        "create_check_constraint",
        "create_exclude_constraint",
        "create_foreign_key",
        "create_index",
        "create_primary_key",
        "create_table_comment",
        "create_unique_constraint",
        "drop_column",
        "drop_constraint",
        "drop_index",
        "drop_table",
        "drop_table_comment",
        "rename_table",
    }
)
#: Raw SQL after which there may be tables that no operation names, or whose inside is not read.
_MAY_CREATE = re.compile(
    r"\bcreate\b.*\btable\b|\brename\s+to\b|\binto\b|^\W*(?:do|call|exec\w*|import|attach)\b", re.IGNORECASE | re.DOTALL
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamped:
    """The first operation on a table that nothing before it in the history creates."""

    revision: Revision
    operation: Operation
    table: str


def is_stamped(recordings: Iterable[tuple[Revision, RecordedRevision]]) -> Stamped | None:
    """Return where a history, given in the order of application, alters a table it never created; else None.

    It is called stamped only when that is sure. Raw SQL that may create tables (CREATE ... TABLE, INTO, RENAME TO, DO,
    CALL), a revision that could not be read to its end, and one that looked into the database leave unknown which
    tables there are from then on: the answer is None, and such a history may be of either kind.
    """
    created: set[str] = set()
    for revision, recorded in recordings:
        if any(_may_create_unseen(statement, recorded) for statement in recorded.statements):
            return None
        inexact = {statement.operation for statement in recorded.statements if not statement.exact}
        for index, operation in enumerate(recorded.operations):
            if index in inexact:
                return None
            if operation.table is None:
                continue
            if operation.name in _NEEDS_TABLE and not _is_among(operation.table, created):
                return Stamped(revision=revision, operation=operation, table=operation.table)
            made = _made_by(operation, operation.table)
            if made is None:
                return None
            created.update(made)
        if recorded.reading is not Reading.EXACT:
            return None
    return None


def _may_create_unseen(statement: Statement, recorded: RecordedRevision) -> bool:
    if statement.origin is not Origin.REVISION or statement.kind is StatementKind.DATA:
        return False
    raw = statement.operation is None or recorded.operations[statement.operation].name == "execute"
    return raw and _MAY_CREATE.search(statement.sql) is not None


def _made_by(operation: Operation, table: str) -> tuple[str, ...] | None:
    """Return the tables an operation leaves that were not there; None where the recording does not tell."""
    if operation.name == "create_table":
        return (table,)
    if operation.name != "rename_table":
        return ()
    new = dict(operation.details).get("new_table_name")
    schema = table.rpartition(".")[0]
    return None if new is None else (f"{schema}.{new}" if schema else new,)


def _is_among(table: str, created: set[str]) -> bool:
    """Return whether a table may be one of these: a name without its schema may be in any."""
    schema, _, name = table.rpartition(".")
    for other in created:
        other_schema, _, other_name = other.rpartition(".")
        if name == other_name and (schema == other_schema or not schema or not other_schema):
            return True
    return False

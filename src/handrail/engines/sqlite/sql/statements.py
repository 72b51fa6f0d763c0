"""Reads statements of SQLite's dialect: what they are, how to show them, whether they took effect."""

from __future__ import annotations

from typing import assert_never

from sqlalchemy import Connection, text

from handrail.engines.base import Landed, Progress
from handrail.engines.sqlite.sql import syntax
from handrail.engines.sqlite.sql.syntax import Shape, Verb, shape
from handrail.model.operation import StatementKind

# SHARED lock; one row. Names are compared as SQLite does, without case.
_OBJECT = text("select type, sql from sqlite_schema where name = :name collate nocase and type = :kind")
# SHARED lock; reads the schema in memory.
_COLUMNS = text("select lower(name) from pragma_table_xinfo(:name)")

# https://www.sqlite.org/pragma.html
_READING_PRAGMAS = """
    collation_list compile_options data_version database_list foreign_key_check foreign_key_list freelist_count
    function_list index_info index_list index_xinfo integrity_check module_list page_count pragma_list quick_check
    stats table_info table_list table_xinfo
"""
_SESSION_PRAGMAS = """
    analysis_limit automatic_index busy_timeout cache_size cache_spill case_sensitive_like cell_size_check
    checkpoint_fullfsync count_changes defer_foreign_keys foreign_keys fullfsync hard_heap_limit
    ignore_check_constraints journal_size_limit legacy_alter_table locking_mode mmap_size query_only
    read_uncommitted recursive_triggers reverse_unordered_selects secure_delete soft_heap_limit synchronous
    temp_store threads trusted_schema wal_autocheckpoint
"""
_ACTING_PRAGMAS = frozenset({"incremental_vacuum", "optimize", "shrink_memory", "wal_checkpoint"})
_SCHEMA_TABLES = frozenset({"sqlite_master", "sqlite_schema"})


def kind(sql: str) -> StatementKind:
    """Return what the statement is about; what is not understood is SCHEMA, as is a write to sqlite_schema itself."""
    read = shape(sql)
    if read is None:
        return StatementKind.SCHEMA
    match read.verb:
        case Verb.SELECT:
            return StatementKind.READ
        case Verb.INSERT | Verb.UPDATE | Verb.DELETE:
            return StatementKind.SCHEMA if read.name.lower() in _SCHEMA_TABLES else StatementKind.DATA
        case Verb.SESSION:
            return StatementKind.SESSION
        case Verb.PRAGMA:
            return _pragma_kind(read)
        case (
            Verb.CREATE
            | Verb.DROP
            | Verb.ADD_COLUMN
            | Verb.DROP_COLUMN
            | Verb.RENAME_TABLE
            | Verb.RENAME_COLUMN
            | Verb.VACUUM
            | Verb.MAINTAIN
        ):
            return StatementKind.SCHEMA
        case _:
            assert_never(read.verb)


def answers(sql: str) -> bool:
    """Return whether it looks at the database, so that what its sender does next may depend on what is there."""
    return kind(sql) is StatementKind.READ


def roles_made(sql: str) -> frozenset[str]:  # noqa: ARG001 - the Protocol's shape
    """Return none: SQLite knows no roles."""
    return frozenset()


def hide_literals(sql: str) -> str:
    """Return the statement on one line with every literal replaced by `?`, for display; comments are left out."""
    return syntax.hide_literals(sql)


def concurrent(sql: str) -> bool:
    """Return whether it must run outside a transaction: only VACUUM. Source: https://www.sqlite.org/lang_vacuum.html."""
    read = shape(sql)
    return read is not None and read.verb is Verb.VACUUM


def landed(conn: Connection, sql: str) -> Landed:
    """Return whether an interrupted statement took effect, from sqlite_schema.

    An object of that name and another definition is UNKNOWN: it is not what the statement would have made.
    """
    read = shape(sql)
    if read is None or read.temporary:
        return Landed.UNKNOWN
    match read.verb:
        case Verb.CREATE:
            return _created(conn, read)
        case Verb.DROP:
            return _when(_object(conn, read.kind, read.name) is None)
        case Verb.ADD_COLUMN:
            columns = _columns(conn, read.name)
            return _when(read.column.lower() in columns) if columns else Landed.UNKNOWN
        case Verb.DROP_COLUMN:
            columns = _columns(conn, read.name)
            return _when(read.column.lower() not in columns) if columns else Landed.UNKNOWN
        case Verb.RENAME_TABLE:
            return _renamed(bool(_columns(conn, read.name)), bool(_columns(conn, read.new_name)))
        case Verb.RENAME_COLUMN:
            columns = _columns(conn, read.name)
            return _renamed(read.column.lower() in columns, read.new_name.lower() in columns)
        case _:
            return Landed.UNKNOWN


def discard(sql: str) -> str | None:  # noqa: ARG001 - the Protocol's shape
    """Return None: SQLite leaves nothing broken behind, every statement is whole or undone."""
    return None


def progress(conn: Connection, pid: int) -> Progress | None:  # noqa: ARG001 - the Protocol's shape
    """Return None: SQLite does not say how far another process is."""
    return None


def _pragma_kind(read: Shape) -> StatementKind:
    sets = read.has("=") or read.has("(")
    if read.name in _READING_PRAGMAS.split():
        return StatementKind.READ
    if read.name in _ACTING_PRAGMAS:
        return StatementKind.SCHEMA
    if not sets:
        return StatementKind.READ
    return StatementKind.SESSION if read.name in _SESSION_PRAGMAS.split() else StatementKind.SCHEMA


def _created(conn: Connection, read: Shape) -> Landed:
    found = _object(conn, read.kind, read.name)
    if found is None:
        return Landed.NO
    kept = shape(found)
    same = kept is not None and syntax.canonical(kept.body[1:]) == syntax.canonical(read.body[1:])
    if same or read.from_query:
        return Landed.YES
    return Landed.UNKNOWN


def _renamed(old_is_there: bool, new_is_there: bool) -> Landed:  # noqa: FBT001 - two facts, not flags
    if old_is_there == new_is_there:
        return Landed.UNKNOWN
    return _when(new_is_there)


def _object(conn: Connection, kind: str, name: str) -> str | None:
    row = conn.execute(_OBJECT, {"name": name, "kind": kind.lower()}).first()
    return None if row is None else row.sql or ""


def _columns(conn: Connection, table: str) -> frozenset[str]:
    return frozenset(conn.execute(_COLUMNS, {"name": table}).scalars())


def _when(took_effect: bool) -> Landed:  # noqa: FBT001 - one fact, not a flag
    return Landed.YES if took_effect else Landed.NO

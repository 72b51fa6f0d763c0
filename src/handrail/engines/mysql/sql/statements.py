"""Reads statements of MySQL's and MariaDB's dialect: what they are, how to show them, whether they took effect."""

from __future__ import annotations

from sqlalchemy import Connection, text

from handrail.engines.base import Landed, Progress
from handrail.engines.mysql.sql import syntax
from handrail.engines.mysql.sql.actions import actions
from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.operation import StatementKind
from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec

# Each reads the data dictionary and takes no lock that others feel; a database that is not named is the session's.
_TABLE = text(
    "select 1 from information_schema.tables"
    " where table_schema = coalesce(nullif(:database, ''), database()) and table_name = :name"
)
_COLUMN = text(
    "select 1 from information_schema.columns where table_schema = coalesce(nullif(:database, ''), database())"
    " and table_name = :name and column_name = :part"
)
_INDEX = text(
    "select 1 from information_schema.statistics where table_schema = coalesce(nullif(:database, ''), database())"
    " and table_name = :name and index_name = :part"
)
_CONSTRAINT = text(
    "select 1 from information_schema.table_constraints"
    " where table_schema = coalesce(nullif(:database, ''), database()) and table_name = :name"
    " and constraint_name = :part"
)
_READING = frozenset({"SELECT", "SHOW", "DESC", "DESCRIBE", "EXPLAIN", "VALUES", "TABLE", "WITH"})
#: Statements that write to files or variables, and so answer nothing: https://dev.mysql.com/doc/refman/8.0/en/select-into.html
_NO_ANSWER = frozenset({"OUTFILE", "DUMPFILE"})
_SESSION_OTHERS = frozenset({"USE", "UNLOCK TABLES", "LOCK", "START"})


def kind(sql: str) -> StatementKind:
    """Return what the statement is about; what is not understood is SCHEMA, as is SET GLOBAL."""
    found = actions(sql)
    if not found:
        return StatementKind.READ if _first(sql) in _READING else StatementKind.SESSION
    kinds = {_kind(action) for action in found}
    order = (StatementKind.SCHEMA, StatementKind.DATA, StatementKind.SESSION)
    return next(kind for kind in order if kind in kinds)


def _kind(action: Action) -> StatementKind:
    match action:
        case act.WriteRows(verb=act.Verb.TRUNCATE):
            return StatementKind.SCHEMA  # it is DDL: https://dev.mysql.com/doc/refman/8.0/en/truncate-table.html
        case act.WriteRows():
            return StatementKind.DATA
        case act.SetSetting(name=name):
            return StatementKind.SCHEMA if name.startswith(("global ", "persist ")) else StatementKind.SESSION
        case act.TransactionControl() | act.LockTable():
            return StatementKind.SESSION
        case act.Other(what=what):
            return StatementKind.SESSION if what in _SESSION_OTHERS else StatementKind.SCHEMA
        case _:
            return StatementKind.SCHEMA


def _first(sql: str) -> str:
    words = [word for word in syntax.tokens(sql) if word != "("]
    return words[0].upper() if words else ""


def answers(sql: str) -> bool:
    """Return whether it looks at the database, so that what its sender does next may depend on what is there."""
    if kind(sql) is not StatementKind.READ:
        return False
    return _NO_ANSWER.isdisjoint(word.upper() for word in syntax.tokens(sql))


def roles_made(sql: str) -> frozenset[str]:
    """Return the users and roles that it creates, with no look whether they exist."""
    if "IF NOT EXISTS" in syntax.canonical(syntax.tokens(sql)).upper():
        return frozenset()
    made = (a for a in actions(sql) if isinstance(a, act.CreateObject) and a.kind in {"user", "role"})
    return frozenset(each.name for each in made)


def hide_literals(sql: str) -> str:
    """Return the statement on one line with every literal replaced by `?`, for display; comments are left out."""
    return syntax.hide_literals(sql)


def concurrent(sql: str) -> bool:  # noqa: ARG001 - the Protocol's shape
    """Return False: every DDL statement commits by itself, none must be sent outside a transaction."""
    return False


def landed(conn: Connection, sql: str) -> Landed:
    """Return whether an interrupted statement took effect, from the data dictionary.

    MySQL 8.0 and MariaDB 10.6 carry out one DDL statement whole or not at all
    (https://dev.mysql.com/doc/refman/8.0/en/atomic-ddl.html, https://mariadb.com/kb/en/atomic-ddl/): its first action
    that leaves a trace by name tells. UNKNOWN for those that leave none, as MODIFY.
    """
    told = [found for action in actions(sql) if (found := _landed(conn, action)) is not Landed.UNKNOWN]
    return told[0] if told and len(set(told)) == 1 else Landed.UNKNOWN


def _landed(conn: Connection, action: Action) -> Landed:
    match action:
        case act.CreateTable(table=table, temporary=False):
            return _when(_there(conn, table))
        case act.DropTable(table=table):
            return _when(not _there(conn, table))
        case act.RenameTable(table=table, new_name=new):
            return _moved(_there(conn, table), _there(conn, new))
        case act.RenameColumn(table=table, column=old, new_name=new):
            return _moved(_has(conn, "column", table, old), _has(conn, "column", table, new))
        case _:
            return _part_landed(conn, action)


def _part_landed(conn: Connection, action: Action) -> Landed:
    """Return whether a part of a table came or went."""
    match action:
        case act.AddColumn(table=table, column=ColumnSpec(name=name)):
            what, comes = "column", True
        case act.DropColumn(table=table, column=name):
            what, comes = "column", False
        case act.CreateIndex(table=table, index=IndexSpec(name=name)):
            what, comes = "index", True
        case act.DropIndex(table=table, name=name):
            what, comes = "index", False
        case act.AddConstraint(table=table, constraint=ConstraintSpec(name=name)):
            what, comes = "constraint", True
        case act.DropConstraint(table=table, name=name):
            what, comes = "constraint", False
        case _:
            return Landed.UNKNOWN
    if not name or not _there(conn, table):
        return Landed.UNKNOWN
    return _when(_has(conn, what, table, name) is comes)


def _there(conn: Connection, table: str) -> bool:
    database, _, name = table.rpartition(".")
    return conn.execute(_TABLE, {"database": database, "name": name}).first() is not None


_PARTS = {"column": _COLUMN, "index": _INDEX, "constraint": _CONSTRAINT}


def _has(conn: Connection, what: str, table: str, part: str) -> bool:
    database, _, name = table.rpartition(".")
    return conn.execute(_PARTS[what], {"database": database, "name": name, "part": part}).first() is not None


def _moved(old_is_there: bool, new_is_there: bool) -> Landed:  # noqa: FBT001 - two facts, not flags
    return Landed.UNKNOWN if old_is_there == new_is_there else _when(new_is_there)


def _when(took_effect: bool) -> Landed:  # noqa: FBT001 - one fact, not a flag
    return Landed.YES if took_effect else Landed.NO


def discard(sql: str) -> str | None:  # noqa: ARG001 - the Protocol's shape
    """Return None: DDL is atomic, nothing broken is left behind."""
    return None


def progress(conn: Connection, pid: int) -> Progress | None:  # noqa: ARG001 - the Protocol's shape
    """Return None: how far an ALTER TABLE is stands in tables that are switched off on an ordinary server."""
    return None

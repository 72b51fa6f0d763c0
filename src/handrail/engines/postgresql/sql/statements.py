"""Reads SQL text: what a statement is about, how to show it, and whether an interrupted one took effect."""

from __future__ import annotations

import re
from functools import lru_cache

from sqlalchemy import Connection, text

from handrail.engines.base import Landed, Progress
from handrail.engines.postgresql.sql.functions import ACTING, called, calls_unknown
from handrail.engines.postgresql.sql.landing import questions
from handrail.engines.postgresql.sql.syntax import (
    WRITES,
    Node,
    analyzes,
    dotted,
    find,
    kind_of,
    library,
    qualified,
    statements,
    unwrap,
)
from handrail.model.operation import StatementKind

UNREADABLE = "<unreadable statement>"

_DATA = frozenset(
    {
        "CopyStmt",
        "DeleteStmt",
        "InsertStmt",
        "MergeStmt",
        "RefreshMatViewStmt",
        "TruncateStmt",
        "UpdateStmt",
    }
)  # fmt: skip - a list of words
_SESSION = frozenset(
    {
        "ClosePortalStmt",
        "ConstraintsSetStmt",
        "DeallocateStmt",
        "DeclareCursorStmt",
        "DiscardStmt",
        "ExecuteStmt",
        "FetchStmt",
        "ListenStmt",
        "NotifyStmt",
        "PrepareStmt",
        "TransactionStmt",
        "UnlistenStmt",
        "VariableSetStmt",
    }
)  # fmt: skip - a list of words
#: What begins so is of the strongest kind whatever follows, and need not be parsed to know it.
_CHANGES_SCHEMA = re.compile(r"\s*(?:alter|comment|create|drop|grant|revoke)\b", re.IGNORECASE)
_STRENGTH = (StatementKind.READ, StatementKind.SESSION, StatementKind.DATA, StatementKind.SCHEMA)

_LITERALS = ("SCONST", "USCONST", "BCONST", "XCONST", "ICONST", "FCONST")
_COMMENTS = ("SQL_COMMENT", "C_COMMENT")

# No lock; at most one row. Only the owner of a build, or a member of pg_read_all_stats, sees its numbers.
_PROGRESS = text("""
select phase, coalesce(blocks_done, 0), coalesce(blocks_total, 0), coalesce(tuples_done, 0), coalesce(tuples_total, 0),
       coalesce(lockers_done, 0), coalesce(lockers_total, 0), coalesce(current_locker_pid, 0)
from pg_catalog.pg_stat_progress_create_index where pid = :pid
""")


@lru_cache(maxsize=4096)  # asked several times of each statement
def kind(sql: str) -> StatementKind:
    """Return what the statement is about, the strongest of several; what is not understood is SCHEMA."""
    if _CHANGES_SCHEMA.match(sql):
        return StatementKind.SCHEMA
    nodes = statements(sql)
    if nodes is None:
        return StatementKind.SCHEMA
    return max(map(_kind, nodes), key=_STRENGTH.index, default=StatementKind.READ)


def answers(sql: str) -> bool:
    """Return whether it looks at the database, so that what its sender does next may depend on what is there.

    True for every query but those that are sent for the known effect of a function, such as setval().
    """
    if _CHANGES_SCHEMA.match(sql) and ";" not in sql:
        return False
    nodes = statements(sql) or ()
    return kind(sql) is StatementKind.READ or any(kind_of(n) == "SelectStmt" and calls_unknown(n) for n in nodes)


def roles_made(sql: str) -> frozenset[str]:
    """Return the names that its CREATE ROLE, USER and GROUP make; what a DO block makes is not seen."""
    return frozenset(node.role for node in statements(sql) or () if kind_of(node) == "CreateRoleStmt")


def hide_literals(sql: str) -> str:
    """Return the statement with every literal replaced by `?` and comments left out; `UNREADABLE` where it fails."""
    postgast = library()
    try:
        tokens = postgast.scan(sql).tokens
    except (postgast.PgQueryError, UnicodeEncodeError):
        return UNREADABLE
    names = postgast.pg_query_pb2.Token
    literals = {names.Value(name) for name in _LITERALS}
    comments = {names.Value(name) for name in _COMMENTS}
    raw, shown, at = sql.encode(), [], 0  # the scanner counts bytes
    for token in tokens:
        if token.token in literals or token.token in comments:
            shown += [raw[at : token.start], b"?" if token.token in literals else b""]
            at = token.end
    shown.append(raw[at:])
    return " ".join(b"".join(shown).decode().split())


def concurrent(sql: str) -> bool:
    """Return whether the text is one long statement that must run outside a transaction and without lock_timeout.

    CREATE INDEX, DROP INDEX, REINDEX and DETACH PARTITION with CONCURRENTLY, and VACUUM.
    """
    nodes = statements(sql)
    return nodes is not None and len(nodes) == 1 and _concurrent(nodes[0])


def landed(conn: Connection, sql: str) -> Landed:
    """Return whether an interrupted statement took effect, as far as its text names what to look for.

    Known: CREATE and DROP of indexes, tables, views and sequences, ADD and DROP of columns and constraints, VALIDATE,
    SET and DROP NOT NULL, ADD VALUE. Several subcommands must agree. An index that is there but not valid is BROKEN.
    UNKNOWN for everything else.
    """
    nodes = statements(sql)
    if nodes is None or len(nodes) != 1:
        return Landed.UNKNOWN
    asked = questions(nodes[0])
    answers = {Landed(conn.execute(question.sql, question.values).scalar_one()) for question in asked}
    return answers.pop() if len(answers) == 1 else Landed.UNKNOWN


def discard(sql: str) -> str | None:
    """Return the statement that removes the invalid index a failed CREATE or DROP INDEX CONCURRENTLY left behind."""
    nodes = statements(sql)
    if nodes is None or len(nodes) != 1 or not _concurrent(nodes[0]):
        return None
    node = nodes[0]
    if kind_of(node) == "IndexStmt" and node.idxname:
        name = qualified(node.relation.schemaname, node.idxname)
    elif kind_of(node) == "DropStmt":
        name = qualified(*dotted(unwrap(node.objects[0]).items))
    else:
        return None
    return f"DROP INDEX CONCURRENTLY IF EXISTS {name}"


def progress(conn: Connection, pid: int) -> Progress | None:
    """Return how far an index build of that session is, None where it builds none.

    Units: lockers while it waits for transactions, else blocks, else rows. Source:
    https://www.postgresql.org/docs/current/progress-reporting.html#CREATE-INDEX-PROGRESS-REPORTING.
    """
    row = conn.execute(_PROGRESS, {"pid": pid}).one_or_none()
    if row is None:
        return None
    phase, blocks, of_blocks, tuples, of_tuples, lockers, of_lockers, locker = row
    counted = [pair for pair in ((lockers, of_lockers), (blocks, of_blocks), (tuples, of_tuples)) if pair[1]]
    done, total = counted[0] if counted else (0, 0)
    return Progress(phase=phase, done=done, total=total, waits=bool(locker))


def _kind(node: Node) -> StatementKind:
    match kind_of(node):
        case "SelectStmt":
            return _select(node)
        case "CopyStmt" if not node.is_from:
            return _calls(node)
        case "ExplainStmt":
            return _kind(unwrap(node.query)) if analyzes(node) else StatementKind.READ
        case "VariableShowStmt":
            return StatementKind.READ
        case name if name in _DATA:
            return StatementKind.DATA
        case name if name in _SESSION:
            return StatementKind.SESSION
        case _:
            return StatementKind.SCHEMA


def _select(node: Node) -> StatementKind:
    if node.HasField("into_clause"):
        return StatementKind.SCHEMA
    if any(True for _ in find(node, *WRITES)):
        return StatementKind.DATA
    return _calls(node)


def _calls(node: Node) -> StatementKind:
    if calls_unknown(node):
        return StatementKind.DATA
    return max((ACTING[name] for name in called(node) & ACTING.keys()), key=_STRENGTH.index, default=StatementKind.READ)


def _concurrent(node: Node) -> bool:
    match kind_of(node):
        case "IndexStmt" | "DropStmt":
            return bool(node.concurrent)
        case "ReindexStmt":
            return any(option.defname == "concurrently" for option in map(unwrap, node.params))
        case "VacuumStmt":
            return bool(node.is_vacuumcmd)
        case "AlterTableStmt":
            return any(command.concurrent for command in find(node, "PartitionCmd"))
        case _:
            return False

"""What statements of SQLite do to others.

SQLite has one write lock for the whole file. RESERVED keeps other writers out while readers go on; with a rollback
journal, EXCLUSIVE, taken when changes no longer fit the cache and at COMMIT, keeps readers out as well; in WAL mode
readers never wait. The journal mode is not in the statement, so the rollback journal is assumed.
Sources: https://www.sqlite.org/lockingv3.html, https://www.sqlite.org/wal.html.
"""

from __future__ import annotations

from typing import assert_never

from handrail.engines.sqlite.sql.statements import kind
from handrail.engines.sqlite.sql.syntax import Shape, Verb, shape
from handrail.model.effect import Blocks, Cost, Effect
from handrail.model.operation import StatementKind
from handrail.model.verdict import Confidence

_LOCKS = "https://www.sqlite.org/lockingv3.html"


def effects(sql: str, *, server_major: int) -> tuple[Effect, ...]:  # noqa: ARG001 - every SQLite 3 does the same
    """Return the one lock a writing statement takes; nothing for statements that read or set.

    `relation` says what the statement is about, though the lock is the whole file's. `created_here` is never set: to
    create a table keeps writers of every other table waiting.
    """
    if kind(sql) in {StatementKind.READ, StatementKind.SESSION}:
        return ()
    read = shape(sql)
    if read is None:
        return (_effect("*", Cost.REWRITE, Confidence.LOW),)
    return (_effect(_relation(read), _cost(read), Confidence.HIGH),)


def _relation(read: Shape) -> str:
    return read.table or read.name or "*"


def _cost(read: Shape) -> Cost:
    match read.verb:
        case Verb.CREATE:
            return _cost_of_create(read)
        case Verb.DROP | Verb.UPDATE | Verb.DELETE:
            return Cost.SCAN  # the pages of a dropped table go to the free list one by one
        case Verb.INSERT:
            return Cost.REWRITE if read.has("SELECT") else Cost.INSTANT
        case Verb.ADD_COLUMN:
            # The rows are read to prove a CHECK, or NOT NULL of a generated column:
            # https://www.sqlite.org/lang_altertable.html#alter_table_add_column
            return Cost.SCAN if read.has("CHECK") or read.has("AS") else Cost.INSTANT
        case Verb.RENAME_TABLE | Verb.RENAME_COLUMN | Verb.PRAGMA:
            return Cost.INSTANT
        case Verb.DROP_COLUMN | Verb.VACUUM:
            return Cost.REWRITE
        case Verb.MAINTAIN | Verb.SELECT | Verb.SESSION:
            return Cost.SCAN
        case _:
            assert_never(read.verb)


def _cost_of_create(read: Shape) -> Cost:
    if read.kind == "INDEX":
        return Cost.SCAN
    return Cost.REWRITE if read.from_query else Cost.INSTANT


def _effect(relation: str, cost: Cost, confidence: Confidence) -> Effect:
    instant = cost is Cost.INSTANT
    return Effect(
        relation=relation,
        lock="RESERVED" if instant else "EXCLUSIVE",
        blocks=Blocks.WRITES if instant else Blocks.READS_AND_WRITES,
        cost=cost,
        confidence=confidence,
        source=_LOCKS,
    )

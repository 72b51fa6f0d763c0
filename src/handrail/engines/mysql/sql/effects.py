"""What statements of MySQL and MariaDB do to others.

Every ALTER TABLE takes the table's metadata lock exclusively for a moment at its end: it waits there for every
transaction that has touched the table, and whoever comes later waits behind it. What lies before that moment is told by
the algorithm (`model/online_ddl`). The lock modes are the server's own:
https://dev.mysql.com/doc/refman/8.0/en/metadata-locking.html.
"""

from __future__ import annotations

from collections.abc import Iterable

from handrail.engines.mysql.sql.actions import actions
from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.effect import Blocks, Cost, Effect
from handrail.model.online_ddl import FIRST_MARIADB, Algorithm, Way, blocks, source, way
from handrail.model.verdict import Confidence

_METADATA = "https://dev.mysql.com/doc/refman/8.0/en/metadata-locking.html"
_ROWS = "https://dev.mysql.com/doc/refman/8.0/en/innodb-locks-set.html"
_TABLES = "https://dev.mysql.com/doc/refman/8.0/en/lock-tables.html"
_FLUSHED = frozenset({"FLUSH TABLE", "FLUSH"})


def effects(sql: str, *, server_major: int) -> tuple[Effect, ...]:
    """Return every lock the statement takes that others may feel; what is not understood is assumed the worst.

    Majors up to 9 are MySQL's, those from 10 on MariaDB's. What a column was before is not in the statement: a MODIFY
    is assumed to copy the table, without certainty.
    """
    found = actions(sql)
    changed = dict.fromkeys(table for action in found if (table := _altered(action)))
    told = [effect for table in changed for effect in _of_table(table, found, server_major)]
    return (*told, *(effect for action in found for effect in _of(action)))


def _altered(action: Action) -> str:
    """Return the table of a part of ALTER TABLE, '' for anything else."""
    table = (
        "" if isinstance(action, act.CreateTable | act.DropTable | act.WriteRows | act.LockTable) else _table(action)
    )
    return table if table and way((action,), FIRST_MARIADB) is not None else ""


def _table(action: Action) -> str:
    found: object = getattr(action, "table", "")
    return found if isinstance(found, str) else ""


def _of_table(table: str, found: Iterable[Action], major: int) -> Iterable[Effect]:
    told = way((action for action in found if _table(action) == table), major)
    assert told is not None, "the table was chosen because one of its actions is a part of ALTER TABLE"
    yield _moment(table, told.algorithm, major)
    if told.algorithm is not Algorithm.INSTANT:
        yield _work(table, told, major)


def _moment(table: str, algorithm: Algorithm, major: int) -> Effect:
    return Effect(
        relation=table,
        lock=f"EXCLUSIVE ({algorithm.words.partition(',')[0]})",
        blocks=Blocks.READS_AND_WRITES,
        cost=Cost.INSTANT,
        source=source(major),
    )


def _work(table: str, told: Way, major: int) -> Effect:
    waiting = blocks(told.algorithm, major)
    mode = "SHARED_NO_WRITE" if waiting is Blocks.WRITES else "SHARED_UPGRADABLE"
    clause = told.algorithm.words if waiting is Blocks.WRITES else told.algorithm.words.replace("SHARED", "NONE")
    return Effect(
        relation=table,
        lock=f"{mode} ({clause})",
        blocks=waiting,
        cost=told.algorithm.cost,
        confidence=Confidence.HIGH if told.certain else Confidence.LOW,
        source=source(major),
    )


def _of(action: Action) -> Iterable[Effect]:
    match action:
        case act.CreateTable(table=table):
            yield _exclusive(table, created_here=True)
        case act.DropTable(table=table):
            yield _exclusive(table)
        case act.WriteRows(verb=act.Verb.TRUNCATE, table=table):
            yield _exclusive(table)
        case act.WriteRows(table=table, verb=verb):
            yield _rows(table, verb)
        case act.LockTable(table=table, mode=mode):
            yield _explicit(table, mode)
        case act.CreateObject(kind="trigger", table=table) if table:
            yield _exclusive(table)
        case act.Other(what=what, table=table) if what in _FLUSHED:
            yield _exclusive(table or "*")
        case act.Opaque():
            yield Effect(
                relation="*",
                lock="EXCLUSIVE",
                blocks=Blocks.READS_AND_WRITES,
                cost=Cost.REWRITE,
                confidence=Confidence.LOW,
                source=_METADATA,
            )


def _exclusive(table: str, *, created_here: bool = False) -> Effect:
    return Effect(
        relation=table,
        lock="EXCLUSIVE",
        blocks=Blocks.READS_AND_WRITES,
        cost=Cost.INSTANT,
        created_here=created_here,
        source=_METADATA,
    )


def _rows(table: str, verb: act.Verb) -> Effect:
    """Return the lock of a write: others write other rows meanwhile, schema changes wait."""
    return Effect(
        relation=table,
        lock="SHARED_WRITE",
        blocks=Blocks.SCHEMA_CHANGES,
        cost=Cost.INSTANT if verb is act.Verb.INSERT else Cost.SCAN,
        source=_ROWS,
    )


def _explicit(table: str, mode: str) -> Effect:
    waiting = Blocks.READS_AND_WRITES if mode == "WRITE" else Blocks.WRITES
    return Effect(relation=table, lock=f"LOCK TABLES {mode}", blocks=waiting, cost=Cost.INSTANT, source=_TABLES)

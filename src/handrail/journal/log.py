"""The migration log in the target: append-only, each entry chained to the one before by its hash.

An entry is written in the transaction of the revision it tells of, so DDL, version row and log row commit together.
The lease allows one writer, and UNIQUE(prev_hash) refuses a second one: tampering is detected, not prevented.
"""

from __future__ import annotations

import json
import zlib
from dataclasses import fields
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Connection

from handrail.engines.base import Engine
from handrail.journal.tables import exist, tables
from handrail.model.log import GENESIS, LogEntry, first_broken
from handrail.model.revision import Direction

_ENCODED = frozenset({"direction", "heads_before", "heads_after", "imports", "source"})
_PLAIN = tuple(f.name for f in fields(LogEntry) if f.name not in _ENCODED)


def append(conn: Connection, engine: Engine, entry: LogEntry, *, after: str = "") -> LogEntry:
    """Write the entry behind the last one, in the transaction of `conn`, and return it with its hashes.

    `after` is the last entry's hash where the caller knows it; it is looked up otherwise.
    """
    table = tables(engine).log
    last = after or conn.execute(sa.select(table.c.hash).order_by(table.c.id.desc()).limit(1)).scalar()
    chained = entry.chained(last or GENESIS)
    conn.execute(table.insert(), _row(chained))
    return chained


def _row(entry: LogEntry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in _PLAIN} | {
        "direction": entry.direction.value,
        "heads_before": json.dumps(entry.heads_before),
        "heads_after": json.dumps(entry.heads_after),
        "imports": json.dumps(entry.imports),
        "source": zlib.compress(entry.source),
    }


def entries(conn: Connection, engine: Engine) -> tuple[LogEntry, ...]:
    """Return the whole log, oldest first; () where it was never written."""
    if not exist(conn, engine):
        return ()
    table = tables(engine).log
    return tuple(_entry(row) for row in conn.execute(table.select().order_by(table.c.id)).mappings())


def broken(log: tuple[LogEntry, ...], seen_head: str) -> str:
    """Return what is wrong with the chain, '' when nothing is; `seen_head` is the last hash that the journal saw."""
    bad = first_broken(log)
    if bad is not None:
        return f"the entry of {bad.revision} at {bad.at} was changed, or does not follow the one before it"
    if seen_head and seen_head not in {e.hash for e in log}:
        return "entries that this journal has seen are missing at the end"
    return ""


def _entry(row: sa.RowMapping) -> LogEntry:
    """Return the entry of that row; one with a field that nobody can read has no hash, so that it is never intact."""
    fields = {k: v for k, v in row.items() if k != "id"}
    try:
        return LogEntry(**fields | _decoded(row))
    except (ValueError, TypeError, zlib.error):  # ValueError: no JSON, no UTF-8, no direction
        unread: dict[str, object] = {"heads_before": (), "heads_after": (), "imports": (), "source": b"", "hash": ""}
        return LogEntry(**fields | unread | {"direction": Direction.UPGRADE})


def _decoded(row: sa.RowMapping) -> dict[str, Any]:
    return {
        "direction": Direction(row["direction"]),
        "heads_before": tuple(json.loads(row["heads_before"])),
        "heads_after": tuple(json.loads(row["heads_after"])),
        "imports": tuple((name, digest) for name, digest in json.loads(row["imports"])),
        "source": zlib.decompress(row["source"]),
    }

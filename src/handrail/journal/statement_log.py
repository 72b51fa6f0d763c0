"""Which statements of a revision are done, for revisions that cannot be one transaction.

A row `intent` is committed before a statement that autocommits, a row `done` after it; statements inside a transaction
get their `done` row in that same transaction. The rows go when the revision is complete, so any row that stands means
a revision that is half applied.
"""

from __future__ import annotations

from dataclasses import replace

from sqlalchemy import ColumnElement, Connection, Table, and_

from handrail.engines.base import Engine
from handrail.journal.tables import tables
from handrail.model.revision import Direction
from handrail.model.standing import DONE, StatementRecord


def write(conn: Connection, engine: Engine, record: StatementRecord) -> None:
    """Insert the record, or move it from `intent` to `done`."""
    table = tables(engine).statement_log
    changed = conn.execute(table.update().where(_is(table, record)).values(state=record.state, run=record.run)).rowcount
    if not changed:
        conn.execute(
            table.insert().values(
                revision=record.revision,
                direction=record.direction.value,
                ordinal=record.ordinal,
                run=record.run,
                digest=record.digest,
                sql=record.sql,
                state=record.state,
                file_digest=record.file_digest,
            )
        )


def finish(conn: Connection, engine: Engine, record: StatementRecord) -> None:
    """Move the record to `done`."""
    write(conn, engine, replace(record, state=DONE))


def drop(conn: Connection, engine: Engine, record: StatementRecord) -> None:
    """Remove the row of one statement that turned out not to have happened."""
    table = tables(engine).statement_log
    conn.execute(table.delete().where(_is(table, record)))


def forget(conn: Connection, engine: Engine, revision: str) -> None:
    """Remove the rows of a revision that is complete, or of which nothing was committed."""
    table = tables(engine).statement_log
    conn.execute(table.delete().where(table.c.revision == revision))


def read(conn: Connection, engine: Engine) -> tuple[StatementRecord, ...]:
    """Return every row that stands, in order; () where nothing is half applied. Our tables must exist."""
    table = tables(engine).statement_log
    rows = conn.execute(table.select().order_by(table.c.revision, table.c.ordinal)).mappings()
    return tuple(
        StatementRecord(
            revision=row["revision"],
            direction=Direction(row["direction"]),
            ordinal=row["ordinal"],
            run=row["run"],
            digest=row["digest"],
            sql=row["sql"],
            state=row["state"],
            file_digest=row["file_digest"],
        )
        for row in rows
    )


def _is(table: Table, record: StatementRecord) -> ColumnElement[bool]:
    return and_(
        table.c.revision == record.revision,
        table.c.direction == record.direction.value,
        table.c.ordinal == record.ordinal,
    )

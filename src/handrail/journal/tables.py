"""Our tables in the target: schema `handrail` where the engine has schemas, tables `handrail_*` elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import sqlalchemy as sa
from sqlalchemy import Column, Connection, DateTime, Integer, LargeBinary, MetaData, String, Table, Text, func
from sqlalchemy.schema import CreateSchema

from handrail.engines.base import Engine, transaction
from handrail.errors import TargetRefused

_SERIAL = sa.BigInteger().with_variant(Integer, "sqlite")  # SQLite numbers rows itself only for INTEGER


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTables:
    """The four tables and the metadata they belong to."""

    metadata: MetaData
    log: Table
    statement_log: Table
    lease: Table
    identity: Table


def tables(engine: Engine) -> TargetTables:
    """Return our tables as they are called on that engine."""
    return _tables(engine.state_schema)


@cache
def _tables(schema: str | None) -> TargetTables:
    metadata = MetaData(schema=schema)
    prefix = "" if schema else "handrail_"
    return TargetTables(
        metadata=metadata,
        log=_log(f"{prefix}log", metadata),
        statement_log=_statement_log(f"{prefix}statement_log", metadata),
        lease=_lease(f"{prefix}lease", metadata),
        identity=_identity(f"{prefix}identity", metadata),
    )


def _log(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("id", _SERIAL, primary_key=True),
        Column("run", String(40), nullable=False),
        Column("at", String(40), nullable=False),
        Column("who", Text, nullable=False),
        Column("environment", Text, nullable=False),
        Column("revision", Text, nullable=False),
        Column("direction", String(10), nullable=False),
        Column("heads_before", Text, nullable=False),
        Column("heads_after", Text, nullable=False),
        Column("file", Text, nullable=False),
        Column("file_digest", String(64), nullable=False),
        Column("source", LargeBinary, nullable=False),
        Column("imports", Text, nullable=False),
        Column("duration_ms", Integer, nullable=False),
        Column("result", String(20), nullable=False),
        Column("prev_hash", String(64), nullable=False, unique=True),
        Column("hash", String(64), nullable=False),
    )


def _statement_log(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("revision", String(255), primary_key=True),
        Column("direction", String(10), primary_key=True),
        Column("ordinal", Integer, primary_key=True, autoincrement=False),
        Column("run", String(40), nullable=False),
        Column("digest", String(64), nullable=False),
        Column("sql", Text, nullable=False),
        Column("state", String(10), nullable=False),
        Column("file_digest", String(64), nullable=False),
        Column("at", DateTime(timezone=True), nullable=False, server_default=func.current_timestamp()),
    )


def _lease(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        # unique, so that taking the lease over needs FOR UPDATE and waits for a step that holds FOR KEY SHARE
        Column("token", Integer, nullable=False, unique=True),
        Column("run", String(40), nullable=False),
        Column("command", String(20), nullable=False),
        Column("goal", Text, nullable=False),
        Column("owner", Text, nullable=False),
        Column("state", String(10), nullable=False),
        Column("session_pid", Integer),
        Column("session_started", Text),
        Column("taken_at", DateTime(timezone=True), nullable=False),
        Column("heartbeat_at", DateTime(timezone=True), nullable=False),
    )


def _identity(name: str, metadata: MetaData) -> Table:
    return Table(
        name,
        metadata,
        Column("id", Integer, primary_key=True, autoincrement=False),
        Column("uuid", String(36), nullable=False),
        Column("environment", Text, nullable=False),
        Column("system_id", Text, nullable=False),
        Column("database_oid", Text, nullable=False),
        Column("database", Text, nullable=False),
        Column("host", Text, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.current_timestamp()),
    )


def exist(conn: Connection, engine: Engine) -> bool:
    """Return whether our tables are in the target (they are made together, in one transaction)."""
    return sa.inspect(conn).has_table(tables(engine).identity.name, schema=engine.state_schema)


def create(conn: Connection, engine: Engine) -> None:
    """Make our tables where they are missing, in one transaction of `conn` (autocommit). Call under the lease.

    Raises TargetRefused where tables of others have their names.
    """
    if exist(conn, engine):
        return
    with transaction(conn):
        # IF NOT EXISTS asks for the right to create schemas even where this one was made for us
        if engine.state_schema and not sa.inspect(conn).has_schema(engine.state_schema):
            conn.execute(CreateSchema(engine.state_schema))
        _refuse_taken(conn, engine)
        tables(engine).metadata.create_all(conn)


def _refuse_taken(conn: Connection, engine: Engine) -> None:
    there = set(sa.inspect(conn).get_table_names(schema=engine.state_schema))
    ours = {table.name: table.fullname for table in tables(engine).metadata.sorted_tables}
    taken = [ours[name] for name in sorted(there & ours.keys())]
    if taken and len(taken) < len(ours):
        raise TargetRefused(
            what="Handrail cannot make its tables here; nothing was touched",
            why=f"{', '.join(taken)} is there already, and not of its making",
            fix="rename it, or drop it where nobody needs it",
        )

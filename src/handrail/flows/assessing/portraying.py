"""Takes what a review needs of a database, without any row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from sqlalchemy import Connection

from handrail.flows.ports import Ports
from handrail.model.portrait import Portrait
from handrail.model.schema import Snapshot
from handrail.model.size import TableSize
from handrail.model.standing import Standing


def portray(ports: Ports, conn: Connection, standing: Standing) -> Portrait:
    """Return server, revision, schema and sizes of the database behind `conn`, which reads."""
    snapshot = ports.engine.catalog.snapshot(conn, version_table=ports.version_table)
    measured = {size.table: size for size in ports.engine.sizes.measure(conn)}
    return Portrait(
        environment=ports.environment.name,
        database=standing.target.database,
        engine=ports.engine.name,
        server=standing.target.server,
        server_major=standing.target.server_major,
        heads=standing.heads,
        taken_at=ports.clock.now(),
        default_schema=ports.engine.ground.schema(conn) or "",
        snapshot=snapshot,
        sizes=tuple(_sizes(snapshot, measured)),
    )


def _sizes(snapshot: Snapshot, measured: Mapping[str, TableSize]) -> Iterator[TableSize]:
    """Yield the size of each table and materialized view of the snapshot, also of one whose size is not known."""
    views = (thing.name for thing in snapshot.objects if thing.kind == "materialized view")
    for name in (*(table.name for table in snapshot.tables), *views):
        yield measured.get(name, TableSize(table=name))

"""When each version of the application was last seen, in a table of the journal."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table

from handrail.engines.base import transaction
from handrail.model.sighting import Sighting, merged

_METADATA = MetaData()
_SIGHTINGS = Table(
    "handrail_sightings",
    _METADATA,
    Column("environment", String(200), primary_key=True),
    Column("application", String(100), primary_key=True),
    Column("version", String(100), primary_key=True),
    Column("seen_at", String(40), nullable=False),
    Column("sessions", Integer, nullable=False),
    Column("wrote_at", String(40), nullable=False),
)


def read(conn: Connection) -> tuple[Sighting, ...]:
    """Return what was seen, the newest first; () where nothing ever was."""
    if not sa.inspect(conn).has_table(_SIGHTINGS.name):
        return ()
    return merged((), (Sighting(**row) for row in conn.execute(_SIGHTINGS.select()).mappings()))


def keep(conn: Connection, new: Iterable[Sighting]) -> None:
    """Write what was seen, in place of what was seen of the same before. `conn` commits each statement."""
    _METADATA.create_all(conn)
    with transaction(conn):
        known = merged(read(conn), new)
        conn.execute(_SIGHTINGS.delete())
        if known:
            conn.execute(_SIGHTINGS.insert(), [asdict(each) for each in known])

"""Whether a table may be read."""

from __future__ import annotations

from sqlalchemy import Connection


def missing(conn: Connection, name: str) -> None:
    """Return None: who may read the file may read every table."""

"""What tables rest on and models do not make: nothing in a SQLite file."""

from __future__ import annotations

from sqlalchemy import Connection

from handrail.model.schema import Snapshot


def schema(conn: Connection) -> None:
    """Return None: a file has no schemas."""


def lay(conn: Connection, snapshot: Snapshot) -> None:
    """Make nothing: there are no schemas, extensions, domains or functions in a file."""

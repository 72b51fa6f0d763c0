"""Who may do what: there are no roles."""

from __future__ import annotations

from sqlalchemy import Connection


def missing(conn: Connection, name: str) -> None:
    """Return None: who may read the file may read every table."""


def granted(conn: Connection, *, version_table: str) -> tuple[()]:  # noqa: ARG001 - the Protocol's shape
    """Return nothing: there is nobody to grant it to."""
    return ()

"""What depends on an object."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sqlalchemy import Connection

if TYPE_CHECKING:
    from handrail.model.action import Action


def taken(conn: Connection, action: Action) -> tuple[str, ...]:  # noqa: ARG001 - the Protocol's shape
    """Return nothing: SQLite's DROP has no CASCADE. Source: https://www.sqlite.org/lang_droptable.html."""
    return ()

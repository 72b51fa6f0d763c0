"""What gives keys to new rows: SQLite itself, from the table's largest one."""

from __future__ import annotations

from collections.abc import Iterator

from sqlalchemy import Connection

from handrail.model.sequence import ServingSequence


def serving(conn: Connection) -> Iterator[ServingSequence]:  # noqa: ARG001 - the Protocol's shape
    """Yield nothing: a new rowid is one more than the largest there is, with AUTOINCREMENT that there ever was.

    Source: https://www.sqlite.org/autoinc.html.
    """
    return iter(())

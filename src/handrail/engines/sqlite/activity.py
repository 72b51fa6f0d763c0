"""What else speaks against migrating a SQLite file now."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from handrail.engines.base import Refusal
from handrail.engines.sqlite.diagnosis import unwritable
from handrail.engines.sqlite.session import connected_file

# SHARED lock; reads every page of the file, so it is asked only where space is short. The module is a build option:
# https://www.sqlite.org/dbstat.html.
_LARGEST = text("""
select max(size) from (
  select coalesce(m.tbl_name, s.name) as owner, sum(s.pgsize) as size
  from dbstat as s left join sqlite_schema as m on m.name = s.name
  where s.aggregate = true
  group by owner
)
""")


def refusals(conn: Connection, *, oldest_transaction_s: float) -> tuple[Refusal, ...]:  # noqa: ARG001 - SQLite tells no ages
    """Return every reason not to migrate now: a file or folder that may not be written, a disk too full for a rewrite.

    A journal left by a crashed writer is none: SQLite rolls it back when the file is next written.
    """
    return tuple(_refusals(conn))


def reading_rights(user: str) -> str:  # noqa: ARG001 - the Protocol's shape
    """Return nothing: SQLite has no rights of its own."""
    return ""


def end_session(conn: Connection, pid: int, started: str) -> bool:  # noqa: ARG001 - the Protocol's shape
    """Return False: the locks of a dead process are gone with it, and a living one is not ours to end."""
    return False


def session(conn: Connection) -> tuple[int, str]:  # noqa: ARG001 - the Protocol's shape
    """Return our process id; SQLite keeps no start time."""
    return os.getpid(), ""


def _refusals(conn: Connection) -> Iterator[Refusal]:
    file = connected_file(conn)
    place = unwritable(file)
    if place:
        yield Refusal(
            what=f"{place} may not be written",
            why="SQLite writes the database and, beside it, its journal",
            fix="run as the user who owns the database, or correct the rights",
        )
    if not file.exists():
        return
    free_bytes = shutil.disk_usage(file.parent).free
    if free_bytes < file.stat().st_size and free_bytes < (needed_bytes := _largest_bytes(conn, file.stat().st_size)):
        yield Refusal(
            what=f"too little disk space beside {file}",
            why=f"{free_bytes} bytes are free, and to rewrite the largest table takes {needed_bytes}",
            fix="free disk space, then run the command again",
        )


def _largest_bytes(conn: Connection, file_bytes: int) -> int:
    """Return the size of the largest table with its indexes, or the whole file's where SQLite does not say."""
    try:
        return conn.execute(_LARGEST).scalar() or 0
    except OperationalError:
        return file_bytes

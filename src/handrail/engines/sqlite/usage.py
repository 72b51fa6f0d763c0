"""What can be told of the other users of a SQLite file: that it was read or written, not by whom."""

from __future__ import annotations

import os

from sqlalchemy import Connection

from handrail.engines.sqlite.session import connected_file
from handrail.model.query import Query
from handrail.model.sighting import Presence
from handrail.model.verdict import Unsupported

_LONG_AGO_NS = 10**9


def presences(conn: Connection) -> tuple[Presence, ...] | Unsupported:  # noqa: ARG001 - the Protocol's shape
    """Return why not: a file has no sessions."""
    return Unsupported(reason="SQLite does not tell who has the file open")


def queries(conn: Connection) -> tuple[Query, ...] | Unsupported:  # noqa: ARG001 - the Protocol's shape
    """Return why not: nobody counts."""
    return Unsupported(reason="SQLite keeps no statistics of statements; name a file of statements or a log")


def visits(conn: Connection) -> int:
    """Return the time of the last look at the file, or write to it; the time of looks is set back for the next ask.

    Linux tells of the first look after that also where it does not tell of each (relatime); with noatime only writes
    are seen: https://man7.org/linux/man-pages/man8/mount.8.html.
    """
    file = connected_file(conn)
    status = file.stat()
    seen = max(status.st_atime_ns, status.st_mtime_ns)
    os.utime(file, ns=(_LONG_AGO_NS, status.st_mtime_ns))
    return seen

"""How our connections to one file are opened, for each purpose."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from urllib.parse import unquote, urlsplit

from sqlalchemy import URL, Connection, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from handrail.engines.base import Purpose, opening
from handrail.engines.sqlite.diagnosis import check_writable, unreachable
from handrail.engines.sqlite.reading import readable
from handrail.errors import UsageRefused

#: How long a statement waits for another connection's lock where the URL has no `timeout`, in seconds.
BUSY_TIMEOUT_S = 5.0

FILE = "handrail.sqlite.file"
PURPOSE = "handrail.sqlite.purpose"
UNTIL_CLOSED = "handrail.sqlite.until_closed"

# RESERVED lock: others go on reading and cannot begin to write. https://www.sqlite.org/lockingv3.html
_BEGIN = "BEGIN IMMEDIATE"
_DRIVER_OPTIONS = frozenset({"cached_statements", "check_same_thread", "detect_types"})
_DRIVERS = frozenset({"", "pysqlite", "aiosqlite"})
# SHARED lock, one page: the first statement that really opens the file.
_TOUCH = "PRAGMA schema_version"
# No lock. Refuses every write of the connection, on a private copy too.
_QUERY_ONLY = "PRAGMA query_only = ON"


def file_of(url: URL) -> Path:
    """Return the absolute path of the file behind a URL, as SQLAlchemy resolves it. Raises UsageRefused."""
    if url.drivername.partition("+")[2] not in _DRIVERS:
        raise UsageRefused(
            what=f"the driver of {url.drivername} cannot be used; nothing was touched",
            why="Handrail opens SQLite files with Python's own sqlite3 module",
            fix="write the environment's url as sqlite:///path/to/file.db",
        )
    if url.host or url.username or url.password or url.port:
        raise UsageRefused(
            what="the database URL cannot be used; nothing was touched",
            why="it names a server or a user, which SQLite does not have; a path follows three slashes",
            fix="write it as sqlite:///path/to/file.db, or sqlite:////path/to/file.db from the root",
        )
    database = url.database or ":memory:"
    memory = database == ":memory:" or url.query.get("mode") == "memory"
    if database.startswith("file:") and "uri" in url.query:
        parts = urlsplit(database)
        database = unquote(parts.path)
        memory = memory or "mode=memory" in parts.query or database == ":memory:"
    if memory or not database:
        raise UsageRefused(
            what="a database in memory cannot be migrated; nothing was touched",
            why="nothing of it is left when the command ends",
            fix="name a file: sqlite:///path/to/file.db",
        )
    return Path(os.path.abspath(database))  # noqa: PTH100 - as SQLAlchemy does; resolve() would follow symlinks


def connected_file(conn: Connection) -> Path:
    """Return the file a connection of ours stands for, also where the file does not exist yet."""
    file: Path = conn.info[FILE]
    return file


@contextmanager
def connect(url: URL, purpose: Purpose) -> Iterator[Connection]:
    """Open one connection and close it at the end. Raises Unreachable, TargetRefused or UsageRefused."""
    file = file_of(url)
    timeout_s = _timeout_s(url)
    if purpose is Purpose.READ:
        with readable(file) as found, _opened(found, file, purpose, timeout_s) as conn:
            yield conn
        return
    check_writable(file)
    options = {key: value for key, value in url.query.items() if key in _DRIVER_OPTIONS}
    writable = url.set(drivername="sqlite+pysqlite", database=str(file), query=options)
    with _opened(writable, file, purpose, timeout_s) as conn:
        yield conn


def _timeout_s(url: URL) -> float:
    written = url.query.get("timeout", str(BUSY_TIMEOUT_S))
    try:
        return float(str(written))
    except ValueError as exc:
        raise UsageRefused(
            what="the timeout in the database URL cannot be used; nothing was touched",
            why=f"{written!r} is not a number of seconds",
            fix="write it as ?timeout=5",
        ) from exc


@contextmanager
def _opened(url: URL, file: Path, purpose: Purpose, timeout_s: float) -> Iterator[Connection]:
    arguments = {"isolation_level": None, "timeout": timeout_s}
    engine = create_engine(url, poolclass=NullPool, connect_args=arguments)
    if purpose is Purpose.MIGRATE:
        event.listen(engine, "begin", _begin_immediate)
    if purpose is Purpose.STATE:
        event.listen(engine, "before_cursor_execute", _as_writer, retval=True)
    with opening():
        try:
            conn = engine.connect()
        except DBAPIError as exc:
            raise unreachable(file, exc) from exc
    with closing(conn):
        try:
            driver = driver_of(conn)
            driver.execute(_TOUCH)
            if purpose is Purpose.READ:
                driver.execute(_QUERY_ONLY)
        except sqlite3.Error as exc:
            raise unreachable(file, exc) from exc
        conn.info[FILE] = file
        conn.info[PURPOSE] = purpose
        with ExitStack() as until_closed:
            conn.info[UNTIL_CLOSED] = until_closed
            yield conn


def driver_of(conn: Connection) -> sqlite3.Connection:
    """Return the driver's own connection, for statements that must not begin a transaction."""
    driver = conn.connection.driver_connection
    assert isinstance(driver, sqlite3.Connection)
    return driver


def _begin_immediate(conn: Connection) -> None:
    """Take the write lock where SQLAlchemy begins, so that a step never fails half-way for want of it.

    Alembic's autocommit_block() leaves the driver in the mode that begins and commits by itself: undone here.
    """
    if conn.get_execution_options().get("isolation_level") == "AUTOCOMMIT":
        return
    driver_of(conn).isolation_level = None
    conn.exec_driver_sql(_BEGIN)


def _as_writer(
    conn: Connection,  # noqa: ARG001 - the event's shape
    cursor: sqlite3.Cursor,  # noqa: ARG001 - the event's shape
    statement: str,
    parameters: object,
    context: object,  # noqa: ARG001 - the event's shape
    executemany: bool,  # noqa: ARG001, FBT001 - the event's shape
) -> tuple[str, object]:
    """Begin every transaction on our own tables with the write lock.

    A plain BEGIN that reads first and writes later is refused at once, without waiting, when another one does the same:
    https://www.sqlite.org/lang_transaction.html.
    """
    return (_BEGIN if statement == "BEGIN" else statement), parameters

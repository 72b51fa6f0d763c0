"""Archives of a SQLite file: copies made by SQLite's backup API, from a database that others use meanwhile."""

from __future__ import annotations

import os
import shlex
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Engine, Purpose, for_url, opening
from handrail.engines.sqlite.catalog import SERVER_MAJOR
from handrail.engines.sqlite.session import connect as connect_to
from handrail.engines.sqlite.session import connected_file, driver_of, file_of
from handrail.errors import BackupUnproved, TargetRefused
from handrail.host.partial import Partial, partial
from handrail.model.backup import Extent, Program
from handrail.model.needs import Needs
from handrail.model.particular import Particular
from handrail.model.target import Target

SUFFIX = ".db"
_PROGRAM = "sqlite3 backup"
_PAGES_AT_A_TIME = 10_000
_WAL = "wal"
#: Writing has failed, and all that is written is the copy. https://www.sqlite.org/rescode.html
_NO_ROOM = frozenset({sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE})

# SHARED lock from the next statement on, which is what makes it a snapshot; not BEGIN, which takes the write lock.
_BEGIN = "BEGIN DEFERRED"
_FIRST_READ = "select count(*) from sqlite_schema"
# No lock beyond SHARED for a moment.
_JOURNAL_MODE = text("PRAGMA journal_mode")
_NOT_EMPTY = text("select exists (select from_ from (select 1 as from_ from sqlite_schema))")
# SHARED lock for a moment: https://www.sqlite.org/pragma.html#pragma_application_id.
_NUMBERS_OF_THE_HEADER = ("application_id", "user_version")
# SHARED lock; reads every page, and every index against its table.
_INTEGRITY = "PRAGMA integrity_check(20)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A copy to be made of the snapshot of that connection; satisfies `Dump`."""

    conn: Connection
    archive: Path

    def sequences(self) -> tuple[tuple[str, str, str], ...]:
        """Return (): here they are rows of the snapshot like others."""
        return ()

    def finish(self, tell: Callable[[int, int], None]) -> Program:
        """Copy page by page inside the connection's own read transaction. Raises BackupUnproved."""
        source = driver_of(self.conn)
        page_bytes = source.execute("PRAGMA page_size").fetchone()[0]
        try:
            with closing(_opened(self.archive)) as copy:
                source.backup(
                    copy,
                    pages=_PAGES_AT_A_TIME,
                    progress=lambda _status, left, total: tell((total - left) * page_bytes, total * page_bytes),
                )
        except sqlite3.Error as exc:
            raise _failed(exc) from exc
        return Program(name=_PROGRAM, version=sqlite3.sqlite_version, major=SERVER_MAJOR)


class SqliteBackups:
    """Makes archives of one file; satisfies `Backups`."""

    suffix = SUFFIX

    def __init__(self, url: URL) -> None:
        self._url = url

    def estimate(self, conn: Connection) -> Extent:
        """Return the size of the file with its write-ahead log, and whether writers have to wait."""
        file = connected_file(conn)
        pieces = (file, Path(f"{file}-wal"))
        wal = conn.execute(_JOURNAL_MODE).scalar_one() == _WAL
        return Extent(
            database_bytes=sum(piece.stat().st_size for piece in pieces if piece.exists()),
            others_wait="" if wal else "writers wait until it is copied, because the file is not in WAL mode",
        )

    @contextmanager
    def dump(self, file: Partial, *, compress: int, lock_wait: timedelta, run: str) -> Iterator[Copy]:  # noqa: ARG002 - the Protocol's shape
        """Begin a read transaction and give it; the copy is made in it by `finish`. Nothing is compressed.

        With the transaction open the backup API copies what it sees, and does not begin again when others write:
        sqlite3_backup_step() in https://www.sqlite.org/src/file/src/backup.c.
        """
        if not file_of(self._url).exists():
            raise BackupUnproved(
                what="no backup can be made; nothing was touched",
                why=f"the database {file_of(self._url)} does not exist",
                fix="correct the environment's url",
            )
        with connect_to(self._url, Purpose.STATE) as conn:
            try:
                conn.exec_driver_sql(_BEGIN)
                conn.exec_driver_sql(_FIRST_READ)
                yield Copy(conn=conn, archive=file.path)
                conn.exec_driver_sql("ROLLBACK")
            except DBAPIError as exc:
                raise _failed(exc.orig or exc) from exc

    def restore(
        self,
        archive: Path,
        into: Engine,
        *,
        program: Program,  # noqa: ARG002 - every SQLite reads it
        jobs: int,  # noqa: ARG002 - one file is copied by one
        owners: bool,  # noqa: ARG002 - SQLite knows none
        privileges: bool,  # noqa: ARG002 - SQLite knows none
    ) -> None:
        """Copy the archive into the file, whole or not at all, and check every page. Raises BackupUnproved."""
        file = file_of(into.url)
        try:
            with partial(file) as part, closing(_opened(archive, mode="ro", immutable="1")) as source:
                with closing(_opened(part.path)) as copy:
                    source.backup(copy)
                    wrong = [row[0] for row in copy.execute(_INTEGRITY) if row[0] != "ok"]
                if wrong:
                    raise BackupUnproved(
                        what="the archive cannot be restored; the database it was made of was not touched",
                        why=f"SQLite finds it damaged: {'; '.join(wrong[:3])}",
                        fix="make a new backup: handrail backup create",
                    )
                part.sync()
                part.keep()
        except sqlite3.Error as exc:
            raise BackupUnproved(
                what="the archive cannot be restored; the database it was made of was not touched",
                why=f"SQLite reports {exc}",
                fix="make a new backup: handrail backup create",
            ) from exc

    def contents(self, archive: Path, program: Program) -> frozenset[str]:  # noqa: ARG002 - the Protocol's shape
        """Return nothing: there are no owners to list."""
        return frozenset()

    def owners(self, conn: Connection) -> tuple[()]:  # noqa: ARG002 - the Protocol's shape
        """Return nothing: there are no roles."""
        return ()

    def particulars(self, conn: Connection) -> tuple[Particular, ...]:
        """Return the numbers that an application may keep in the file's header."""
        pairs = ((name, conn.exec_driver_sql(f"PRAGMA {name}").scalar_one()) for name in _NUMBERS_OF_THE_HEADER)
        return tuple(Particular(of=f"PRAGMA {name}", value=str(value)) for name, value in pairs)

    def named(self, into: str) -> Engine:
        """Return the engine of a URL, or of the file of that name beside ours; nothing is opened."""
        if "://" in into:
            return for_url(into)
        return for_url(self._url.set(database=str(file_of(self._url).parent / into)))

    def filling(self, into: Engine, what: str) -> AbstractContextManager[None]:  # noqa: ARG002 - the Protocol's shape
        """Do nothing: a file is filled as a whole or not at all."""
        return nullcontext()

    def way_back(self, into: Engine) -> str:
        """Return the command that deletes it."""
        return f"rm {shlex.quote(str(file_of(into.url)))}"

    def create(self, into: Engine, like: Needs, source: Target) -> None:  # noqa: ARG002 - a file needs nothing
        """Refuse what is there and not empty; the file is made when it is filled. Raises TargetRefused."""
        file, ours = file_of(into.url), file_of(self._url)
        if not file.exists():
            return
        if os.path.realpath(file) == os.path.realpath(ours):
            raise TargetRefused(
                what=f"a backup is never restored over the database it was made of; {file} was not touched",
                why=f"{file} is the environment's own database",
                fix="name a new file: --into NAME",
            )
        with into.connect(Purpose.READ) as conn:
            if conn.execute(_NOT_EMPTY).scalar_one():
                raise TargetRefused(
                    what=f"the database {file} is not empty; nothing was touched",
                    why="a backup is restored into a new or empty database only",
                    fix="name one that does not exist yet: --into NAME",
                )


def _opened(file: Path, **query: str) -> sqlite3.Connection:
    options = "&".join(f"{key}={value}" for key, value in query.items())
    with opening():
        return sqlite3.connect(f"file:{quote(str(file))}?{options}", uri=True, isolation_level=None)


def _failed(exc: BaseException) -> BackupUnproved:
    no_room = getattr(exc, "sqlite_errorcode", None) in _NO_ROOM
    return BackupUnproved(
        what="the backup failed; nothing was touched",
        why=f"SQLite reports {exc}",
        fix="make room, or set another folder: backup.directory of the environment"
        if no_room
        else "remove the cause, then make the backup again",
    )

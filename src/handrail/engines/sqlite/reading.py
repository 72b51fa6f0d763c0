"""How to read a database without leaving a trace beside it.

A read-only connection to a database in WAL mode creates `-wal` and `-shm` where there are none, and cannot remove them
(https://www.sqlite.org/wal.html#read_only_databases). A database whose last writer crashed cannot be read without being
repaired. So the way of reading is chosen by what stands beside the file.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from enum import Enum, auto
from errno import EISDIR
from pathlib import Path
from stat import S_ISDIR
from tempfile import TemporaryDirectory
from typing import assert_never
from urllib.parse import quote

from sqlalchemy import URL

from handrail.engines.base import opening
from handrail.engines.sqlite.diagnosis import unreachable
from handrail.errors import Unreachable

_COPY_ATTEMPTS = 3
# SHARED lock where the connection locks at all; one page.
_TOUCH = "PRAGMA schema_version"


class _State(Enum):
    """What stands in the folder, and so how to read it."""

    ABSENT = auto()  # nothing: an empty database in memory stands for it
    ORDINARY = auto()  # SQLite's own locks keep us from reading what is half written
    AT_REST = auto()  # WAL mode, and nobody has it open: everything is in the file
    LEFT_OVER = auto()  # a writer crashed: a private copy is repaired and read


@contextmanager
def readable(file: Path) -> Iterator[URL]:
    """Yield the URL by which the file can be read now. Raises Unreachable, also at the end where it was overwritten."""
    file = real(file)
    state = _state(file)
    match state:
        case _State.ABSENT:
            yield URL.create("sqlite+pysqlite")
        case _State.ORDINARY:
            yield _read_only(file)
        case _State.AT_REST:
            with _unchanged(file):
                yield _read_only(file, immutable="1")
        case _State.LEFT_OVER:
            with TemporaryDirectory(prefix="handrail-") as folder:
                yield URL.create("sqlite+pysqlite", database=str(_copied(file, Path(folder))))
        case _:
            assert_never(state)


def real(file: Path) -> Path:
    """Return the file behind all symlinks: SQLite keeps its journals beside that one."""
    return Path(os.path.realpath(file))  # unlike resolve(), it does not raise where they run in a circle


def _state(file: Path) -> _State:
    wal, shm, journal = _beside(file)
    if not _exists(file):
        return _State.ABSENT
    if shm.exists() and wal.exists():
        return _State.ORDINARY
    # A connection that does not lock cannot open a database in WAL mode, and says so before it creates anything. The
    # file's header is not read by ourselves: closing it would drop the locks this process holds on the database
    # (https://www.sqlite.org/howtocorrupt.html, 2.2).
    if _touch(file, nolock="1") == sqlite3.SQLITE_CANTOPEN:
        return _State.LEFT_OVER if wal.exists() and wal.stat().st_size else _State.AT_REST
    if journal.exists() and _touch(file) == sqlite3.SQLITE_READONLY_ROLLBACK:
        return _State.LEFT_OVER
    return _State.ORDINARY


def _exists(file: Path) -> bool:
    """Whether the file is there; a folder that cannot be looked into is not the same as no file. Raises Unreachable."""
    try:
        if S_ISDIR(file.stat().st_mode):
            raise unreachable(file, IsADirectoryError(EISDIR, "is a folder"))
    except FileNotFoundError as exc:
        if file.parent.is_dir():
            return False
        raise unreachable(file, exc) from exc
    except OSError as exc:
        raise unreachable(file, exc) from exc
    return True


def _touch(file: Path, **query: str) -> int:
    """Return SQLite's code for reading one page, 0 for success. Raises Unreachable where the file cannot be opened."""
    with opening():
        try:
            conn = sqlite3.connect(_uri(file, **query), uri=True, isolation_level=None)
        except sqlite3.Error as exc:
            raise unreachable(file, exc) from exc
    with closing(conn):
        try:
            conn.execute(_TOUCH)
        except sqlite3.Error as exc:
            return exc.sqlite_errorcode
    return 0


@contextmanager
def _unchanged(file: Path) -> Iterator[None]:
    """Raise Unreachable at the end if the file was written meanwhile: what was read without locks may be torn."""
    before = _stamp(file)
    yield
    if _stamp(file) != before:
        raise Unreachable(
            what=f"the database {file} was written while it was read; nothing was touched",
            why="it was at rest in WAL mode, and such a database can be read without a trace only while it rests",
            fix="run the command again",
        )


def _copied(file: Path, folder: Path) -> Path:
    """Copy the database with its journal. Nobody has it open, so that reading its bytes drops nobody's locks."""
    copy = folder / file.name
    for _ in range(_COPY_ATTEMPTS):
        sources = [place for place in (file, *_beside(file)) if place.exists() and not place.name.endswith("-shm")]
        before = [_stamp(source) for source in sources]
        for source in sources:
            shutil.copyfile(source, folder / source.name)
        if before == [_stamp(source) for source in sources]:
            return copy
    raise Unreachable(
        what=f"the database {file} cannot be read; nothing was touched",
        why="its last writer crashed, and it changes while it is copied",
        fix="run the command again",
    )


def _beside(file: Path) -> tuple[Path, Path, Path]:
    return Path(f"{file}-wal"), Path(f"{file}-shm"), Path(f"{file}-journal")


def _stamp(file: Path) -> tuple[int, int]:
    stat = file.stat()
    return stat.st_size, stat.st_mtime_ns


def _read_only(file: Path, **query: str) -> URL:
    return URL.create(
        "sqlite+pysqlite", database=f"file:{quote(os.fsencode(file))}", query={"mode": "ro", "uri": "true", **query}
    )


def _uri(file: Path, **query: str) -> str:
    options = "&".join(f"{key}={value}" for key, value in {"mode": "ro", **query}.items())
    return f"file:{quote(os.fsencode(file))}?{options}"

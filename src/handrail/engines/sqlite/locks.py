"""Who holds SQLite's locks, and the lock of Handrail's lease."""

from __future__ import annotations

import fcntl
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from sqlalchemy import Connection

from handrail.engines.base import Purpose, opening
from handrail.engines.sqlite.reading import real
from handrail.engines.sqlite.session import PURPOSE, UNTIL_CLOSED, connected_file
from handrail.model.effect import Blocker, Effect

LEASE_SUFFIX = "-handrail-lease"

_LEASE = "handrail.sqlite.lease"
_LONGEST_MS = 2**31 - 1  # SQLite takes a C int

# RESERVED lock for a moment, given back at once; writes nothing.
_TRY = "BEGIN IMMEDIATE"
_GIVE_BACK = "ROLLBACK"

# Bytes that writers lock: RESERVED in the file (https://www.sqlite.org/lockingv3.html), WRITE in -shm
# (https://www.sqlite.org/walformat.html#locks). PENDING and SHARED stand beside RESERVED.
_PENDING_BYTE = 0x40000000
_RESERVED_BYTE = _PENDING_BYTE + 1
_WAL_WRITE_BYTE = 120


def blockers(conn: Connection, wanted: tuple[Effect, ...], *, older_than_s: float) -> tuple[Blocker, ...]:
    """Return who has held the write lock of the file for `older_than_s` seconds; that long is waited, holding nothing.

    The lock is the whole file's, so that any relation, also one that does not exist, asks for it. SQLite does not know
    who holds it; on Linux the kernel does, elsewhere `pid` is None. On a READ connection nothing is tried and only the
    kernel is asked. Readers are not named: they delay a COMMIT with a rollback journal, within the lock timeout.
    """
    file = connected_file(conn)
    if not wanted or not file.exists():
        return ()
    if conn.info[PURPOSE] is Purpose.READ:
        return tuple(_writers(file, age_s=0.0))
    if not _busy(file, wait_s=older_than_s):
        return ()
    return tuple(_writers(file, age_s=older_than_s)) or (
        Blocker(pid=None, relation=file.name, lock="RESERVED", age_s=older_than_s, application="another process"),
    )


def waiting_on(conn: Connection, pid: int) -> tuple[Blocker, ...]:  # noqa: ARG001 - the Protocol's shape
    """Return nothing: SQLite keeps no list of who waits."""
    return ()


def cancel_autovacuum(conn: Connection, pid: int) -> bool:  # noqa: ARG001 - the Protocol's shape
    """Return False: SQLite vacuums within the statements of its users."""
    return False


def autovacuum_yields_after_s(conn: Connection) -> float:  # noqa: ARG001 - the Protocol's shape
    """Return 0: there is none to wait for."""
    return 0.0


def set_lock_timeout(timeout_s: float | None, *, autocommit: bool = False) -> str:  # noqa: ARG001 - the Protocol's shape
    """Return the statement that bounds lock waits. It holds for the connection; `after_step` puts the old one back.

    Source: https://www.sqlite.org/pragma.html#pragma_busy_timeout.
    """
    milliseconds = _LONGEST_MS if timeout_s is None else min(round(timeout_s * 1000), _LONGEST_MS)
    return f"PRAGMA busy_timeout = {milliseconds}"


def set_statement_timeout(timeout_s: float | None, *, autocommit: bool = False) -> str | None:  # noqa: ARG001 - the Protocol's shape
    """Return None: SQLite has no such setting."""
    return None


def try_lease(conn: Connection) -> bool:
    """Take an OS lock on a file of its own beside the database; False when another session holds it.

    The kernel gives it back when its holder dies, also by SIGKILL; the file a killed run leaves means nothing. The
    database file itself is never locked, nor opened: closing it would drop SQLite's locks of this process. Closing the
    connection gives the lease back.
    """
    place = _lease_file(conn)
    while True:
        descriptor = os.open(place, os.O_RDONLY | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            return False
        if _is_still(place, descriptor):
            conn.info[_LEASE] = descriptor
            conn.info[UNTIL_CLOSED].callback(release_lease, conn)
            return True
        os.close(descriptor)  # its holder has removed the file between our two calls


def lease_taken(conn: Connection) -> bool:
    """Return whether any process holds the OS lock; makes no file."""
    try:
        descriptor = os.open(_lease_file(conn), os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def release_lease(conn: Connection) -> None:
    """Give the lease's lock back and remove its file; nothing where this session does not hold it."""
    descriptor: int | None = conn.info.pop(_LEASE, None)
    if descriptor is not None:
        _lease_file(conn).unlink(missing_ok=True)
        os.close(descriptor)


def _lease_file(conn: Connection) -> Path:
    """Return the place beside the file itself: two runs may name it by different paths, through symlinks."""
    return Path(f"{real(connected_file(conn))}{LEASE_SUFFIX}")


def _is_still(place: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(place.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _busy(file: Path, *, wait_s: float) -> bool:
    with opening():
        probe = sqlite3.connect(file, timeout=wait_s, isolation_level=None)
    with closing(probe):
        try:
            probe.execute(_TRY)
        except sqlite3.OperationalError as exc:
            return exc.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
        probe.execute(_GIVE_BACK)
    return False


def _writers(file: Path, *, age_s: float) -> Iterator[Blocker]:
    """Yield the processes that hold a write lock, from Linux's /proc/locks; each once."""
    marks = {_inode(file): range(_PENDING_BYTE, _RESERVED_BYTE + 1)}
    marks[_inode(Path(f"{real(file)}-shm"))] = range(_WAL_WRITE_BYTE, _WAL_WRITE_BYTE + 1)
    for pid in sorted({pid for pid, inode, first in _kernel_locks() if first in marks.get(inode, ())}):
        yield Blocker(pid=pid, relation=file.name, lock="RESERVED", age_s=age_s, application=_process_name(pid))


def _kernel_locks() -> Iterator[tuple[int, str, int]]:
    """Yield (pid, device:inode, first byte) of each held POSIX write lock: man 5 proc_locks."""
    if sys.platform != "linux":
        return
    for line in Path("/proc/locks").read_text().splitlines():
        fields = line.split()
        if fields[1:4] == ["POSIX", "ADVISORY", "WRITE"]:
            yield int(fields[4]), fields[5], int(fields[6])


def _inode(file: Path) -> str:
    try:
        stat = file.stat()
    except FileNotFoundError:
        return ""
    return f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}"


def _process_name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return ""

"""Files that are there whole or not at all: written under another name, locked meanwhile, renamed at the end.

The lock is handed on to the program that writes, so a partial file whose lock is free is one that nobody finishes.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

SUFFIX = ".part"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partial:
    """A file of mode 0600 that is being written at `path`, locked by the descriptor `lock`."""

    path: Path
    final: Path
    lock: int

    def sync(self) -> None:
        """Wait until the disk has everything that was written, whoever wrote it."""
        os.fsync(self.lock)

    def keep(self) -> None:
        """Make it the final file, durably. Call `sync` first."""
        self.path.rename(self.final)
        sync_folder(self.final.parent)


@contextmanager
def partial(final: Path) -> Iterator[Partial]:
    """Give an empty file to write; removed at the end unless it was kept. Raises OSError."""
    path = final.with_name(final.name + SUFFIX)
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield Partial(path=path, final=final, lock=lock)
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)


def write(final: Path, content: bytes) -> None:
    """Write a file of mode 0600 atomically and durably, over the one that is there. Raises OSError."""
    with partial(final) as file:
        with file.path.open("wb") as out:
            out.write(content)
        file.sync()
        file.keep()


def abandoned(folder: Path) -> tuple[Path, ...]:
    """Return the partial files of that folder that nobody writes any more."""
    return tuple(path for path in sorted(folder.glob(f"*{SUFFIX}")) if _is_abandoned(path))


def _is_abandoned(path: Path) -> bool:
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        else:
            return True
        finally:
            os.close(descriptor)
    return False


def sync_folder(folder: Path) -> None:
    """Wait until the disk knows the names in the folder."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path, tell: Callable[[int], None] = lambda _read: None) -> str:
    """Return the hex sha256 of the file; `tell` hears how many bytes were read. Raises OSError."""
    digest, read = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
            read += len(chunk)
            tell(read)
    return digest.hexdigest()

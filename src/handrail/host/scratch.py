"""Short private folders that are swept when nobody lives in them any more.

Each holds a file that its makers keep locked, and hand the lock on to the programs that live there. The kernel lets go
of it when the last of them is gone, so a free lock means an abandoned folder: no process ids, no ages, no guessing.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from handrail.host.process import Account, can_reach

PREFIX = "handrail-sandbox-"
_LOCK = "alive"
#: sun_path holds 108 bytes on Linux and 104 on macOS and BSD, the closing zero included.
_SOCKET_PATH_BYTES = 103
_LONGEST_SOCKET = "/.s.PGSQL.65535.lock"
#: A path that needs no quoting in a URL, a configuration file or a list of folders.
_PLAIN_PATH = re.compile(r"[\w./-]+", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scratch:
    """A folder of ours and the descriptor of its locked file."""

    path: Path
    lock: int


def usable_root(account: Account | None) -> Path:
    """Return the folder for temporary files: $TMPDIR where it is short, plain and open to the account, else /tmp.

    Raises FileNotFoundError when neither will do.
    """
    for candidate in (tempfile.gettempdir(), "/tmp", "/var/tmp"):  # noqa: S108 - only the parent of private folders
        root = Path(candidate).resolve()
        longest = os.fsencode(f"{root}/{PREFIX}12345678/s{_LONGEST_SOCKET}")
        fits = len(longest) <= _SOCKET_PATH_BYTES and _PLAIN_PATH.fullmatch(str(root))
        if fits and root.is_dir() and os.access(root, os.W_OK) and can_reach(root, account):
            return root
    raise FileNotFoundError("no folder for temporary files that is writable and has a short name")


@contextmanager
def folder(root: Path, account: Account | None) -> Iterator[Scratch]:
    """Give a new private folder, locked; removed at the end unless a program that inherited the lock lives in it.

    The account may pass through it; nobody but us may look into it.
    """
    made = _make(root)
    try:
        if account is not None:
            made.path.chmod(0o711)
        yield made
    finally:
        os.close(made.lock)
        with suppress(OSError):
            _remove_if_abandoned(made.path)


def _make(root: Path) -> Scratch:
    while True:
        path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=root))
        # A sweeper may see the folder before it is locked and take it for an abandoned one; then try another.
        with suppress(FileNotFoundError, BlockingIOError):
            return Scratch(path=path, lock=lock_file(path / _LOCK))


def lock_file(path: Path) -> int:
    """Return a descriptor of the file, made if missing, exclusively locked. Raises BlockingIOError when it is held."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not _is_still(path, lock):
            raise BlockingIOError(f"{path} was removed while it was being locked")  # noqa: TRY301 - closed below
    except BaseException:
        os.close(lock)
        raise
    return lock


def _is_still(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(path.stat(follow_symlinks=False), os.fstat(descriptor))
    except FileNotFoundError:
        return False


@contextmanager
def held(path: Path, operation: int) -> Iterator[None]:
    """Hold a lock (fcntl.LOCK_EX or LOCK_SH) on the file, made if missing, waiting for it as long as it takes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(descriptor, operation)
        yield
    finally:
        os.close(descriptor)


def sweep(root: Path) -> None:
    """Remove the folders under `root` that are ours and abandoned; what others own or live in stays untouched."""
    for path in root.glob(f"{PREFIX}*"):
        with suppress(OSError):
            status = path.stat(follow_symlinks=False)
            if stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid():
                _remove_if_abandoned(path)


def _remove_if_abandoned(path: Path) -> None:
    if not (path / _LOCK).exists():
        path.rmdir()  # made this very moment, or emptied by another sweeper; anything else in it stays
        return
    lock = lock_file(path / _LOCK)
    try:
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)

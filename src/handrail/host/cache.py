"""What can be made again, kept for the next time below the user's cache folder: it may be gone at any moment.

Nothing here ever fails: a folder that cannot be made or that others may write to, a file that cannot be read, is not
whole, or was not written by us, is as if nothing had been kept.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import stat
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

#: What all files together, and one of them, may take.
TOTAL_BYTES = 256 << 20
FILE_BYTES = 64 << 20
_UNUSED_S = 60 * 24 * 3600.0
_UNFINISHED_S = 3600.0
_DIGEST_BYTES = hashlib.sha256().digest_size


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Files by name in one folder; without a folder nothing is kept."""

    folder: Path | None

    def read(self, name: str) -> bytes | None:
        """Return what was kept under that name, None where there is nothing or it is not as it was written."""
        if self.folder is None or not _ours(self.folder):
            return None
        try:
            content = (self.folder / name).read_bytes()
        except OSError:
            return None
        digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return payload if hashlib.sha256(payload).digest() == digest else None

    def write(self, name: str, payload: bytes) -> None:
        """Keep it under that name, in place of what was there; whoever reads meanwhile finds the one or the other."""
        if self.folder is None or len(payload) > FILE_BYTES:
            return
        unfinished = self.folder / f"{name}.{secrets.token_hex(8)}.part"
        with suppress(OSError):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not _ours(self.folder):
                return
            try:
                descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(hashlib.sha256(payload).digest())
                    file.write(payload)
                unfinished.replace(self.folder / name)
            finally:
                unfinished.unlink(missing_ok=True)
            _sweep(self.folder)


#: Keeps nothing and knows nothing.
NO_CACHE = Cache(folder=None)


def user_cache() -> Cache:
    """Return the cache of this account: HANDRAIL_CACHE, else XDG_CACHE_HOME/handrail, else ~/.cache/handrail.

    Source: https://specifications.freedesktop.org/basedir-spec/latest/ (a relative path is to be ignored).
    """
    own, given = (os.environ.get(name, "") for name in ("HANDRAIL_CACHE", "XDG_CACHE_HOME"))
    if Path(own).is_absolute():
        return Cache(folder=Path(own))
    if Path(given).is_absolute():
        return Cache(folder=Path(given, "handrail"))
    try:
        return Cache(folder=Path.home() / ".cache" / "handrail")
    except RuntimeError:  # an account without a home
        return NO_CACHE


def _ours(folder: Path) -> bool:
    """Return whether the folder is this account's and nobody else may put files into it."""
    try:
        status = folder.stat(follow_symlinks=False)
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o077


def _sweep(folder: Path) -> None:
    """Remove what was not written for long, what nobody finished, and the oldest beyond the limit."""
    now = time.time()
    left = TOTAL_BYTES
    files = [(entry.stat(follow_symlinks=False), Path(entry.path)) for entry in os.scandir(folder)]
    for status, path in sorted(files, key=lambda file: -file[0].st_mtime):
        left -= status.st_size
        age_s = now - status.st_mtime
        if left < 0 or age_s > _UNUSED_S or (path.suffix == ".part" and age_s > _UNFINISHED_S):
            path.unlink(missing_ok=True)

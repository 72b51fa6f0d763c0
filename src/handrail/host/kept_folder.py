"""Folders for data that outlive the process, and where they go when their server cannot reach the wanted place."""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from handrail.host.process import Account, can_reach
from handrail.host.scratch import lock_file

_STAND_INS = Path("/var/tmp")  # noqa: S108 - the parent of folders whose owner is checked
_PREFIX = "handrail-kept-"
_STANDS_FOR = "stands-for"
#: Whoever serves the folder's data keeps this file of it locked.
LOCK = "lock"


def kept_folder(wanted: Path, account: Account | None) -> Path:
    """Return the folder to keep data in: `wanted`, made if missing, or a stand-in for it below /var/tmp.

    The stand-in is for root, whose folders a server's account often cannot reach: opening them to it would change
    permissions that are not ours. It is swept when the wanted folder is gone. Raises PermissionError when somebody
    else owns the stand-in.
    """
    wanted = wanted.resolve()
    mode = 0o700 if account is None else 0o711
    wanted.mkdir(mode=mode, parents=True, exist_ok=True)
    if can_reach(wanted, account):
        return wanted
    _sweep()
    digest = hashlib.sha256(os.fsencode(wanted)).hexdigest()[:16]
    stand_in = _STAND_INS / f"{_PREFIX}{os.geteuid()}-{digest}"
    stand_in.mkdir(mode=mode, exist_ok=True)
    if not _is_ours(stand_in):
        raise PermissionError(f"{stand_in} belongs to somebody else")
    (stand_in / _STANDS_FOR).write_bytes(os.fsencode(wanted))
    return stand_in


def _is_ours(folder: Path) -> bool:
    status = folder.stat(follow_symlinks=False)
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid() and not status.st_mode & 0o022


def _sweep() -> None:
    """Remove the stand-ins of ours whose wanted folder is gone and that nobody serves."""
    for folder in _STAND_INS.glob(f"{_PREFIX}{os.geteuid()}-*"):
        with suppress(OSError):
            if _is_ours(folder) and not Path(os.fsdecode((folder / _STANDS_FOR).read_bytes())).exists():
                lock = lock_file(folder / LOCK)
                shutil.rmtree(folder, ignore_errors=True)
                os.close(lock)

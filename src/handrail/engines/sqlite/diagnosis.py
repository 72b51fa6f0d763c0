"""Says in words why a file cannot be opened."""

from __future__ import annotations

import os
from pathlib import Path

from handrail.engines.base import Cause
from handrail.engines.sqlite.causes import classify, code_name
from handrail.errors import HandrailError, TargetRefused, Unreachable


def unreachable(file: Path, exc: BaseException) -> HandrailError:
    """Return the refusal for a file that the driver could not open."""
    what = f"the database {file} cannot be opened; nothing was touched"
    match classify(exc):
        case Cause.UNREACHABLE | Cause.DENIED:
            return Unreachable(what=what, why=_why_not_opened(file), fix="correct the environment's url or the rights")
        case Cause.NO_DATABASE:
            return TargetRefused(
                what=what, why="it is a file, but not a SQLite database", fix="correct the environment's url"
            )
        case Cause.LOCK_TIMEOUT:
            return Unreachable(
                what=what,
                why="another process has it locked for itself",
                fix="wait until it is done, or give more time with ?timeout=SECONDS in the url",
            )
        case _:
            return Unreachable(
                what=what, why=f"SQLite reports {code_name(exc)}", fix=f"run: sqlite3 {file} 'PRAGMA integrity_check'"
            )


def check_writable(file: Path) -> None:
    """Raise Unreachable or TargetRefused where the file cannot be written or created. Opens nothing."""
    folder = file.parent
    if not folder.is_dir():
        raise Unreachable(
            what=f"the database {file} cannot be opened; nothing was touched",
            why=f"the folder {folder} does not exist",
            fix=f"run: mkdir -p {folder}",
        )
    place = unwritable(file)
    if place:
        raise TargetRefused(
            what=f"the database {file} cannot be migrated; nothing was touched",
            why=f"{place} may not be written by this user, or lies on a read-only file system",
            fix="run as the user who owns the database",
        )


def unwritable(file: Path) -> Path | None:
    """Return the file or folder that may not be written; SQLite needs both, for its journal stands beside the file."""
    for place in (file, file.parent):
        if place.exists() and not os.access(place, os.W_OK):
            return place
    return None


def _why_not_opened(file: Path) -> str:
    if file.is_dir():
        return "it is a folder"
    if not file.parent.is_dir():
        return f"the folder {file.parent} does not exist"
    return "this user may not read it"

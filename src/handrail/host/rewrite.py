"""Puts several text files in place: all of them, or none."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

_BESIDE = ".handrail-new"


def rewrite(texts: Mapping[Path, str]) -> None:
    """Write each text as it is (no line end is changed), making folders where needed; a file keeps its mode.

    Everything is written beside its place before anything is renamed into it, so that a folder that cannot be written
    to or a full disk leaves all as it was. Raises OSError.
    """
    made: list[Path] = []
    beside: list[tuple[Path, Path]] = []
    try:
        for path, text in texts.items():
            place = path.resolve()  # a link goes on being one
            made += _make_folder(place.parent)
            new = place.with_name(f".{place.name}{_BESIDE}")
            beside.append((new, place))
            new.write_bytes(text.encode())
            if place.exists():
                shutil.copymode(place, new)
        for new, place in beside:
            new.replace(place)
    except OSError:
        for new, _place in beside:
            with suppress(OSError):
                new.unlink(missing_ok=True)
        for folder in reversed(made):
            with suppress(OSError):
                folder.rmdir()
        raise


def _make_folder(folder: Path) -> list[Path]:
    """Make a folder and those above it; return what was made, outermost first."""
    missing = [path for path in (folder, *folder.parents) if not path.exists()][::-1]
    for path in missing:
        path.mkdir()
    return missing

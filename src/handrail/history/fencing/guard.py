"""The one guard around other people's code: whatever it raises becomes a value."""

from __future__ import annotations

import re
import sysconfig
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TypeVar

import handrail
from handrail.errors import HandrailError
from handrail.host import secrets
from handrail.model.operation import Place

T = TypeVar("T")

_LIBRARY = tuple({sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib")})
_ADDRESS = re.compile(r" at 0x[0-9a-fA-F]+")
_HANDRAIL = str(Path(handrail.__file__).parent)


@dataclass(frozen=True, slots=True, kw_only=True)
class Raised:
    """What other people's code raised, with the innermost line of the project it passed; passwords are masked."""

    exception: BaseException
    place: Place | None
    summary: str


def call_all(code: Callable[[], T]) -> T | Raised:
    """Return what `code` returns, or whatever it raised: for a child process, in which nothing else is to be told."""
    try:
        return call(code)
    except (HandrailError, KeyboardInterrupt) as exc:
        return Raised(exception=exc, place=place_of(exc), summary=summary(exc))


def call(code: Callable[[], T]) -> T | Raised:
    """Return what `code` returns, or what it raised; sys.exit() too.

    HandrailError is ours and passes, KeyboardInterrupt is the user's and passes.
    """
    try:
        return code()
    except (HandrailError, KeyboardInterrupt):
        raise
    except BaseException as exc:  # noqa: BLE001 - the guard of this package: other people's code may raise anything
        return Raised(exception=exc, place=place_of(exc), summary=summary(exc))


def summary(exc: BaseException) -> str:
    """Return class and first line of the message, masked; without addresses, so that the same is told the same way."""
    if isinstance(exc, SystemExit):
        return f"it called sys.exit({exc.code!r})"
    lines = _ADDRESS.sub("", str(exc).strip()).splitlines()
    return secrets.mask(f"{type(exc).__name__}: {lines[0]}" if lines else type(exc).__name__)


def place_of(exc: BaseException) -> Place | None:
    """Return the innermost line of the project that the exception passed; a syntax error's own line."""
    if isinstance(exc, SyntaxError) and exc.filename:
        return Place(file=exc.filename, line=exc.lineno or 1)
    frames = [
        Place(file=frame.f_code.co_filename, line=line)
        for frame, line in traceback.walk_tb(exc.__traceback__)
        if of_project(frame.f_code.co_filename)
    ]
    return frames[-1] if frames else None


def caller(frame: FrameType | None, files: frozenset[str] | None = None) -> Place | None:
    """Return the innermost line at or above `frame` that is the project's, or in one of `files` where given."""
    while frame is not None:
        name = frame.f_code.co_filename
        if name in files if files is not None else of_project(name):
            return Place(file=name, line=frame.f_lineno)
        frame = frame.f_back
    return None


def of_project(file: str) -> bool:
    """Return whether a file is neither Handrail, nor the standard library, nor an installed package.

    Compiled modules and code made of text name no absolute file.
    """
    if not Path(file).is_absolute() or file.startswith(_HANDRAIL) or "site-packages" in file or "dist-packages" in file:
        return False
    return not file.startswith(_LIBRARY)

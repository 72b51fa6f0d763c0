"""stdout and stderr that outlive their reader: a migration does not end because nobody reads of it any more."""

from __future__ import annotations

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STANDARD = (0, 1, 2)


class Lasting(io.FileIO):
    """An output that never fails: after the first failure, kept in `failure`, what is written goes nowhere.

    The descriptor itself is pointed elsewhere, so that what is buffered does not fail again when the process ends:
    Python exits with status 120 then. Source: https://docs.python.org/3/library/sys.html#sys.exit
    """

    failure: OSError | None = None

    def write(self, data: ReadableBuffer, /) -> int:
        """Write, and wait where the output is one that does not block; return how many bytes were written."""
        try:
            while (written := super().write(data)) is None:
                select.select([], [self], [])
        except OSError as exc:
            self.failure = exc
            _point_nowhere(self.fileno())
            return super().write(data)
        return written


def outlast_readers() -> Lasting:
    """Let this process's stdout and stderr outlive their readers; return stdout."""
    _open_closed()
    out, sys.stdout = _lasting(sys.stdout, 1)
    _err, sys.stderr = _lasting(sys.stderr, 2)
    return out


def _open_closed() -> None:
    """Open what we were started without, or a database would get its number, and what others print there."""
    while (nothing := os.open(os.devnull, os.O_RDWR)) in _STANDARD:
        os.set_inheritable(nothing, True)  # noqa: FBT003 - it takes no names
    os.close(nothing)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - a descriptor, open to the end


def _lasting(before: TextIO | None, descriptor: int) -> tuple[Lasting, TextIO]:
    raw = Lasting(descriptor, "wb", closefd=False)
    encoding, errors = (before.encoding, before.errors) if before else ("utf-8", "backslashreplace")
    return raw, io.TextIOWrapper(io.BufferedWriter(raw), encoding=encoding, errors=errors, line_buffering=True)


def _point_nowhere(descriptor: int) -> None:
    nothing = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nothing, descriptor)
    os.close(nothing)

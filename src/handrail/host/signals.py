"""Ctrl-C once ends a run at its next safe point, twice at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from types import FrameType

from handrail.errors import Exit, Interrupted

_STDERR = 2
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@dataclass(slots=True)
class Stop:
    """Whether somebody asked us to stop; `signal` is the signal's number, 0 for none, `at_once` is the second one."""

    signal: int = 0
    at_once: bool = False

    @property
    def requested(self) -> bool:
        """Whether to stop at the next safe point."""
        return self.signal != 0

    def error(self, *, what: str, fix: str) -> Interrupted:
        """Return the error to stop with; its exit status is the signal's."""
        error = Interrupted(what=what, why=f"{_name(self.signal)} asked for it", fix=fix)
        error.exit = Exit.INTERRUPTED if self.signal in {0, signal.SIGINT} else Exit.TERMINATED
        return error


def _name(number: int) -> str:
    return signal.Signals(number).name if number else "a KeyboardInterrupt that no signal sent"


@contextmanager
def graceful(stop: Stop) -> Iterator[None]:
    """Let the first SIGINT, SIGTERM or SIGHUP only set `stop`, the second raise KeyboardInterrupt. Main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: FrameType | None) -> None:
        if stop.requested:
            stop.at_once = True
            raise KeyboardInterrupt
        stop.signal = number
        with suppress(OSError):  # past sys.stderr: it may be a revision's, or in the middle of a write
            os.write(_STDERR, b"stopping at the next safe point; once more to stop now\n")

    with _handled_by(handle):
        yield


@contextmanager
def at_once(stop: Stop) -> Iterator[None]:
    """Let the first of them raise KeyboardInterrupt, for work that is given up as a whole; main thread only.

    Further ones are ignored until the end of the block, so that what was begun is cleaned up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    if stop.requested:
        raise KeyboardInterrupt

    def handle(number: int, _frame: FrameType | None) -> None:
        if not stop.requested:
            stop.signal = number
            raise KeyboardInterrupt

    with _handled_by(handle):
        yield


@contextmanager
def _handled_by(handle: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    nohup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    heard = [number for number in _SIGNALS if not (nohup and number == signal.SIGHUP)]
    before = {number: signal.signal(number, handle) for number in heard}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)

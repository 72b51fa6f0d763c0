"""A child process that runs other people's code, and tells line by line what came of it."""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
import time
import traceback
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NoReturn

MEMORY_BYTES = 8 << 30

#: How a child ends when our own code fails in it; the project's own exits are values and never get here. Before it, the
#: traceback is told in a line that begins so; others are JSON.
_BUG = 70
_TRACEBACK = b"\0"

_exit = os._exit  # the fence replaces it


class Ended(Exception):
    """Why the child has come to an end before its line; `ours` is whether our own code failed in it: the traceback."""

    def __init__(self, reason: str, *, ours: bool = False) -> None:
        super().__init__(reason)
        self.ours = ours


def lines(work: Callable[[], Iterable[bytes]], limit_s: float) -> Generator[bytes, None, None]:
    """Yield what `work` yields in the child, a line each; whoever has enough closes this, and the child is ended.

    An empty line says that the child is ready, and is not passed on; each one after it may take `limit_s` seconds of
    wall time. Raises Ended after the last.
    """
    receiving, sending = os.pipe()
    gc.freeze()  # the child's collector must not touch, and so copy, all that the parent has in memory
    child = os.fork()
    if child == 0:
        os.close(receiving)
        _run(work, sending)
    gc.unfreeze()
    os.close(sending)
    status: int | None = None
    bug = b""
    try:
        with os.fdopen(receiving, "rb", buffering=0) as pipe:
            for line in _lines(pipe.fileno(), limit_s):
                if line.startswith(_TRACEBACK):
                    bug = line
                elif line:
                    yield line
        _, status = os.waitpid(child, 0)
    except TimeoutError as exc:
        raise Ended(f"it did not come to an end within {limit_s:g} s") from exc
    finally:
        if status is None:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    raise _reason(status, limit_s, bug)


def allow(limit_s: float) -> None:
    """Let this process use that many more seconds of CPU time, and not all of the memory."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime + limit_s) + 1
    for what, soft in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, MEMORY_BYTES)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))


def _run(work: Callable[[], Iterable[bytes]], sending: int) -> NoReturn:
    status = _BUG
    try:
        _silence()
        for line in work():
            _send(sending, line)
        status = 0
    except BaseException as exc:
        _send(sending, _TRACEBACK + _traced(exc).encode().replace(b"\n", _TRACEBACK))
        raise
    finally:
        _exit(status)


def _traced(exc: BaseException) -> str:
    """Return the traceback without source lines: no file can be opened in the cell."""
    frames = traceback.walk_tb(exc.__traceback__)
    places = [f'  File "{f.f_code.co_filename}", line {line}, in {f.f_code.co_name}' for f, line in frames]
    return "\n".join((*places, f"{type(exc).__name__}: {exc}"))


def _send(sending: int, line: bytes) -> None:
    rest = line + b"\n"
    while rest:
        rest = rest[os.write(sending, rest) :]


def _silence() -> None:
    """Let nothing of the child reach our output, whatever its code writes to."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())


def _lines(pipe: int, limit_s: float) -> Iterator[bytes]:
    """Yield each line as it comes, until the writer ends. Raises TimeoutError where any but the first takes longer."""
    pending = b""
    deadline: float | None = None
    while select.select([pipe], [], [], None if deadline is None else max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(pipe, 1 << 16)
        if not chunk:
            return
        *whole, pending = (pending + chunk).split(b"\n")
        yield from whole
        if whole:
            deadline = time.monotonic() + limit_s
    raise TimeoutError


def _reason(status: int, limit_s: float, bug: bytes) -> Ended:
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == _BUG:
        return Ended(bug.replace(_TRACEBACK, b"\n").decode(errors="replace"), ours=True)
    number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
    if number == signal.SIGXCPU:
        return Ended(f"it used more than {limit_s:g} s of CPU time")
    if number:
        return Ended(f"the process that was reading it was ended by signal {number}")
    return Ended("its code ended the process that was reading it")

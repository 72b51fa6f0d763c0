"""Programs that work for us and end with us: with the block that runs them, and with this process, however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from handrail.host.process import die_with_parent
from handrail.host.secrets import mask

_LOOK_S = 0.2
_PATIENCE_S = 5.0
_TAIL_BYTES = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """One program while it runs."""

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    errors: IO[bytes]

    def wait(self, look: Callable[[], None] = lambda: None) -> int:
        """Return its exit status, negative for a signal; `look` is called a few times a second until then."""
        while True:
            try:
                return self.process.wait(_LOOK_S)
            except subprocess.TimeoutExpired:
                look()

    def said(self) -> str:
        """Return the end of what it wrote on stderr, on one line, without secrets."""
        return " ".join(mask(_tail(self.errors)).split())

    def answer(self) -> str:
        """Return the end of what it wrote on stdout."""
        return _tail(self.output)

    def everything(self) -> str:
        """Return all that it wrote on stdout."""
        self.output.seek(0)
        return self.output.read().decode(errors="replace")


def outcome(status: int) -> str:
    """Return how a program ended, by what `wait` returned."""
    if status >= 0:
        return f"ended with status {status}"
    names = {number.value: number.name for number in signal.Signals}
    return f"was ended by {names.get(-status, f'signal {-status}')}"


def _tail(file: IO[bytes]) -> str:
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - _TAIL_BYTES))
    return file.read().decode(errors="replace").strip()


@contextmanager
def running(
    argv: Sequence[str], *, env: Mapping[str, str], cwd: Path | None = None, locks: Sequence[int] = ()
) -> Iterator[Running]:
    """Start a program in a session of its own; it is ended at the end of the block where it still runs.

    Secrets belong into `env`: every user of the machine may read `argv`. `locks` are descriptors it inherits. On Linux
    it gets SIGTERM when this process is gone. Raises OSError where it cannot be started.
    """
    parent = os.getpid()
    with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as errors:
        process = subprocess.Popen(
            argv,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=errors,
            pass_fds=tuple(locks),
            start_new_session=True,
            preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent=parent),  # noqa: PLW1509 - one prctl, no lock
        )
        try:
            yield Running(process=process, output=output, errors=errors)
        finally:
            _end(process)


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(_PATIENCE_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()

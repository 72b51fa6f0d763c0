"""A command of somebody's that is run to its end, with everything that it starts."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from handrail.host.process import die_with_parent

_LOOK_S = 0.05
_PATIENCE_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """How a command ended: its exit status, negative for a signal, None where its time was up; and how long it took."""

    status: int | None
    seconds: float


def run(argv: Sequence[str], *, env: Mapping[str, str], cwd: Path, output: IO[bytes], limit_s: float) -> Ended:
    """Run a command with all that it writes going to `output`; nothing of its process group is left at the end.

    When its time is up it gets SIGTERM, and SIGKILL five seconds later; what it has started and left behind gets
    SIGKILL. On Linux it gets SIGTERM when this process is gone. Raises OSError where it cannot be started.
    """
    parent, began = os.getpid(), time.monotonic()
    process = subprocess.Popen(
        argv,
        env=dict(env),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent=parent),  # noqa: PLW1509 - one prctl, no lock
    )
    try:
        in_time = _ends(process.pid, until=began + limit_s)
        if not in_time:
            os.killpg(process.pid, signal.SIGTERM)
            _ends(process.pid, until=time.monotonic() + _PATIENCE_S)
    finally:
        # It is not waited for before that: its number, which is the group's, stays its own until then.
        with suppress(ProcessLookupError, PermissionError):  # macOS refuses where only the dead are left
            os.killpg(process.pid, signal.SIGKILL)
        status = process.wait()
    return Ended(status=status if in_time else None, seconds=time.monotonic() - began)


def _ends(pid: int, *, until: float) -> bool:
    """Wait until the process has ended, and tell whether it did; it stays to be waited for."""
    while os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is None:
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK_S)
    return True

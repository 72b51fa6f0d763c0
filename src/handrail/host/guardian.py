"""Runs one program for exactly as long as the process that asked for it lives.

Between the asker and the program stands a guardian: a process of its own that holds one end of a pipe, the lifeline.
However the asker ends, SIGKILL included, the lifeline breaks; the guardian then ends the program and removes its
folder. The guardian has a single thread, so the program's fate never hangs on a thread of the asker, and a session of
its own, so Ctrl-C reaches the asker alone, which decides. Where the kernel offers it, the program dies with the
guardian.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TypedDict

from handrail.host.process import Account, die_with_parent

#: How long a program may take to end when asked, before SIGKILL. PostgreSQL kills its own children after 5 s.
_PATIENCE_S = 20.0
_LOOK_S = 1.0
_USERS_LOOK_S = 0.2
_END_LOOK_S = 0.005
#: The guardian's standard input and output: the asker holds the other ends.
_LIFELINE = 0
_STATUS = 1

_BOOT = "import sys; sys.path.insert(0, sys.argv[1]); from handrail.host.guardian import main; main()"


class _Order(TypedDict):
    """What the asker writes down the lifeline: one line of JSON."""

    argv: list[str]
    env: dict[str, str]
    log: str
    uid: int | None
    gid: int | None
    asker: int
    stop_signal: int
    users: str | None
    remove: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What to run and how to end it.

    `log` receives its output. `account` is who it runs as, None is ourselves. `locks` are descriptors of locked files
    it inherits: they stay locked until guardian and program are gone. `users`: a file whose shared locks mark further
    users of the program; the guardian ends it only when nobody holds one. `remove` is a folder to delete at the end.
    """

    argv: tuple[str, ...]
    env: dict[str, str]
    log: Path
    account: Account | None
    stop_signal: signal.Signals
    locks: tuple[int, ...] = ()
    users: Path | None = None
    remove: Path | None = None


class Guarded:
    """A running program, ours until `stop` or until we are gone."""

    def __init__(self, lifeline: IO[bytes], status: IO[bytes]) -> None:
        self._lifeline = lifeline
        self._status = status
        self._owner = os.getpid()

    def running(self) -> bool:
        """Return whether guardian and program are still there."""
        return not select.select([self._status], [], [], 0)[0]

    def stop(self) -> None:
        """Let go of the program and wait until it has ended, or the guardian says that others still use it.

        A forked copy of the asker only closes its descriptors.
        """
        self._lifeline.close()
        if os.getpid() == self._owner:
            select.select([self._status], [], [], _PATIENCE_S + _LOOK_S)
        self._status.close()


def guard(program: Program) -> Guarded:
    """Start the program behind a guardian and return at once; whether it came up is for the caller to see."""
    order: _Order = {
        "argv": list(program.argv),
        "env": program.env,
        "log": str(program.log),
        "uid": program.account.uid if program.account else None,
        "gid": program.account.gid if program.account else None,
        "asker": os.getpid(),
        "stop_signal": int(program.stop_signal),
        "users": str(program.users) if program.users else None,
        "remove": str(program.remove) if program.remove else None,
    }
    package_root = str(Path(__file__).resolve().parents[2])
    with program.log.open("ab") as log:
        first = subprocess.Popen(
            [sys.executable, "-I", "-S", "-B", "-c", _BOOT, package_root],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            bufsize=0,
            cwd="/",
            start_new_session=True,
            pass_fds=program.locks,
        )
    assert first.stdin is not None
    assert first.stdout is not None
    first.stdin.write(json.dumps(order).encode() + b"\n")
    first.wait()
    return Guarded(first.stdin, first.stdout)


def main() -> None:
    """Be the guardian: read the order, start the program, wait for either end."""
    order: _Order = json.loads(sys.stdin.buffer.readline())
    # The asker waits for this process only: the guardian proper is nobody's child, so it leaves no zombie.
    if os.fork():
        os._exit(0)
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda _signum, _frame: None)
    pid = _launch(order)
    if _wait_for_either(order["asker"], pid, woken):
        # The asker may want to read the log before its folder goes; closing the status tells it.
        os.close(_STATUS)
        _wait_for_asker(order["asker"])
    elif _last_user_gone(order["users"], pid):
        _end(pid, order["stop_signal"])
    if order["remove"]:
        shutil.rmtree(order["remove"], ignore_errors=True)
    os._exit(0)


def _launch(order: _Order) -> int:
    guardian = os.getpid()
    pid = os.fork()
    if pid:
        return pid
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(log, 1)
        os.dup2(log, 2)
        if order["uid"] is not None and order["gid"] is not None:
            os.setgroups([])
            os.setgid(order["gid"])
            os.setuid(order["uid"])
        if sys.platform == "linux":
            die_with_parent(signal.Signals(order["stop_signal"]), parent=guardian)
        os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606 - a list of arguments, no shell
    finally:
        os._exit(127)


def _wait_for_either(asker: int, pid: int, woken: int) -> bool:
    """Return True when the program has ended by itself, False when the asker is gone or has let go."""
    while not _ended(pid):
        readable, _, _ = select.select([_LIFELINE, woken], [], [], _LOOK_S)
        if woken in readable:
            os.read(woken, 512)
        # A forked copy of the asker keeps the lifeline open, so the asker itself is looked at too.
        if _LIFELINE in readable or not _exists(asker):
            return False
    return True


def _wait_for_asker(asker: int) -> None:
    while _exists(asker) and not select.select([_LIFELINE], [], [], _LOOK_S)[0]:
        pass


def _last_user_gone(users: str | None, pid: int) -> bool:
    """Wait until nobody else uses the program, or it has ended; return whether it is still to be ended.

    The exclusive lock is held until we exit: who comes meanwhile waits for the end and starts the program again.
    """
    if users is None:
        return True
    descriptor = os.open(users, os.O_RDWR)
    told = False
    while not _ended(pid):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if not told:
                with suppress(BrokenPipeError):
                    os.write(_STATUS, b"others use it")
                told = True
            time.sleep(_USERS_LOOK_S)
        else:
            return True
    return False


def _end(pid: int, stop_signal: int) -> None:
    """Ask the program to end, and make it end when it does not; returns when it has."""
    deadline = time.monotonic() + _PATIENCE_S
    os.kill(pid, stop_signal)
    while not _ended(pid):
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        time.sleep(_END_LOOK_S)


def _ended(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True

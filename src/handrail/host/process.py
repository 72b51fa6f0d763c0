"""Processes that end together, and the account a server runs under when we are root."""

from __future__ import annotations

import ctypes
import getpass
import os
import pwd
import signal
import stat
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_POLL_S = 0.5

#: Loaded at import: between fork and exec nothing may be allocated or searched for.
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """A user a program can be started as."""

    name: str
    uid: int
    gid: int


def user_name() -> str:
    """Return the name of who runs this process, `uid N` where it has none."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a user without an entry in passwd
        return f"uid {os.getuid()}"


def server_account() -> Account | None:
    """Return the account a server must run under when we are root: `postgres`, else `nobody`.

    None when we are not root and run it ourselves. Creates nothing. Raises LookupError when root has neither account.
    """
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(name=name, uid=entry.pw_uid, gid=entry.pw_gid)
    raise LookupError("neither an account named postgres nor one named nobody exists")


def can_reach(path: Path, account: Account | None) -> bool:
    """Return whether the account may pass through every folder on the way to `path` and use `path` itself.

    Read from the permission bits alone, so an access control list that would allow more is not seen. None is ourselves.
    """
    if account is None:
        return os.access(path, os.X_OK)
    resolved = path.resolve()
    return all(_may_execute(step.stat(), account) for step in (resolved, *resolved.parents))


def _may_execute(status: os.stat_result, account: Account) -> bool:
    if status.st_uid == account.uid:
        return bool(status.st_mode & stat.S_IXUSR)
    if status.st_gid == account.gid:
        return bool(status.st_mode & stat.S_IXGRP)
    return bool(status.st_mode & stat.S_IXOTH)


def die_with_parent(signum: signal.Signals = signal.SIGKILL, *, parent: int | None = None) -> None:
    """Make this process receive `signum` when its parent ends, however that ends.

    `parent` is the process id the caller knows its parent by; when it is gone already, the signal comes at once. On
    Linux the kernel sends it, also when only the *thread* that started us ends
    (https://man7.org/linux/man-pages/man2/PR_SET_PDEATHSIG.2const.html), and forgets it when the process changes its
    user, so call it after that. Elsewhere a thread looks twice a second, so it does not survive an exec.
    """
    expected = os.getppid() if parent is None else parent
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(signum))
    else:
        threading.Thread(target=_watch, args=(expected, signum), daemon=True, name="die-with-parent").start()
    if os.getppid() != expected:
        os.kill(os.getpid(), signum)


def _watch(parent: int, signum: signal.Signals) -> None:
    while os.getppid() == parent:
        time.sleep(_POLL_S)
    os.kill(os.getpid(), signum)

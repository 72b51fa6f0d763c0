"""The cell in which code is read that nobody has agreed to run: it may compute and import, and nothing else.

For a child process only: an audit hook cannot be taken away again. Code that is out to escape can (ctypes, native
modules); for what is not trusted at all there is `handrail review --static`.
Source: https://docs.python.org/3/library/audit_events.html.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from handrail.history.cell import absent, older_sqlalchemy

_REFUSED = (
    "ctypes.dlopen",
    "ftplib.",
    "http.client.",
    "os.chmod",
    "os.chown",
    "os.exec",
    "os.fork",
    "os.forkpty",
    "os.kill",
    "os.killpg",
    "os.link",
    "os.mkdir",
    "os.posix_spawn",
    "os.putenv",
    "os.remove",
    "os.rename",
    "os.rmdir",
    "os.spawn",
    "os.startfile",
    "os.symlink",
    "os.system",
    "os.truncate",
    "os.unsetenv",
    "os.utime",
    "pty.",
    "shutil.",
    "signal.pthread_kill",
    "smtplib.",
    "socket.bind",
    "socket.connect",
    "socket.getaddrinfo",
    "socket.gethostby",
    "socket.sendto",
    "subprocess.",
    "tempfile.",
    "urllib.",
    "webbrowser.",
)
_EXACTLY = frozenset({"sqlite3.connect"})
#: Harmless to us, and sent by libraries that are imported.
_ALLOWED = frozenset({"os.putenv", "os.unsetenv"})
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Confined(PermissionError):
    """What a revision tried that a review does not let it do."""


def enter(folders: Sequence[Path], scripts: Path) -> None:
    """Confine this process from now on, and stand in for what cannot be imported.

    `folders` hold the project's own modules, `scripts` env.py.
    """
    absent.install(folders, scripts)
    older_sqlalchemy.understand()
    sys.addaudithook(_refuse)


def _refuse(event: str, arguments: tuple[object, ...]) -> None:
    if event == "open":
        _refuse_writing(arguments)
    elif event == "sqlite3.connect" and arguments[:1] == (":memory:",):
        return
    elif event in _EXACTLY or (event.startswith(_REFUSED) and event not in _ALLOWED):
        told = next((str(a) for a in arguments if isinstance(a, str | bytes | tuple)), "")
        raise Confined(f"it calls {event}({told[:80]}), which a review does not let it do")


def _refuse_writing(arguments: tuple[object, ...]) -> None:
    path, mode, flags = (*arguments, None, None, None)[:3]
    text = mode if isinstance(mode, str) else ""
    writes = any(letter in text for letter in "wax+") or (not text and isinstance(flags, int) and flags & _WRITING)
    if writes and path != os.devnull:
        raise Confined(f"it opens {path!s} for writing, which a review does not let it do")

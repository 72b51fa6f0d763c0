from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from handrail.host.process import Account, can_reach

CHILD = "from handrail.host.process import die_with_parent; die_with_parent(); print('ready', flush=True); input()"
PARENT = f"""
import subprocess, sys
held = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE)
held.wait()
"""


def test_a_process_dies_with_its_parent_that_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == b"ready\n"
        parent.send_signal(signal.SIGKILL)
        assert parent.stdout.read() == b""  # closed by the last process that held it


def test_a_process_whose_parent_is_gone_already_dies_at_once() -> None:
    code = "from handrail.host.process import die_with_parent; die_with_parent(parent=1 << 22); print('lives')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert done.returncode == -signal.SIGKILL
    assert done.stdout == b""


@pytest.mark.parametrize(
    ("mode", "uid", "gid", "reached"),
    [
        (0o701, 12345, 12345, True),
        (0o700, 12345, 12345, False),
        (0o710, 12345, os.getgid(), True),
        (0o701, 12345, os.getgid(), False),
        (0o100, os.getuid(), 12345, True),
        (0o077, os.getuid(), 12345, False),
    ],
)
def test_reach_follows_the_permissions_of_the_folder_itself(*, mode: int, uid: int, gid: int, reached: bool) -> None:
    # Looked at from the root of the file system: only the last folder differs between the cases.
    folder = Path("/tmp", f"reach-{os.getpid()}-{mode:o}-{uid}-{gid}")  # noqa: S108 - open to everybody on purpose
    folder.mkdir()
    try:
        folder.chmod(mode)
        assert can_reach(folder, Account(name="somebody", uid=uid, gid=gid)) is reached
    finally:
        folder.rmdir()

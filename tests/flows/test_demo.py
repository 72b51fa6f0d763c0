from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

_COMMAND = [sys.executable, "-m", "handrail", "demo"]
_DEADLINE_S = 60


def _environment(scratch: Path) -> dict[str, str]:
    """The caller's, with a temporary folder of the test's own: what is left behind is the demo's."""
    return {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def scratch() -> Path:
    """A short folder, since a socket's path must not be long."""
    return Path(tempfile.mkdtemp(prefix="hr-demo-", dir="/tmp"))


@pytest.mark.slow
def test_the_demo_shows_every_step_and_no_request_fails(scratch: Path) -> None:
    scratch.chmod(0o755)
    done = subprocess.run(_COMMAND, env=_environment(scratch), capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    shown = re.findall(r"^\$ (handrail \w+)", done.stderr, flags=re.MULTILINE)
    assert shown == [
        "handrail apply",
        "handrail status",
        "handrail apply",
        "handrail apply",
        "handrail verify",
        "handrail rollback",
        "handrail log",
    ]
    assert len(re.findall(r"v[12]: \d+ requests, none failed", done.stderr)) == 2
    assert "chain sound" in done.stdout
    assert list(scratch.iterdir()) == []


@pytest.mark.slow
def test_a_killed_demo_leaves_no_server(scratch: Path) -> None:
    scratch.chmod(0o755)
    with subprocess.Popen(
        _COMMAND, env=_environment(scratch), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stderr
        for line in demo.stderr:
            if "traffic.py" in line:
                break
        servers = [p for p in psutil.process_iter() if _runs_in(p, scratch)]
        assert any("postgres" in p.name() for p in servers)
        family = {*servers, *psutil.Process(demo.pid).children(recursive=True)}
        demo.send_signal(signal.SIGKILL)
        demo.wait()
    deadline = time.monotonic() + _DEADLINE_S
    while alive := [p for p in family if _alive(p)]:
        assert time.monotonic() < deadline, alive
        time.sleep(0.1)


def _runs_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return any(str(folder) in word for word in process.cmdline())
    except psutil.Error:
        return False


def _alive(process: psutil.Process) -> bool:
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False

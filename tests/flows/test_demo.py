from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

_COMMAND = [sys.executable, "-m", "handrail", "demo"]
_DEADLINE_S = 60
_TOUR_S = 300  # it takes less than one minute where nothing else runs


def _environment(scratch: Path) -> dict[str, str]:
    """The caller's, with a temporary folder of the test's own: what is left behind is the demo's."""
    return {**os.environ, "TMPDIR": str(scratch), "PYTHONUNBUFFERED": "1"}


@pytest.fixture
def scratch() -> Path:
    """A short folder, since a socket's path must not be long."""
    return Path(tempfile.mkdtemp(prefix="hr-demo-", dir="/tmp"))


@pytest.fixture(scope="module")
def shown() -> Iterator[str]:
    """What the tour says, from its beginning to its end."""
    scratch = Path(tempfile.mkdtemp(prefix="hr-demo-", dir="/tmp"))
    scratch.chmod(0o755)
    done = subprocess.run(
        _COMMAND,
        env=_environment(scratch),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_TOUR_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    yield done.stdout
    (left,) = scratch.iterdir()  # the report, of which it says that it stays
    shutil.rmtree(scratch)
    assert str(left / "report.html") in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(_TOUR_S)
def test_the_tour_goes_through_every_command(shown: str) -> None:
    commands = re.findall(r"^\$ handrail (\w+)(?: -e (\w+))?", shown, flags=re.MULTILINE)
    assert [" ".join(filter(None, each)) for each in commands] == [
        "status",
        "apply production",
        "apply staging",
        "apply production",
        "apply development",
        "review",
        "versions",
        "compat development",
        "apply development",
        "rollback",
        "rollback",
        "log production",
        "report production",
    ]


@pytest.mark.slow
@pytest.mark.timeout(_TOUR_S)
def test_two_releases_at_work_on_production_meet_no_error(shown: str) -> None:
    part = _part(shown, 4)
    figures = re.findall(r"(v\d): \d+ transactions \((\d+) a second\), none failed", part)
    assert [version for version, _ in figures] == ["v1", "v2"]
    assert all(int(rate) >= 50 for _, rate in figures)
    assert "restored and equal" in part
    assert re.search(r"^ok +schema-matches", part, flags=re.MULTILINE)


@pytest.mark.slow
@pytest.mark.timeout(_TOUR_S)
def test_a_blocked_lock_names_its_holder_and_stalls_nobody(shown: str) -> None:
    part = _part(shown, 5)
    assert re.search(r"waits, holding nothing .* on users .*long_report", part)
    assert "none failed" in part


@pytest.mark.slow
@pytest.mark.timeout(_TOUR_S)
def test_a_breaking_revision_appears_in_the_count_of_errors_and_its_rollback_ends_them(shown: str) -> None:
    part = _part(shown, 6)
    assert "error compat-rename-column" in part
    assert re.search(r"v2: read fails on players\.form since d00dfeed0010", part)
    assert re.search(r"with the new column name .* [1-9]\d* failed \(\d+ UndefinedColumn\)", part)
    assert re.search(r"after the rollback .* none failed", part)


@pytest.mark.slow
@pytest.mark.timeout(_TOUR_S)
def test_digests_prove_that_the_dry_run_changes_nothing(shown: str) -> None:
    digests = re.findall(r"^catalogue \w{16}  rows \w{16}  files \w{16}$", _part(shown, 2), flags=re.MULTILINE)
    assert len(digests) == 2
    assert digests[0] == digests[1]


def _part(shown: str, number: int) -> str:
    return shown.partition(f"== {number}. ")[2].partition(f"== {number + 1}. ")[0]


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

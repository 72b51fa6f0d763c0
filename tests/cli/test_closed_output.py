"""Nobody reads what is told, or there is no room for it: the migration goes on, and its status stays its own."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from workbench import Workbench

_TIMEOUT_S = 60.0
_COUNT = 6


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Workbench:
    """A project of several revisions on a fresh database; the test runs on each engine."""
    bench = Workbench(tmp_path / "project", database_url)
    for n in range(1, _COUNT + 1):
        parent = f"aaa{n - 1}" if n > 1 else None
        bench.revision(f"aaa{n}", parent, f'op.create_table("t{n}", sa.Column("id", sa.Integer))')
    return bench


def shell(bench: Workbench, line: str) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which $HANDRAIL is the command; its status is the command's."""
    return subprocess.run(
        ["bash", "-c", f"set -o pipefail; {line}"],
        cwd=bench.root,
        env={**os.environ, "HANDRAIL_TEST_URL": bench.url, "HANDRAIL": f"{sys.executable} -m handrail"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


def assert_applied(bench: Workbench, head: str = f"aaa{_COUNT}") -> None:
    status = bench.json("status")["status"]["environments"][0]
    assert status["standing"]["heads"] == [head]
    assert status["last_run"]["state"] == "done"
    assert not status["standing"]["lease"]["held"]
    assert status["interrupted"] == ""


@pytest.mark.parametrize("lines", [0, 1, 3])
def test_a_reader_of_the_talk_that_goes_away_does_not_end_the_migration(bench: Workbench, lines: int) -> None:
    done = shell(bench, f"$HANDRAIL apply --yes 2>&1 | head -n {lines}")
    assert done.returncode == 0, done.stdout
    assert_applied(bench)


def test_a_reader_of_the_result_that_goes_away_does_not_change_the_status(bench: Workbench) -> None:
    done = shell(bench, "$HANDRAIL apply --yes --format json | true")
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1].startswith("report: handrail report "), "the talk is told to its end"
    assert_applied(bench)
    bench.execute("delete from alembic_version", "insert into alembic_version values ('gone')")
    assert shell(bench, "$HANDRAIL status | true").returncode == shell(bench, "$HANDRAIL status").returncode != 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_a_result_that_finds_no_room_is_said_on_stderr_and_the_run_keeps_its_status(bench: Workbench) -> None:
    done = shell(bench, "$HANDRAIL apply --yes > /dev/full")
    assert done.returncode == 0, done.stderr
    assert "the result could not be printed; the command itself ended with exit status 0" in done.stderr
    assert "why: stdout: No space left on device" in done.stderr
    assert_applied(bench)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
@pytest.mark.parametrize("command", ["status", "log", "history", "apply --dry-run", "status --format json"])
def test_a_command_that_only_prints_fails_where_there_is_no_room(lite_bench: Workbench, command: str) -> None:
    done = shell(lite_bench, f"$HANDRAIL {command} > /dev/full")
    assert done.returncode == 1, done.stderr
    assert "the result could not be printed" in done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux")
def test_an_error_keeps_its_status_where_there_is_no_room_for_it(bench: Workbench) -> None:
    assert shell(bench, "$HANDRAIL apply nowhere --format json > /dev/full 2>&1").returncode == 2
    assert shell(bench, "$HANDRAIL apply --yes 2> /dev/full").returncode == 0
    assert_applied(bench)


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_a_run_that_was_started_without_its_streams_is_done(lite_bench: Workbench, closed: str) -> None:
    done = shell(lite_bench, f"$HANDRAIL apply {'' if '<' in closed else '--yes'} {closed}")
    assert done.returncode == 0, done.stderr
    assert_applied(lite_bench, "aaa1")


def test_a_terminal_that_is_closed_does_not_end_the_migration(bench: Workbench) -> None:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "handrail", "apply", "--yes"],
        cwd=bench.root,
        env={**os.environ, "HANDRAIL_TEST_URL": bench.url},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    seen = ""
    while "lease taken" not in seen:
        seen += os.read(ours, 4096).decode()
    os.close(ours)
    assert process.wait(_TIMEOUT_S) == 0
    assert_applied(bench)


def test_a_project_whose_path_the_locale_does_not_have_is_migrated(tmp_path: Path, database_url: str) -> None:
    bench = Workbench(tmp_path / "größe", database_url)
    bench.revision("aaa1", None, "pass")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for command in (("apply", "--yes"), ("status",), ("log",)):
        started = bench.start(*command, env=plain)
        _out, err = started.communicate(timeout=_TIMEOUT_S)
        assert started.returncode == 0, err

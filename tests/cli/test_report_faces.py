"""`handrail report` on the command line: which run, in which form, to where, and what it says when it cannot."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from refusal import refusal, refusal_here
from workbench import Workbench

from handrail.journal.store import Journal
from handrail.model.run import Run, RunEnded, RunState

_BEGAN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def remember(bench: Workbench, *ids: str, environment: str = "main") -> None:
    """Write runs of those ids into the journal, each an hour after the one before."""
    journal = Journal(".handrail/journal.db", bench.root)
    for number, id_ in enumerate(ids):
        run = Run(
            id=id_,
            command="apply",
            environment=environment,
            who="ada",
            host="ci-7",
            pid=7,
            started_at=_BEGAN + timedelta(hours=number),
            goal=("aaa1",),
        )
        with journal.writer(run, str) as writer:
            writer(RunEnded(run=replace(run, state=RunState.DONE, ended_at=run.started_at + timedelta(seconds=2))))


@pytest.fixture
def three(lite_bench: Workbench) -> Workbench:
    """A project whose journal knows three runs."""
    remember(lite_bench, "abc1", "abd2", "abd3")
    return lite_bench


def test_the_last_run_is_meant_where_none_is_named(three: Workbench) -> None:
    assert "run       abd3: apply on main by ada@ci-7 (pid 7)" in three.run("report").stdout


def test_the_beginning_of_an_id_is_enough(three: Workbench) -> None:
    done = three.run("report", "abc")
    assert done.returncode == 0
    assert "run       abc1:" in done.stdout
    assert "when      2026-01-02 03:04:05Z to 2026-01-02 03:04:07Z (2.00 s)" in done.stdout


def test_the_beginning_of_several_ids_is_refused_and_they_are_named(
    three: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "why: abd3, abd2\n" in refusal_here(three, capsys, "report", "abd")


def test_an_id_of_no_run_is_refused(three: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    told = refusal_here(three, capsys, "report", "fff")
    assert "there is no run 'fff' in the journal" in told
    assert "fix: handrail report --list" in told


def test_an_empty_journal_is_told_so(lite_bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    assert "no run is in the journal" in refusal_here(lite_bench, capsys, "report")
    assert not (lite_bench.root / ".handrail").exists()
    listed = lite_bench.run("report", "--list")
    assert (listed.returncode, listed.stdout) == (0, "no run was recorded\n")


def test_only_runs_of_the_environment_that_is_named_are_meant(
    three: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    three.settings('[tool.handrail.environments.other]\nurl = "env:OTHER"')
    remember(three, "0001", environment="other")
    assert "run       0001: apply on other" in three.run("report", "-e", "other").stdout
    assert "run       abd3: apply on main" in three.run("report", "-e", "main").stdout
    assert "there is no run 'abc1' on other" in refusal_here(three, capsys, "report", "abc1", "-e", "other")
    assert "no environment 'mian'" in refusal_here(three, capsys, "report", "-e", "mian")


def test_runs_are_listed_newest_first(three: Workbench) -> None:
    listed = three.run("report", "--list").stdout.splitlines()
    assert [line.split()[0] for line in listed] == ["abd3", "abd2", "abc1"]
    assert listed[-1] == "abc1  2026-01-02 03:04:05Z  main  apply done  base -> aaa1  ada@ci-7"
    assert three.run("report", "--list", "-n", "1").stdout.splitlines() == listed[:1]
    document = json.loads(three.run("report", "--list", "--format", "json").stdout)
    assert (document["schema"], document["kind"]) == (1, "runs")
    assert [run["id"] for run in document["runs"]] == ["abd3", "abd2", "abc1"]


@pytest.mark.parametrize("beside", [["abc1"], ["-o", "page.html"]])
def test_a_list_is_of_no_single_run(three: Workbench, capsys: pytest.CaptureFixture[str], beside: list[str]) -> None:
    assert "--list goes with" in refusal_here(three, capsys, "report", "--list", *beside)


@pytest.mark.parametrize(
    ("name", "begins"),
    [("run.html", "<!DOCTYPE html>"), ("run.json", '{\n  "schema": 1'), ("run.txt", "PASS: "), ("run", "PASS: ")],
)
def test_the_name_of_the_file_says_how_it_is_written(three: Workbench, name: str, begins: str) -> None:
    done = three.run("report", "-o", name)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", f"written: {name}\n")
    assert (three.root / name).read_text().startswith(begins)


def test_the_form_that_is_asked_for_wins_over_the_name_of_the_file(three: Workbench) -> None:
    assert three.run("report", "-o", "run.txt", "--format", "html").returncode == 0
    assert (three.root / "run.txt").read_text().startswith("<!DOCTYPE html>")


@pytest.mark.parametrize("place", ["missing/run.html", ".", "/dev/full"])
def test_a_file_that_cannot_be_written_is_told(three: Workbench, place: str) -> None:
    told = refusal(three, "report", "-o", place)
    assert f"the report cannot be written to {place}" in told


def test_a_journal_that_cannot_be_read_is_told(lite_bench: Workbench, capsys: pytest.CaptureFixture[str]) -> None:
    folder = lite_bench.root / ".handrail"
    folder.mkdir()
    (folder / "journal.db").write_text("this is no database, and long enough to be looked at as one" * 20)
    assert "the journal cannot be read" in refusal_here(lite_bench, capsys, "report")


def test_the_last_line_of_a_run_says_where_its_report_is(lite_bench: Workbench) -> None:
    for command in ("apply", "rollback"):
        done = lite_bench.run(command, "--yes")
        id_ = json.loads(lite_bench.run("report", "--format", "json").stdout)["report"]["run"]["id"]
        assert done.stderr.splitlines()[-1] == f"report: handrail report {id_}"


def test_the_last_line_of_a_run_that_fails_says_where_its_report_is(lite_bench: Workbench) -> None:
    lite_bench.revision("bbb2", "aaa1", 'op.drop_table("nobody")')
    done = lite_bench.run("apply", "--yes")
    assert done.returncode == 1
    id_ = json.loads(lite_bench.run("report", "--format", "json").stdout)["report"]["run"]["id"]
    assert done.stderr.splitlines()[-1] == f"  report: handrail report {id_}"
    assert "\n  report: handrail report " in refusal(lite_bench, "apply", "--yes", exit_=1)


def test_nothing_is_said_of_a_report_where_no_run_was_begun(lite_bench: Workbench) -> None:
    lite_bench.run("apply", "--yes")
    for command in (("apply", "--yes"), ("apply", "--dry-run"), ("resume",), ("status",)):
        assert "report: handrail" not in lite_bench.run(*command).stderr


def test_status_names_the_last_run(three: Workbench) -> None:
    assert "last run  apply done, 2026-01-02 05:04:05Z (abd3)" in three.run("status").stdout


def test_neither_alembic_nor_the_project_is_needed(three: Workbench, tmp_path: Path) -> None:
    for path in three.root.glob("migrations/**/*.py"):
        path.write_text("this is no Python (")
    (three.root / "alembic.ini").unlink()
    assert three.run("report").returncode == 0

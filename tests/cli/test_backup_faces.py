"""`handrail backup` as a person meets it: help, refusals, and no password anywhere."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from guarded import Guarded, written
from load import until
from refusal import TRACES, refusal
from sqlalchemy import make_url
from workbench import Workbench

from handrail.cli.main import main


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """Restore on the server of the tests: starting one takes seconds."""
    if "pg_bench" in request.fixturenames:
        guarded: Guarded = request.getfixturevalue("guarded")
        monkeypatch.setenv("HANDRAIL_SANDBOX_URL", guarded.server.url())


def everything_written(bench: Workbench) -> list[Path]:
    return [path for path in bench.root.rglob("*") if path.is_file()]


def command_lines() -> bytes:
    lines = b""
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            lines += path.read_bytes() + b"\n"
        except OSError:  # gone meanwhile
            continue
    return lines


@pytest.mark.slow
def test_the_password_is_in_no_command_line_no_file_and_no_output(pg_bench: Workbench, guarded: Guarded) -> None:
    assert pg_bench.run("apply", "--yes").returncode == 0
    database = make_url(pg_bench.url).database or ""
    with guarded.server.session(database) as conn, conn.transaction(force_rollback=True):
        conn.execute("lock table handrail.log in access exclusive mode")
        run = pg_bench.start("backup", "create", "--format", "json")
        until(lambda: b"--format=custom" in command_lines(), "pg_dump is at work")
        seen = command_lines()
    out, err = run.communicate(timeout=60)
    assert run.returncode == 0, err
    assert database.encode() in seen
    for trace in TRACES:
        assert trace.encode() not in seen
        assert trace not in out + err
        for path in everything_written(pg_bench):
            assert trace.encode() not in path.read_bytes(), path


def test_a_wrong_password_is_told_as_such(pg_bench: Workbench) -> None:
    url = make_url(pg_bench.url).set(password="not the one")
    told = refusal(pg_bench, "backup", "create", env={"HANDRAIL_TEST_URL": written(url)})
    assert "password" in told
    assert not (pg_bench.root / "backups").exists()


@pytest.mark.parametrize("command", ["verify", "restore"])
def test_a_backup_that_is_not_there_is_refused_with_those_that_are(lite_bench: Workbench, command: str) -> None:
    words = ["backup", command, "nothing"] + (["--into", "x.db"] if command == "restore" else [])
    told = refusal(lite_bench, *words)
    assert "there is no backup 'nothing' of main" in told
    assert "handrail backup list -e main" in told


def test_a_failing_backup_is_one_json_document_with_exit_9(lite_bench: Workbench) -> None:
    assert lite_bench.run("apply", "--yes").returncode == 0
    lite_bench.settings('backup = { directory = "pyproject.toml/x" }')
    assert "cannot be written" in refusal(lite_bench, "backup", "create", exit_=9)


def test_every_command_prints_json(lite_bench: Workbench) -> None:
    assert lite_bench.run("apply", "--yes").returncode == 0
    kinds = {}
    for words in (
        ["create"],
        ["list"],
        ["verify"],
        ["restore", "latest", "--into", "new.db"],
        ["prune", "--dry-run"],
        ["prune", "--yes"],
    ):
        done = lite_bench.run("backup", *words, "--format", "json")
        assert done.returncode == 0, done.stderr
        kinds[" ".join(words)] = json.loads(done.stdout)["kind"]
    assert list(kinds.values()) == ["backup", "backups", "backup", "restored", "pruned", "pruned"]


def test_the_help_names_every_command_below(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["backup", "--help"]) == 0
    out, _ = capsys.readouterr()
    assert all(name in out for name in ("create", "list", "verify", "restore", "prune"))

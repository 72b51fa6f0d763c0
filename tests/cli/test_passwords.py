"""The password of a database is nowhere: not in output, files, process titles, tables, nor what the server is told."""

from __future__ import annotations

import os
import stat
import sys
import tempfile
import time
from pathlib import Path

import pytest
from guarded import Guarded, written
from refusal import CANARY, TRACES, assert_no_secret
from sqlalchemy import make_url
from workbench import Workbench

from handrail.cli.main import main
from handrail.flows import history
from handrail.host import secrets

_TIMEOUT_S = 60.0


def test_a_whole_life_leaves_no_password_behind(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa2", "aaa1", 'op.add_column("users", sa.Column("email", sa.String(50)))')
    life = (
        ("status",),
        ("status", "--offline"),
        ("history",),
        ("apply", "--dry-run"),
        ("apply", "--yes", "--verify-after"),
        ("verify",),
        ("log",),
        ("status",),
        ("rollback", "--yes"),
        ("resume",),
        ("status", "--rebind", "main"),
    )
    for number, command in enumerate(life):
        done = pg_bench.run(*command, "--format", ("text", "json")[number % 2])
        assert done.returncode in {0, 4}, (command, done.stderr)
        assert_no_secret(done.stdout + done.stderr, pg_bench.root)
    names = [row[0] for row in pg_bench.rows("select tablename from pg_tables where schemaname = 'handrail'")]
    assert {"log", "lease", "identity", "statement_log"} <= set(names)
    for name in names:
        for row in pg_bench.rows(f"select t::text from handrail.{name} t"):
            assert not any(trace in row[0] for trace in TRACES)
    told = pg_bench.rows("select string_agg(application_name || query, ' ') from pg_stat_activity")[0][0]
    assert not any(trace in told for trace in TRACES)


def test_a_revision_that_prints_and_raises_the_url_gives_nothing_away(pg_bench: Workbench) -> None:
    pg_bench.revision(
        "aaa2",
        "aaa1",
        """
        import os, sys
        url = os.environ["HANDRAIL_TEST_URL"]
        print("printing", url, sa.make_url(url).password)
        print("printing", url, file=sys.stderr)
        raise ValueError(f"cannot use {url} with {sa.make_url(url).password!r}")
        """,
    )
    for command in (("apply", "--dry-run"), ("apply", "--yes"), ("status",), ("log",)):
        for form in ("text", "json"):
            done = pg_bench.run(*command, "--format", form)
            assert_no_secret(done.stdout + done.stderr, pg_bench.root)


def test_an_env_py_that_prints_and_raises_the_url_gives_nothing_away(pg_bench: Workbench) -> None:
    (pg_bench.root / "migrations" / "env.py").write_text(
        "from alembic import context\n"
        "url = context.config.get_main_option('sqlalchemy.url')\n"
        "print(url)\n"
        "raise RuntimeError(url)\n"
    )
    for command in (("apply", "--yes"), ("status",)):
        done = pg_bench.run(*command)
        assert done.returncode == 2
        assert "RuntimeError" in done.stdout + done.stderr
        assert_no_secret(done.stdout + done.stderr, pg_bench.root)


@pytest.mark.parametrize("parameter", ["", "?password="])
def test_a_password_anywhere_in_the_url_is_kept(parameter: str, pg_bench: Workbench, guarded: Guarded) -> None:
    if parameter:
        pg_bench.url = written(guarded.url("nothing_here")).replace(":c4n%25ry%40%3A%2F%23x@", "@")
        pg_bench.url += f"{parameter}c4n%25ry%40%3A%2F%23x"
    else:
        pg_bench.url = written(guarded.url("nothing_here"))
    for command in (("status",), ("apply", "--yes")):
        done = pg_bench.run(*command)
        assert done.returncode == 2
        assert "there is no database nothing_here" in done.stdout + done.stderr
        assert_no_secret(done.stdout + done.stderr, pg_bench.root)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_no_process_of_a_run_shows_the_password_in_its_title(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa2", "aaa1", 'op.execute("select pg_sleep(2)")')
    process = pg_bench.start("apply", "--yes", "--verify-after")
    titles: set[str] = set()
    deadline = time.monotonic() + _TIMEOUT_S
    while process.poll() is None:
        assert time.monotonic() < deadline
        titles |= _titles()
    out, err = process.communicate()
    assert process.returncode == 0, err
    assert any("handrail" in title for title in titles)
    assert not [title for title in titles if any(trace in title for trace in TRACES)]
    assert_no_secret(out + err, pg_bench.root)


def _titles() -> set[str]:
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                found.add((entry / "cmdline").read_bytes().decode(errors="replace"))
            except OSError:  # it has ended meanwhile
                continue
    return found


def test_a_bug_of_ours_is_reported_in_a_private_file_without_the_password(
    pg_bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(_ports: object) -> None:
        raise AssertionError(f"{pg_bench.url} and {CANARY}")

    monkeypatch.setattr(secrets, "_known", set())
    secrets.remember(str(make_url(pg_bench.url).password))
    monkeypatch.setattr(history, "history", broken)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    assert main(["history", "-C", str(pg_bench.root), "--format", "json"]) == 70
    out, err = capsys.readouterr()
    report = next(tmp_path.glob("handrail-crash-*.txt"))
    assert str(report) in err
    assert '"exit": 70' in out
    assert "AssertionError" in report.read_text()
    assert stat.S_IMODE(report.stat().st_mode) == 0o600
    assert_no_secret(out + err + report.read_text(), pg_bench.root)


def test_the_environment_of_a_run_is_not_written_down(pg_bench: Workbench) -> None:
    secret = "c4n%ry-of-the-environment"
    pg_bench.run("apply", "--yes", env={**os.environ, "TOKEN": secret, "HANDRAIL_TEST_URL": pg_bench.url})
    for path in pg_bench.root.rglob("*"):
        assert not path.is_file() or secret.encode() not in path.read_bytes()

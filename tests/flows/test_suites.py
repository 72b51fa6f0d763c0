"""Each version's own tests, from its own commit, on a migrated database of their own."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import sqlalchemy as sa
from workbench import Workbench

from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.server import start

DEADLINE_S = 30.0
_MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True), Column("state", String(20), server_default="new"))
"""
_FIRST = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("state", sa.String(20), server_default="new"),
)
"""
_TESTS = """
import os
import sqlalchemy as sa

def test_a_user_begins_as_new():
    assert os.environ["HANDRAIL_URL"] == os.environ["HANDRAIL_TEST_URL"]
    engine = sa.create_engine(os.environ["HANDRAIL_URL"], poolclass=sa.NullPool)
    with engine.begin() as conn:
        conn.exec_driver_sql("insert into users (id) values (1)")
        assert conn.exec_driver_sql("select state from users").scalar_one() == "new"

def test_the_version_is_told():
    assert os.environ["HANDRAIL_VERSION"] == "v1"
"""


class Repository:
    """A project under git, with version v1 registered at its first commit."""

    def __init__(self, bench: Workbench, tests: str = _TESTS) -> None:
        self.bench = bench
        bench.revision("aaa1", None, _FIRST)
        (bench.root / "app.py").write_text(dedent(_MODELS))
        (bench.root / "test_app.py").write_text(dedent(tests))
        self.git("init", "-q")
        self.commit()
        self.git("tag", "v1")
        done = bench.run("versions", "register", "v1", "--models", "app:metadata", "--ref", "v1")
        assert done.returncode == 0, done.stderr
        (bench.root / "test_app.py").write_text("def test_of_today(): raise AssertionError('not the tests of v1')\n")

    def git(self, *arguments: str) -> None:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org")
        subprocess.run(["git", *identity, *arguments], cwd=self.bench.root, check=True, capture_output=True)

    def commit(self) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", "a version")

    def suite(self, command: str, *arguments: str) -> dict[str, Any]:
        """What became of the tests of v1."""
        done = self.bench.run("compat", "--tests", command, "--format", "json", *arguments)
        assert done.returncode in {0, 1}, done.stderr
        [suite] = json.loads(done.stdout)["suites"]
        found: dict[str, Any] = suite
        assert (done.returncode == 0) is (found["verdict"] == "pass")
        return found


@pytest.mark.slow
def test_only_its_own_tests_see_that_a_value_has_another_meaning(pg_bench: Workbench) -> None:
    repository = Repository(pg_bench)
    good = repository.suite("python -m pytest -q -p no:cacheprovider")
    assert (good["verdict"], good["reason"]) == ("pass", "2 tests passed")
    pg_bench.revision("aaa2", "aaa1", 'op.alter_column("users", "state", server_default="fresh")')
    done = pg_bench.run("compat", "--tests", "python -m pytest -q -p no:cacheprovider")
    assert done.returncode == 1
    assert "every version works at every revision" in done.stdout
    assert "tests of v1: FAIL, 1 of 2 tests failed" in done.stdout
    assert "assert 'fresh' == 'new'" in done.stdout
    assert "assert 'fresh' == 'new'" in (pg_bench.root / ".handrail" / "tests" / "v1.log").read_text()
    assert "running the tests of v1" in done.stderr
    page = pg_bench.run("compat", "--tests", "python -m pytest -q -p no:cacheprovider", "--format", "html").stdout
    assert "The tests of v1 fail on the migrated database" in page
    before = repository.suite("python -m pytest -q -p no:cacheprovider", "--revisions", "aaa1")
    assert before["verdict"] == "pass"
    assert pg_bench.rows("select count(*) from pg_class where relname = 'users'") == [(0,)]


@pytest.mark.slow
def test_what_is_no_proof_is_not_taken_for_one(pg_bench: Workbench) -> None:
    repository = Repository(pg_bench, "def test_nothing(): pass\n")
    asked = {
        "python -m pytest -q": (
            "unknown",
            "none of its tests came to the migrated database: let them use HANDRAIL_URL",
        ),
        "python -m pytest -q -k no_such": ("fail", "the command ended with status 5"),
        "true": ("unknown", "nobody counted its tests: run them with pytest beside Handrail, or name --junit FILE"),
        "false": ("fail", "the command ended with status 1"),
        "sh -c 'python -m pytest -q --deselect test_app.py::test_nothing; true'": ("fail", "it ran no test"),
    }
    found = {command: repository.suite(command) for command in asked}
    assert {command: (suite["verdict"], suite["reason"]) for command, suite in found.items()} == asked
    refused = pg_bench.run("compat", "--tests", "no-such-program")
    assert refused.returncode == 2
    assert "the tests of v1 cannot be run" in refused.stderr
    assert pg_bench.run("versions", "register", "v2", "--models", "app:metadata").returncode == 0
    done = pg_bench.run("compat", "--versions", "v2", "--tests", "true")
    assert "tests of v2: UNKNOWN, it was registered without --ref" in done.stdout


@pytest.mark.slow
def test_tests_of_another_kind_are_counted_by_their_junit_file(pg_bench: Workbench) -> None:
    xml = '<testsuites><testsuite><testcase name="a"/><testcase name="b"><skipped/></testcase></testsuite></testsuites>'
    script = f"""
    import os, pathlib, sqlalchemy as sa
    sa.create_engine(os.environ["HANDRAIL_URL"], poolclass=sa.NullPool).connect().close()
    pathlib.Path("out.xml").write_text('{xml}')
    """
    repository = Repository(pg_bench, script)
    found = repository.suite("python test_app.py", "--junit", "out.xml")
    assert (found["verdict"], found["reason"]) == ("pass", "1 tests passed, 1 skipped")
    assert repository.suite("python -c pass", "--junit", "out.xml")["verdict"] == "unknown"


@pytest.mark.slow
def test_time_is_limited_and_nothing_that_was_started_is_left(pg_bench: Workbench, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"""
    import os, pathlib, signal, subprocess, time
    child = subprocess.Popen(["sleep", "600"])
    pathlib.Path({str(pid)!r}).write_text(str(child.pid))
    print("a word before the end", flush=True)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    time.sleep(600 if os.environ.get("STAY") else 0)
    """
    repository = Repository(pg_bench, script)
    for stay in ("1", ""):
        command = f"env STAY={stay} python test_app.py"
        found = repository.suite(command, "--tests-limit", "2s")
        assert found["reason"] == ("it was ended after 2 s" if stay else _UNCOUNTED)
        assert "a word before the end" in found["output"]
        deadline = time.monotonic() + DEADLINE_S
        while _alive(int(pid.read_text())):
            assert time.monotonic() < deadline
            time.sleep(0.05)


_UNCOUNTED = "nobody counted its tests: run them with pytest beside Handrail, or name --junit FILE"


def _alive(pid: int) -> bool:
    """Whether the process runs; one that nobody has waited for yet is dead too."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.slow
def test_no_password_is_in_what_tests_leave(tmp_path: Path) -> None:
    script = 'import os\nprint(os.environ["HANDRAIL_URL"], os.environ["HANDRAIL_URL"].split(":")[2].split("@")[0])\n'
    with start(find_any(), listen=True) as server:
        server.create_database("project")
        bench = Workbench(tmp_path / "project", server.url("project"))
        repository = Repository(bench, script)
        password = sa.make_url(server.url()).password
        assert password
        done = bench.run(
            "compat", "--tests", "python test_app.py", env={**os.environ, "HANDRAIL_SANDBOX_URL": server.url()}
        )
        log = (bench.root / ".handrail" / "tests" / "v1.log").read_text()
        assert repository.bench is bench
    assert "***" in log
    assert password not in log + done.stdout + done.stderr


@pytest.mark.slow
def test_sqlite_is_tested_too(lite_bench: Workbench) -> None:
    repository = Repository(lite_bench)
    assert repository.suite("python -m pytest -q -p no:cacheprovider")["verdict"] == "pass"
    change = "with op.batch_alter_table('users') as batch:\n    batch.alter_column('state', server_default='fresh')"
    lite_bench.revision("aaa2", "aaa1", change)
    assert repository.suite("python -m pytest -q -p no:cacheprovider")["reason"] == "1 of 2 tests failed"

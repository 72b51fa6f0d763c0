from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

DEADLINE_S = 60.0

USES_THE_FIXTURES = """
import psycopg

def test_empty(handrail_postgresql, handrail_postgresql_url):
    assert handrail_postgresql.major >= 14
    with psycopg.connect(handrail_postgresql_url.replace("+psycopg", "")) as conn:
        conn.execute("CREATE TABLE t (id int)")

def test_empty_again(handrail_postgresql_url):
    with psycopg.connect(handrail_postgresql_url.replace("+psycopg", "")) as conn:
        assert conn.execute("SELECT to_regclass('t')").fetchone() == (None,)
"""
WAITS = """
import time
from pathlib import Path

def test_waits(handrail_postgresql):
    Path("folder").write_text(handrail_postgresql.log_path.parent.name)
    time.sleep(600)
"""
CONFTEST = Path(__file__).with_name("conftest.py")


def scratch_project(folder: Path, test: str) -> list[str]:
    (folder / "test_scratch.py").write_text(test)
    (folder / "pytest.ini").write_text("[pytest]\n")
    return [sys.executable, "-m", "pytest", "-ra", "-p", "no:cacheprovider", str(folder)]


def run(command: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=DEADLINE_S)


def test_a_project_gets_a_fresh_database_for_each_test(tmp_path: Path) -> None:
    done = run(scratch_project(tmp_path, USES_THE_FIXTURES), tmp_path)
    assert "2 passed" in done.stdout, done.stdout


def test_a_given_server_is_used(
    tmp_path: Path, handrail_postgresql: object, postgresql_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HANDRAIL_SANDBOX_URL", postgresql_url)
    asks = """
import os

from sqlalchemy import make_url

def test_given(handrail_postgresql):
    assert handrail_postgresql.log_path is None
    given = make_url(os.environ["HANDRAIL_SANDBOX_URL"])
    assert make_url(handrail_postgresql.url()).set(database=given.database) == given
"""
    done = run(scratch_project(tmp_path, asks), tmp_path)
    assert "1 passed" in done.stdout, done.stdout


def test_loading_the_plugin_imports_nothing_heavy() -> None:
    code = """
import sys, pytest
before = set(sys.modules)
import handrail.pytest_plugin
print(sorted(name for name in set(sys.modules) - before if name.partition(".")[0] not in sys.stdlib_module_names))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['handrail', 'handrail.pytest_plugin']"


def test_nothing_is_left_when_the_parent_of_a_run_with_workers_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HANDRAIL_SANDBOX_URL", raising=False)
    command = [*scratch_project(tmp_path, WAITS), "-n", "1", "--timeout=0"]
    shutil.copy(CONFTEST, tmp_path)
    # A shell that stays between us and pytest, as make does.
    maker = subprocess.Popen(
        ["/bin/sh", "-c", '"$@"; true', "sh", *command],
        cwd=tmp_path,
        env={**os.environ, "HANDRAIL_DIE_WITH_PARENT": "1"},
        stdout=subprocess.DEVNULL,
    )
    named = tmp_path / "folder"
    deadline = time.monotonic() + DEADLINE_S
    while not named.exists() or not named.read_text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    maker.send_signal(signal.SIGKILL)
    maker.wait()
    while left := [line for line in command_lines() if named.read_text() in line or str(tmp_path) in line]:
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def command_lines() -> list[str]:
    return subprocess.run(["ps", "-ww", "-eo", "args"], capture_output=True, text=True, check=True).stdout.splitlines()


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "with-workers"])
def test_a_skip_for_a_reason_nobody_allowed_fails_the_run(tmp_path: Path, workers: list[str]) -> None:
    command = scratch_project(tmp_path, "import pytest\ndef test_skips(): pytest.skip('too lazy')\n")
    shutil.copy(CONFTEST, tmp_path)
    done = run([*command, *workers], tmp_path)
    assert done.returncode == 1
    assert "test_skips: too lazy" in done.stdout


def test_a_module_that_cannot_be_imported_is_not_skipped_unnoticed(tmp_path: Path) -> None:
    command = scratch_project(tmp_path, "import pytest\npytest.importorskip('no_such_module')\n")
    shutil.copy(CONFTEST, tmp_path)
    assert run(command, tmp_path).returncode == 1


def test_an_allowed_skip_and_an_expected_failure_pass(tmp_path: Path) -> None:
    test = """
import pytest

def test_skips(): pytest.skip("needs Linux")

@pytest.mark.xfail(reason="known")
def test_fails(): assert False
"""
    command = scratch_project(tmp_path, test)
    shutil.copy(CONFTEST, tmp_path)
    assert run(command, tmp_path).returncode == 0


_REVISION = """
from alembic import op

revision = "{id}"
down_revision = {parent}


def upgrade():
    {body}


def downgrade():
    op.execute("DROP TABLE IF EXISTS users")
"""


def migrations(folder: Path) -> None:
    """Two revisions for PostgreSQL: one makes a table, the next an index that keeps writers waiting."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text('URL = "postgresql://nobody@nowhere.invalid/app"\n')
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    made = 'op.execute("CREATE TABLE users (id integer PRIMARY KEY, email text)")'
    index = 'op.create_index("ix_users_email", "users", ["email"])'
    (versions / "a1_make_users.py").write_text(_REVISION.format(id="a1", parent=None, body=made))
    (versions / "a2_index_users.py").write_text(_REVISION.format(id="a2", parent="'a1'", body=index))


def test_each_revision_is_a_test_and_fails_with_its_findings(tmp_path: Path) -> None:
    migrations(tmp_path)
    command = scratch_project(tmp_path, "def test_own(): pass\n")
    done = run([*command, "--handrail", "-v"], tmp_path)
    assert done.returncode == 1
    assert re.search(r"a1 PASSED", done.stdout), done.stdout
    assert re.search(r"a2 FAILED", done.stdout), done.stdout
    assert "test_own PASSED" in done.stdout
    assert "a2_index_users.py:9: error lock-index-create: index ix_users_email" in done.stdout
    assert "postgresql_concurrently=True" in done.stdout
    assert "Traceback" not in done.stdout


def test_without_the_option_no_revision_is_a_test(tmp_path: Path) -> None:
    migrations(tmp_path)
    done = run(scratch_project(tmp_path, "def test_own(): pass\n"), tmp_path)
    assert "1 passed" in done.stdout


def test_the_level_comes_from_the_settings_of_pytest_or_the_command(tmp_path: Path) -> None:
    migrations(tmp_path)
    command = scratch_project(tmp_path, "")
    (tmp_path / "pytest.ini").write_text("[pytest]\nhandrail_fail_on = note\n")
    assert "2 failed" in run([*command, "--handrail"], tmp_path).stdout
    assert "1 failed, 1 passed" in run([*command, "--handrail", "--handrail-fail-on", "error"], tmp_path).stdout


def test_a_folder_without_migrations_is_a_mistake_with_a_way_out(tmp_path: Path) -> None:
    done = run([*scratch_project(tmp_path, "def test_own(): pass\n"), "--handrail"], tmp_path)
    assert done.returncode == 4
    assert "alembic" in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr

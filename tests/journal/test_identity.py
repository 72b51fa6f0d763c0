"""Which database an environment means: noticed when its URL leads to another one, or to a copy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from sqlalchemy import make_url
from workbench import Workbench

from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server

_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))'


@pytest.fixture
def applied(tmp_path: Path, database_url: str) -> Workbench:
    bench = Workbench(tmp_path / "project", database_url)
    bench.revision("aaa1", None, _USERS)
    assert bench.run("apply", "--yes").returncode == 0
    bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))')
    return bench


def _refused(bench: Workbench, words: str) -> None:
    for command in (("apply", "--yes"), ("apply", "--dry-run"), ("verify",)):
        done = bench.run(*command)
        assert done.returncode == 2, (command, done.stderr)
        assert words in done.stderr, command
        assert "handrail status --rebind main" in done.stderr
        assert "nothing was touched" in done.stderr
    assert bench.run("status").returncode == 2


def test_an_empty_database_behind_a_bound_environment_is_refused(applied: Workbench, tmp_path: Path) -> None:
    applied.url = f"sqlite:///{tmp_path / 'other.db'}"
    _refused(applied, "this one has no identity")
    assert not (tmp_path / "other.db").exists()


def test_a_database_bound_to_another_environment_is_refused(applied: Workbench) -> None:
    settings = applied.root / "pyproject.toml"
    settings.write_text(settings.read_text().replace("environments.main", "environments.other"))
    done = applied.run("apply", "--yes")
    assert done.returncode == 2
    assert "it was bound to the environment 'main'" in done.stderr


def test_a_copy_of_a_database_is_told_from_it(tmp_path: Path, handrail_postgresql: Server) -> None:
    with fresh_database(handrail_postgresql) as url:
        bench = Workbench(tmp_path / "project", url)
        bench.revision("aaa1", None, _USERS)
        assert bench.run("apply", "--yes").returncode == 0
        bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))')
        name = make_url(url).database
        bench.url = handrail_postgresql.url()
        bench.execute(f"create database {name}_copy template {name}")
        bench.url = handrail_postgresql.url(f"{name}_copy")
        try:
            _refused(bench, f"it is a copy of the database {name}")
            assert bench.run("rollback", "base", "--yes").returncode == 2
            assert bench.run("status", "--rebind", "main").returncode == 0
            assert bench.run("status").returncode == 0
        finally:
            handrail_postgresql.drop_database(f"{name}_copy")


def test_rebinding_accepts_the_database_the_url_names_now(applied: Workbench, tmp_path: Path) -> None:
    applied.url = f"sqlite:///{tmp_path / 'other.db'}"
    done = applied.run("status", "--rebind", "main")
    assert done.returncode == 0, done.stderr
    assert applied.run("apply", "--yes").returncode == 0


def test_a_moved_sqlite_file_is_the_same_database(tmp_path: Path, sqlite_url: str) -> None:
    bench = Workbench(tmp_path / "project", sqlite_url)
    bench.revision("aaa1", None, _USERS)
    assert bench.run("apply", "--yes").returncode == 0
    moved = tmp_path / "moved.db"
    shutil.move(make_url(sqlite_url).database or "", moved)
    bench.url = f"sqlite:///{moved}"
    assert bench.run("apply", "--yes").returncode == 0

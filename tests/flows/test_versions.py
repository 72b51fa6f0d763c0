from __future__ import annotations

import json
import subprocess
from pathlib import Path
from textwrap import dedent

import pytest
from workbench import Workbench

_MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True), Column("name", String(5), nullable=False))
empty = MetaData()
number = 3
"""
_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(5)))'


def git(folder: Path, *arguments: str) -> str:
    settings = ("-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", *settings, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout


@pytest.fixture
def project(lite_bench: Workbench) -> Workbench:
    lite_bench.revision("aaa1", None, _USERS)
    (lite_bench.root / "app.py").write_text(_MODELS)
    return lite_bench


def test_a_version_of_a_git_ref_is_derived_from_its_code_and_leaves_no_trace(project: Workbench) -> None:
    git(project.root, "init", "-q")
    git(project.root, "add", ".")
    git(project.root, "commit", "-qm", "one")
    git(project.root, "tag", "v1")
    project.revision("aaa2", "aaa1", 'op.add_column("users", sa.Column("age", sa.Integer))')
    (project.root / "app.py").write_text(_MODELS.replace('Column("name"', 'Column("age", Integer), Column("name"'))
    old = project.run("versions", "register", "v1", "--ref", "v1", "--models", "app:metadata")
    assert old.returncode == 0, old.stderr
    assert "from revision aaa1" in old.stdout
    assert project.run("versions", "register", "v2", "--models", "app:metadata").returncode == 0
    assert project.run("versions", "diff", "v1", "v2").stdout == "+ column users.age INTEGER\n"
    assert len(git(project.root, "worktree", "list").splitlines()) == 1
    assert not list(project.root.rglob("__pycache__"))


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--models", "nowhere:metadata"], "No module named 'nowhere'"),
        (["--models", "app:missing"], "app has no attribute 'missing'; it has empty, metadata"),
        (["--models", "app:number"], "of type int, neither a MetaData nor something that has one"),
        (["--models", "json"], "json is a module, neither a MetaData nor something that has one"),
        (["--models", "app:empty"], "hold no table"),
        (["--models", "broken:metadata"], "broken.py:2: ZeroDivisionError"),
        (["--ref", "v9", "--models", "app:metadata"], "the ref 'v9' does not exist"),
        (["--models", "app:metadata", "--at", "zzz9"], "zzz9"),
        (["--models", "leaver:metadata"], "sys.exit(3)"),
    ],
)
def test_what_cannot_be_registered_is_refused_with_the_reason(
    project: Workbench, arguments: list[str], told: str
) -> None:
    git(project.root, "init", "-q")
    (project.root / "broken.py").write_text("\n1 / 0\n")
    (project.root / "leaver.py").write_text("import sys\nsys.exit(3)\n")
    done = project.run("versions", "register", "v1", *arguments)
    assert done.returncode == 2
    assert told in done.stderr
    assert "nothing was touched" in done.stderr
    assert "Traceback" not in done.stderr
    assert project.run("versions", "list").stdout.startswith("no version is registered")


def test_a_version_that_is_not_there_to_be_retired_is_looked_for_in_the_list(project: Workbench) -> None:
    done = project.run("versions", "retire", "nosuch")
    assert done.returncode == 2
    assert "fix: handrail versions list" in done.stderr


def test_models_that_connect_when_they_are_imported_are_kept_from_it(project: Workbench) -> None:
    connecting = "create_engine('postgresql+psycopg://nobody@127.0.0.1:1/none').connect().execute(text('select 1'))"
    (project.root / "app.py").write_text(f"{_MODELS}\n{connecting}\n")
    done = project.run("versions", "register", "v1", "--models", "app:metadata")
    assert done.returncode == 0, done.stderr


def test_two_versions_with_one_contract_are_said_to_be_alike(project: Workbench) -> None:
    assert project.run("versions", "register", "v1", "--models", "app:metadata").returncode == 0
    again = project.run("versions", "register", "v2", "--models", "app:metadata")
    assert "v2 needs the same as v1: the contracts are equal" in again.stderr
    assert "v1 and v2 need the same" in project.run("compat").stdout


def test_a_version_that_is_registered_again_keeps_its_place(project: Workbench) -> None:
    for name in ("v1", "v2", "v1"):
        said = project.run("versions", "register", name, "--models", "app:metadata").stderr
    assert "with the same contract" in said
    listed = json.loads(project.run("versions", "list", "--format", "json").stdout)
    assert [version["name"] for version in listed["versions"]] == ["v1", "v2"]


def test_a_contract_travels_as_a_file(project: Workbench) -> None:
    assert project.run("versions", "register", "v1", "--models", "app:metadata").returncode == 0
    file = project.root / "v1.json"
    file.write_text(project.run("versions", "show", "v1", "--format", "json").stdout)
    assert json.loads(file.read_text())["contract"]["schema"] == 1
    assert project.run("versions", "register", "v2", "--from-file", "v1.json").returncode == 0
    assert "need the same" in project.run("versions", "diff", "v1", "v2").stdout
    file.write_text('{"tables": [], "dialect": "sqlite", "schema": 1}')
    refused = project.run("versions", "register", "v3", "--from-file", "v1.json")
    assert refused.returncode == 2
    assert "it has no table" in refused.stderr


def test_a_retired_version_is_judged_no_longer(project: Workbench) -> None:
    assert project.run("versions", "register", "v1", "--models", "app:metadata").returncode == 0
    assert "retired" in project.run("versions", "retire", "v1").stdout
    assert project.run("compat").returncode == 2
    assert project.run("compat", "--versions", "v1").returncode == 0
    unknown = project.run("versions", "retire", "v11")
    assert unknown.returncode == 2
    assert "did you mean 'v1'?" in unknown.stderr


def test_a_view_that_is_mapped_in_other_metadata_is_known_by_the_relationship_that_leads_there(
    lite_bench: Workbench,
) -> None:
    models = """
    from sqlalchemy import Column, ForeignKey, Integer, MetaData, Table
    from sqlalchemy.orm import DeclarativeBase, registry, relationship
    class Base(DeclarativeBase): ...
    view = Table("summary", MetaData(), Column("team_id", Integer, primary_key=True), Column("members", Integer))
    unknown = Table("unknown", MetaData(), Column("id", Integer, primary_key=True))
    class Summary: ...
    class Unknown: ...
    registry().map_imperatively(Summary, view)
    registry().map_imperatively(Unknown, unknown)
    class Team(Base):
        __tablename__ = "teams"
        id = Column(Integer, primary_key=True)
        summary = relationship(Summary, primaryjoin=lambda: Team.id == view.c.team_id, foreign_keys=view.c.team_id)
    """
    lite_bench.revision("aaa1", None, "pass")
    (lite_bench.root / "app.py").write_text(dedent(models))
    assert lite_bench.run("versions", "register", "v1", "--models", "app:Base").returncode == 0
    shown = json.loads(lite_bench.run("versions", "show", "v1", "--format", "json").stdout)
    assert [table["name"] for table in shown["contract"]["tables"]] == ["summary", "teams"]


def test_what_versions_know_beside_columns_differs_too(lite_bench: Workbench) -> None:
    models = """
    from sqlalchemy import *
    metadata = MetaData()
    Table("users", metadata, Column("id", Integer, primary_key=True))
    Table(
        "marks", metadata,
        Column("id", Integer, primary_key=True),
        Column("user_id", ForeignKey("users.id")),
        Column("state", String(20), server_default="new"),
    )
    """
    lite_bench.revision("aaa1", None, "pass")
    (lite_bench.root / "app.py").write_text(dedent(models))
    assert lite_bench.run("versions", "register", "v1", "--models", "app:metadata").returncode == 0
    newer = models.replace('"users.id")', '"users.id", ondelete="CASCADE")').replace(
        '(20), server_default="new"', "(30)"
    )
    (lite_bench.root / "app.py").write_text(dedent(newer))
    assert lite_bench.run("versions", "register", "v2", "--models", "app:metadata").returncode == 0
    assert lite_bench.run("versions", "diff", "v1", "v2").stdout.splitlines() == [
        (
            "~ column marks.state: VARCHAR(20) -> VARCHAR(30), DEFAULT 'new' -> nothing, "
            "value from server -> value from nothing"
        ),
        "- foreign key marks (user_id) -> users (id)",
        "+ foreign key marks (user_id) -> users (id) ON DELETE CASCADE",
    ]

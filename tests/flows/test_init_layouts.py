"""`handrail init` in real projects, and what can be done at once afterwards, without an edit."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from layouts import LAYOUTS, Site, several_databases


def _ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_project_goes_from_init_to_verified_without_an_edit(layout: str, tmp_path: Path, database_url: str) -> None:
    site = LAYOUTS[layout](tmp_path / "project", database_url)
    _ok(site.run("init", "--yes"))
    _ok(site.run("new", "-m", "create_users", *([] if layout != "several_locations" else ["--empty"])))
    assert "CREATE TABLE users" in _ok(site.run("apply", "heads", "-e", "development", "--dry-run"))
    _ok(site.run("apply", "heads", "-e", "development", "--yes"))
    assert "as the revisions make them" in _ok(site.run("verify", "-e", "development"))
    assert "nothing to do" in _ok(site.run("new", "-m", "nothing_left"))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_second_init_finds_nothing_to_do(layout: str, tmp_path: Path, sqlite_url: str) -> None:
    site = LAYOUTS[layout](tmp_path / "project", sqlite_url)
    document = site.json("init", "--yes")
    assert document["written"] is True
    before = site.files()

    done = site.run("init")

    assert (done.returncode, done.stdout) == (0, "nothing to do\n")
    assert site.files() == before
    assert site.json("init", "--yes")["changes"] == []


def _settings(site: Site) -> dict[str, dict[str, object]]:
    own = site.root / "handrail.toml"
    path = own if own.exists() else site.root / "pyproject.toml"
    table = tomllib.loads(path.read_text())
    settings: dict[str, dict[str, object]] = table if own.exists() else table["tool"]["handrail"]
    return settings


@pytest.mark.parametrize("layout", LAYOUTS)
def test_models_and_url_are_found_without_connecting_and_no_password_is_copied(layout: str, tmp_path: Path) -> None:
    site = LAYOUTS[layout](tmp_path / "project", "postgresql+psycopg://app:c4nary@127.0.0.1:1/nowhere")
    document = site.json("init", "--yes")
    found = document["found"]
    assert (found["tables"], found["heads"]) == (1, ["aaa1"] if layout == "several_locations" else [])
    variable = {"asynchronous": "SHOP_DATABASE_URL", "several_locations": "ORDERS_DSN"}.get(layout, "DATABASE_URL")
    assert found["variable"] == (variable if site.env else "")
    assert "c4nary" not in str(document)

    environments = _settings(site)["environments"]
    assert list(environments) == ["development", "staging", "production"]
    inis = {"plain": "ini:alembic.ini", "pyproject": "ini:alembic.ini", "subfolder": "ini:backend/db/alembic.ini"}
    assert environments == {
        "development": {"url": inis.get(layout, f"env:{variable}")},
        "staging": {"url": f"env:{variable}", "requires": ["backup-proved"]},
        "production": {"url": f"env:{variable}", "protected": True, "requires": ["backup-proved"]},
    }
    assert not [name for name, text in site.files().items() if b"c4nary" in text and not name.endswith("alembic.ini")]


def test_the_password_in_the_ini_serves_development_and_is_refused_elsewhere(tmp_path: Path) -> None:
    site = LAYOUTS["plain"](tmp_path / "project", "postgresql+psycopg://app:c4nary@127.0.0.1:1/nowhere")
    _ok(site.run("init", "--yes"))
    path = site.root / "pyproject.toml"
    path.write_text(path.read_text().replace('"env:DATABASE_URL"', '"ini:alembic.ini"', 1))
    refused = site.run("status", "-e", "staging")
    assert "a password in a file under version control" in refused.stdout + refused.stderr
    assert "c4nary" not in refused.stdout + refused.stderr
    reached = site.run("status", "-e", "development")
    assert "127.0.0.1" in reached.stdout + reached.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("apply_migrations.py", ["--environment", "staging", "--dry-run"]),
        ("apply_migrations.py", ["--environment", "production", "--dry-run", "--verify"]),
        ("apply_migrations.py", ["--environment", "staging", "--yes", "--verify-after"]),
        ("validate_schema.py", []),
        ("validate_schema.py", ["--environment", "staging"]),
    ],
)
def test_the_scripts_do_what_the_runbook_calls_them_for(
    script: str, arguments: list[str], tmp_path: Path, sqlite_url: str
) -> None:
    site = LAYOUTS["flask"](tmp_path / "project", sqlite_url)
    _ok(site.run("init", "--yes"))
    _ok(site.run("new", "-m", "create_users"))
    if script == "validate_schema.py" or "--verify" in arguments:
        environment = "staging" if "staging" in arguments else "development"
        _ok(site.run("apply", "-e", environment, "--yes"))
    command = [sys.executable, str(site.root / "scripts" / script), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=os.environ | site.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_what_the_workflow_runs_succeeds_on_the_project(tmp_path: Path, database_url: str) -> None:
    site = LAYOUTS["plain"](tmp_path / "project", database_url)
    (site.root / ".github").mkdir()
    (site.versions / "aaa1_create_users.py").write_text(
        (LAYOUTS["several_locations"](tmp_path / "other", database_url).versions / "aaa1_create_users.py").read_text()
    )
    _ok(site.run("init", "--yes"))
    workflow = (site.root / ".github" / "workflows" / "migrations.yml").read_text()
    runs = [line.partition("run: ")[2].split() for line in workflow.splitlines() if "run: handrail" in line]
    assert [words[1] for words in runs] == ["history", "apply", "rollback", "apply"]
    for words in runs:
        _ok(site.run(*words[1:], env={"DATABASE_URL": database_url}))


def test_staging_and_production_back_up_without_being_told(tmp_path: Path, sqlite_url: str) -> None:
    site = LAYOUTS["flask"](tmp_path / "project", sqlite_url)
    _ok(site.run("init", "--yes"))
    _ok(site.run("new", "-m", "create_users"))
    _ok(site.run("apply", "-e", "staging", "--yes"))
    assert [one["proof"]["verdict"] for one in site.json("backup", "list", "-e", "staging")["backups"]] == ["pass"]
    settings = _settings(site)["environments"]
    assert settings["production"] == {"url": "env:DATABASE_URL", "protected": True, "requires": ["backup-proved"]}


def test_a_project_of_several_databases_is_told_that_it_is_not_driven(tmp_path: Path) -> None:
    site = several_databases(tmp_path / "project")
    told = _ok(site.run("init", "--yes"))
    assert "env.py migrates several databases (engine1, engine2), which Handrail does not drive yet" in told

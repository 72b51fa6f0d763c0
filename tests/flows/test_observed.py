"""Which versions use a database: real processes of applications, named by the one line they add."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from textwrap import dedent

import pytest
import sqlalchemy as sa
from workbench import Workbench

_MODELS = """
from sqlalchemy import *
metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True), Column("nick", String(40)))
"""
_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("nick", sa.String(40)))'
_APPLICATION = """
import sys
import sqlalchemy as sa
from handrail.deployed import name_connections

url, application, version, *statements = sys.argv[1:]
engine = sa.create_engine(url)
name_connections(engine, application, version)
with engine.connect() as conn:
    for statement in statements:
        conn.exec_driver_sql(statement)
    print("ready", flush=True)
    sys.stdin.read()
"""


@contextmanager
def application(url: str, name: str, version: str, *statements: str) -> Iterator[None]:
    """A process of that version, which has sent the statements and holds its transaction open."""
    command = [sys.executable, "-c", _APPLICATION, url, name, version, *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield
        process.stdin.close()


@pytest.fixture
def project(pg_bench: Workbench) -> Workbench:
    """One table, and version v1 of the application, of which anna answers for its deployments."""
    pg_bench.revision("aaa1", None, _USERS)
    (pg_bench.root / "app.py").write_text(dedent(_MODELS))
    done = pg_bench.run("versions", "register", "v1", "--models", "app:metadata", "--owner", "anna")
    assert done.returncode == 0, done.stderr
    assert pg_bench.run("apply", "--yes").returncode == 0
    return pg_bench


@pytest.mark.slow
def test_versions_that_are_connected_are_listed_with_who_wrote_and_kept(project: Workbench) -> None:
    assert "owner anna, never observed" in project.run("versions", "list").stdout
    url = sa.make_url(project.url).update_query_dict({"application_name": "psql"}).render_as_string(hide_password=False)
    with (
        application(project.url, "htstatus", "v1", "insert into users (nick) values ('secret')"),
        application(project.url, "htstatus", "v1", "select 1"),
        application(project.url, "digest", "v0", "select 1"),
        sa.create_engine(url, poolclass=sa.NullPool).connect() as person,
    ):
        person.exec_driver_sql("select 1")
        done = project.run("versions", "observed")
        found = json.loads(project.run("versions", "observed", "--format", "json").stdout)["observed"]
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["main:", "  digest@v0  1 session  no write seen  not registered"]
    assert lines[2].startswith("  htstatus@v1  2 sessions  wrote 20")
    assert lines[3].startswith("  psql of ")
    assert lines[3].endswith("1 session  says no version")
    assert "is not seen" in done.stderr
    assert "secret" not in done.stdout + done.stderr
    assert [(s["application"], s["version"], s["sessions"], bool(s["wrote_at"])) for s in found["seen"]] == [
        ("digest", "v0", 1, False),
        ("htstatus", "v1", 2, True),
    ]
    assert "owner anna, last seen 20" in project.run("versions", "list").stdout
    later = json.loads(project.run("versions", "observed", "--format", "json").stdout)["observed"]
    assert later["seen"] == []
    [kept] = json.loads(project.run("versions", "list", "--format", "json").stdout)["deployments"]
    assert kept["sightings"][0]["sessions"] == 2


@pytest.mark.slow
def test_looking_for_a_while_sees_a_write_that_is_over_at_its_end(project: Workbench) -> None:
    watching = project.start("versions", "observed", "--for", "4s", "--format", "json")
    engine = sa.create_engine(project.url, connect_args={"application_name": "htstatus@v1"})
    with engine.connect() as conn:
        while watching.poll() is None:
            with conn.begin():
                conn.exec_driver_sql("insert into users (nick) values ('x')")
                conn.exec_driver_sql("select pg_sleep(0.2)")
            conn.exec_driver_sql("select 1")
            conn.rollback()
    engine.dispose()
    out, _ = watching.communicate()
    [seen] = json.loads(out)["observed"]["seen"]
    assert seen["wrote_at"]


@pytest.mark.slow
def test_without_the_right_to_look_the_names_are_seen_and_the_grant_is_said(project: Workbench) -> None:
    name = sa.make_url(project.url).database
    project.execute("create role onlooker login", f'grant connect on database "{name}" to onlooker')
    poor = sa.make_url(project.url).set(username="onlooker").render_as_string(hide_password=False)
    try:
        with application(project.url, "htstatus", "v1", "insert into users (nick) values ('x')"):
            done = project.run("versions", "observed", env={"HANDRAIL_TEST_URL": poor})
        assert done.returncode == 0, done.stderr
        assert "htstatus@v1  1 session" in done.stdout
        assert "GRANT pg_read_all_stats" in done.stderr
    finally:
        project.execute(f'revoke all on database "{name}" from onlooker', "drop role onlooker")


@pytest.mark.slow
def test_the_gate_names_version_owner_last_seen_and_the_way_that_would_not_break(project: Workbench) -> None:
    project.settings('requires = ["compatible"]')
    project.revision("aaa2", "aaa1", 'op.drop_column("users", "nick")')
    with application(project.url, "htstatus", "v1", "select 1"):
        closed = project.run("apply", "--yes")
    assert closed.returncode == 3
    assert "the plan breaks v1, deployed and not retired" in closed.stderr
    assert "v1: owner anna, last seen 20" in closed.stderr
    assert "in main as htstatus (1 session, no write seen)" in closed.stderr
    assert "v1: read fails on users" in closed.stderr
    assert "instead: keep what v1 reads of users" in closed.stderr
    assert "`handrail versions retire v1`" in closed.stderr
    kept = json.loads(project.run("versions", "list", "--format", "json").stdout)["deployments"]
    assert kept[0]["sightings"] == []  # a gate that is asked keeps nothing


def test_a_database_that_cannot_tell_says_so(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, _USERS)
    done = lite_bench.run("versions", "observed")
    assert done.returncode == 1
    assert "SQLite does not tell who has the file open" in done.stderr
    refused = lite_bench.run("versions", "observed", "--for", "soon")
    assert refused.returncode == 2
    assert "is not a time span" in refused.stderr


def test_a_journal_that_was_made_before_versions_had_owners_goes_on(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, _USERS)
    (lite_bench.root / "app.py").write_text(dedent(_MODELS))
    assert lite_bench.run("versions", "register", "v1", "--models", "app:metadata").returncode == 0
    journal = sa.create_engine(f"sqlite:///{lite_bench.root / '.handrail' / 'journal.db'}")
    with journal.begin() as conn:
        conn.exec_driver_sql("alter table handrail_versions drop column owner")
    journal.dispose()
    assert "owner unknown" in lite_bench.run("versions", "list").stdout
    assert lite_bench.run("versions", "register", "v2", "--models", "app:metadata", "--owner", "b").returncode == 0
    listed = lite_bench.run("versions", "list").stdout
    assert "owner b, never observed" in listed

"""`verify` makes the expected schema in a sandbox like the target, or says UNKNOWN and what would be needed."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from workbench import Workbench

from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server, given

SECOND = os.environ.get("HANDRAIL_TEST_POSTGRESQL_URL")

_HOME = """
op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))
op.execute("alter table notes owner to {owner}")
op.execute("grant select on notes to {app}")
op.execute("alter table notes enable row level security")
op.execute("create policy mine on notes to {app} using (true)")
"""
#: Makes the schema depend on who runs it.
_WHO = """
op.execute('''
do $$ begin
  if (select rolsuper from pg_roles where rolname = current_user) then create table made_by_a_superuser (id int);
  end if;
end $$
''')
"""


class Project:
    """A scratch project that is migrated by an ordinary role, which may create in `public` and make roles."""

    def __init__(self, root: Path, url: str) -> None:
        suffix = secrets.token_hex(4)
        self.owner, self.app, self.migrator = (f"{name}_{suffix}" for name in ("owner", "app", "migrator"))
        self.admin = Workbench(root / "admin", url)
        self.admin.execute(
            f"create role {self.owner}",
            f"create role {self.app}",
            f"create role {self.migrator} login createrole in role {self.owner}",
            f"grant create on database {sa.make_url(url).database} to {self.migrator}",
            f"grant create on schema public to {self.migrator}, {self.owner}",
        )
        mine = sa.make_url(url).set(username=self.migrator)
        self.bench = Workbench(root / "project", mine.render_as_string(hide_password=False).replace("%2F", "/"))

    def home(self, revision: str, more: str = "") -> None:
        self.bench.revision(revision, None, _HOME.format(owner=self.owner, app=self.app) + more)

    def close(self, *more: str) -> None:
        for role in (self.migrator, self.app, self.owner, *more):
            self.admin.execute(f"drop owned by {role} cascade", f"drop role {role}")


@contextmanager
def project_on(root: Path, url: str) -> Iterator[Project]:
    project = Project(root, url)
    try:
        yield project
    finally:
        project.close()


@pytest.fixture
def project(tmp_path: Path, postgresql_url: str) -> Iterator[Project]:
    with project_on(tmp_path, postgresql_url) as made:
        yield made


@pytest.mark.slow
def test_a_history_with_foreign_owners_grants_and_policies_replays_as_the_role_that_migrates(project: Project) -> None:
    project.home("aaa1", _WHO)
    applied = project.bench.run("apply", "--yes")
    assert applied.returncode == 0, applied.stderr
    found = project.bench.run("verify")
    assert "ok      schema-matches: 1 table as the revisions make them" in found.stdout


@pytest.mark.slow
def test_a_history_that_creates_its_role_itself_replays(project: Project) -> None:
    made = f"made_{secrets.token_hex(4)}"
    project.home("aaa1", f'op.execute("create role {made}")\nop.execute("grant select on notes to {made}")')
    try:
        assert project.bench.run("apply", "--yes").returncode == 0
        found = project.bench.run("verify")
        assert "ok      schema-matches" in found.stdout
    finally:
        project.admin.execute(f"drop owned by {made}", f"drop role {made}")


@pytest.mark.slow
def test_what_the_sandbox_lacks_leaves_the_schema_unknown_and_names_the_way_out(pg_bench: Workbench) -> None:
    pg_bench.execute("create extension hstore version '1.4'")
    space = f"space_{secrets.token_hex(4)}"
    pg_bench.execute("set allow_in_place_tablespaces = on", f"create tablespace {space} location ''")
    pg_bench.revision("aaa1", None, f'op.execute("create table t (id int) tablespace {space}")')
    try:
        assert pg_bench.run("apply", "--yes").returncode == 0
        found = pg_bench.run("verify")
        before = pg_bench.run("apply", "--verify", "--yes")
    finally:
        pg_bench.execute("drop table if exists t", f"drop tablespace {space}")
    assert found.returncode == 1
    assert "unknown schema-matches: the sandbox is not like the database" in found.stdout
    assert "the sandbox makes the extension hstore in version 1.8, not 1.4" in found.stdout
    assert f"the sandbox has no tablespace {space}" in found.stdout
    assert "set HANDRAIL_SANDBOX_URL to a PostgreSQL" in found.stdout
    assert before.returncode == 1
    assert "HANDRAIL_SANDBOX_URL" in before.stderr


def test_a_revision_that_wants_what_the_sandbox_has_not_got_is_unknown_with_the_way_out(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa1", None, 'op.execute("create extension no_such")')
    found = pg_bench.run("verify", "--check", "schema-matches")
    assert found.returncode == 1
    assert "unknown schema-matches: the history does not replay" in found.stdout
    assert "set HANDRAIL_SANDBOX_URL to a PostgreSQL" in found.stdout


@pytest.mark.slow
@pytest.mark.skipif(not SECOND, reason="needs a second PostgreSQL (HANDRAIL_TEST_POSTGRESQL_URL)")
@pytest.mark.parametrize("elsewhere", [True, False], ids=["a server of its own", "the same server"])
def test_a_target_with_pgcrypto_and_an_icu_collation_is_verified_on_its_like(
    tmp_path: Path, *, elsewhere: bool
) -> None:
    assert SECOND
    server: Server = given(SECOND)
    with fresh_database(server) as url, project_on(tmp_path, url) as project:
        more = """
op.execute("create extension pgcrypto")
op.execute("create collation nd (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
op.create_table("names", sa.Column("a", sa.Text(collation="de-x-icu")), sa.Column("b", sa.Text(collation="nd")))
"""
        project.home("aaa1", more + _WHO)
        applied = project.bench.run("apply", "--yes")
        assert applied.returncode == 0, applied.stderr
        found = project.bench.run("verify", env={"HANDRAIL_SANDBOX_URL": "" if elsewhere else SECOND})
        assert "ok      schema-matches: 2 tables as the revisions make them" in found.stdout

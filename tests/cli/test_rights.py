"""What a role may do that owns less than the database: look, migrate, or be refused with the right that it lacks."""

from __future__ import annotations

from dataclasses import dataclass

import psycopg
import pytest
from guarded import Guarded, written
from refusal import CANARY, refusal
from sqlalchemy import make_url
from workbench import Workbench

APPLY = ("apply", "--yes")
EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'


@dataclass(frozen=True, kw_only=True)
class Roles:
    """A database of `app`, and a role of the test's own beside it."""

    guarded: Guarded
    bench: Workbench
    role: str

    def as_role(self) -> None:
        """Let the bench connect as that role."""
        url = make_url(self.bench.url).set(username=self.role, password=CANARY)
        self.bench.url = written(url)

    def run(self, *statements: str) -> None:
        """Run statements as the superuser, each `{role}` the role's name."""
        for sql in statements:
            self.guarded.run(sql.format(role=self.role), make_url(self.bench.url).database or "")


@pytest.fixture
def roles(pg_bench: Workbench, guarded: Guarded) -> Roles:
    role = f"r_{make_url(pg_bench.url).database}"
    guarded.run(f"create role {role} login password '{CANARY.replace('%', '%%')}'")
    return Roles(guarded=guarded, bench=pg_bench, role=role)


def test_who_may_not_create_schemas_needs_only_one_made_for_him(roles: Roles) -> None:
    roles.as_role()
    roles.run("grant create, usage on schema public to {role}")
    said = refusal(roles.bench, *APPLY)
    assert "may not create the schema handrail" in said
    assert "GRANT CREATE ON DATABASE" in said
    roles.run("create schema handrail authorization {role}")
    done = roles.bench.run(*APPLY)
    assert done.returncode == 0, done.stderr


def test_who_may_not_create_tables_in_our_schema_is_refused_before_anything_is_touched(roles: Roles) -> None:
    roles.as_role()
    roles.run(
        "grant create, usage on schema public to {role}",
        "create schema handrail",
        "grant usage on schema handrail to {role}",
    )
    said = refusal(roles.bench, *APPLY)
    assert "may not create tables in the schema handrail" in said
    assert f'GRANT USAGE, CREATE ON SCHEMA handrail TO "{roles.role}"' in said
    assert "nothing was touched" in said


@pytest.mark.parametrize(
    ("granted", "denied"),
    [
        ((), "permission denied for schema handrail"),
        (("grant usage on schema handrail to {role}",), "permission denied for table identity"),
    ],
)
def test_who_may_only_read_sees_where_the_database_stands_and_what_is_hidden_from_him(
    granted: tuple[str, ...], denied: str, roles: Roles
) -> None:
    assert roles.bench.run(*APPLY).returncode == 0
    roles.bench.revision("aaa2", "aaa1", EMAIL)
    roles.run(
        "grant select on all tables in schema public to {role}",
        "grant select on all sequences in schema public to {role}",
        *granted,
    )
    roles.as_role()
    status = roles.bench.run("status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert "revision  aaa1" in status.stdout
    assert "pending   1 revision\n            aaa2" in status.stdout
    assert denied in status.stdout
    assert f'GRANT SELECT ON ALL TABLES IN SCHEMA handrail TO "{roles.role}"' in status.stdout
    dry = roles.bench.run("apply", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    assert "ALTER TABLE users ADD COLUMN email" in dry.stdout
    assert "would be refused now" in dry.stdout
    assert "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA handrail" in dry.stdout
    verified = roles.bench.run("verify", "--at", "aaa1")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    for command in (APPLY, ("resume", "--yes"), ("rollback", "--yes"), ("status", "--rebind", "main")):
        assert "nothing was touched" in (said := refusal(roles.bench, *command))
        assert "permission denied for" in said


def test_the_grants_that_are_told_are_all_that_is_needed(roles: Roles) -> None:
    assert roles.bench.run(*APPLY).returncode == 0
    roles.bench.revision("aaa2", "aaa1", 'op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))')
    roles.run(
        "grant create, usage on schema public to {role}",
        "grant select, insert, update, delete on alembic_version to {role}",
        "grant usage on schema handrail to {role}",
        "grant select on all tables in schema handrail to {role}",
    )
    roles.as_role()
    said = refusal(roles.bench, *APPLY)
    assert f"user {roles.role} may not write Handrail's tables in the schema handrail; nothing was touched" in said
    grants = said.partition("fix: ")[2].partition(": ")[2].strip()
    roles.run(*(grant.strip() for grant in grants.split(";")))
    done = roles.bench.run(*APPLY)
    assert done.returncode == 0, done.stderr
    assert roles.bench.rows("select version_num from alembic_version") == [("aaa2",)]


def test_who_may_look_at_our_tables_is_told_nothing_of_rights(roles: Roles) -> None:
    assert roles.bench.run(*APPLY).returncode == 0
    roles.run(
        "grant select on all tables in schema public to {role}",
        "grant usage on schema handrail to {role}",
        "grant select on all tables in schema handrail to {role}",
    )
    roles.as_role()
    status = roles.bench.run("status")
    assert status.returncode == 0, status.stderr
    assert "GRANT" not in status.stdout
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        _write(roles)


def _write(roles: Roles) -> None:
    url = make_url(roles.bench.url)
    with psycopg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    ) as conn:
        conn.execute("delete from handrail.log")


def test_who_lacks_the_right_to_a_table_of_the_revision_is_told_to_have_it_granted(roles: Roles) -> None:
    roles.run("create table others (id int)")
    roles.bench.revision("aaa2", "aaa1", 'op.add_column("others", sa.Column("email", sa.String(50)))')
    said = refusal(roles.bench, *APPLY, exit_=1)
    assert "must be owner of table others" in said
    assert "fix: grant the right" in said

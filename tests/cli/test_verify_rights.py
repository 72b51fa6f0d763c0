"""`handrail verify` as a role that may read some tables: what it could not see is named, and never passes."""

from __future__ import annotations

import pytest
from guarded import Guarded, written
from refusal import CANARY
from sqlalchemy import make_url
from workbench import Workbench

TABLES = """
op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))
op.create_table("players", sa.Column("id", sa.Integer, primary_key=True), sa.Column("team_id", sa.Integer),
                sa.Column("user_id", sa.Integer))
op.create_foreign_key("fk_teams", "players", "teams", ["team_id"], ["id"], postgresql_not_valid=True)
op.create_foreign_key("fk_users", "players", "users", ["user_id"], ["id"], postgresql_not_valid=True)
"""


@pytest.fixture
def reader(pg_bench: Workbench, guarded: Guarded) -> tuple[Workbench, str]:
    """A migrated project whose URL names a role without any right, and that role."""
    pg_bench.revision("aaa2", "aaa1", TABLES)
    assert pg_bench.run("apply", "--yes").returncode == 0
    role = f"r_{make_url(pg_bench.url).database}"
    guarded.run(f"create role {role} login password '{CANARY.replace('%', '%%')}'")
    pg_bench.url = written(make_url(pg_bench.url).set(username=role, password=CANARY))
    return pg_bench, role


def run_as_superuser(guarded: Guarded, bench: Workbench, *statements: str) -> None:
    for sql in statements:
        guarded.run(sql, make_url(bench.url).database or "")


def test_without_any_right_every_hidden_thing_is_named_with_its_grant(reader: tuple[Workbench, str]) -> None:
    bench, role = reader
    found = bench.run("verify")
    assert (found.returncode, "Traceback" in found.stderr) == (1, False), found.stderr
    assert f'GRANT SELECT ON "public"."alembic_version" TO "{role}"' in found.stdout
    assert "unknown revision-at-head" in found.stdout
    assert "unknown no-orphans: 0 orphans in 0 relations, 2 could not be looked at" in found.stdout
    assert f'GRANT SELECT ON "public"."players" TO "{role}"' in found.stdout
    assert "unknown sequences-ahead" in found.stdout
    assert CANARY not in found.stdout + found.stderr


def test_the_grants_that_are_told_are_all_that_is_needed(reader: tuple[Workbench, str], guarded: Guarded) -> None:
    bench, role = reader
    run_as_superuser(guarded, bench, f"grant select on alembic_version, players, teams to {role}")
    partly = bench.run("verify", "--check", "no-orphans")
    assert partly.returncode == 1
    assert "0 orphans in 1 relation, 1 could not be looked at" in partly.stdout
    for _ in range(4):
        told = bench.run("verify", "--check", "no-orphans", "--check", "sequences-ahead")
        grants = [line.partition("as its owner: ")[2] for line in told.stdout.splitlines() if "GRANT" in line]
        run_as_superuser(guarded, bench, *(sql for grant in grants for sql in grant.split(";")))
    assert told.returncode == 0, told.stdout
    assert bench.run("verify", "--check", "revision-at-head").returncode == 0


def test_rights_on_the_columns_alone_are_enough(reader: tuple[Workbench, str], guarded: Guarded) -> None:
    bench, role = reader
    run_as_superuser(
        guarded,
        bench,
        f"grant select (id, team_id, user_id) on players to {role}",
        f"grant select (id) on teams to {role}",
        f"grant select (id) on users to {role}",
    )
    assert bench.run("verify", "--check", "no-orphans").returncode == 0


def test_rows_that_row_security_hides_are_not_taken_for_missing(
    reader: tuple[Workbench, str], guarded: Guarded
) -> None:
    bench, role = reader
    run_as_superuser(
        guarded,
        bench,
        f"grant select on all tables in schema public to {role}",
        "insert into teams values (1)",
        "insert into players (id, team_id) values (1, 1)",
        "alter table teams enable row level security",
    )
    found = bench.run("verify", "--check", "no-orphans")
    assert found.returncode == 1
    assert f"row security hides rows of teams from user {role}" in found.stdout
    assert "unknown no-orphans: 0 orphans in 1 relation" in found.stdout

from __future__ import annotations

import pytest
from workbench import Workbench

_TABLES = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, nullable=False),
    sa.Column("email", sa.String(50)),
    sa.Column("role", sa.String(10), server_default="player", nullable=False),
    sa.PrimaryKeyConstraint("id", name="pk_users"),
)
op.create_table(
    "marks",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_marks_users")),
)
op.create_index("ix_users_email", "users", ["email"])
"""
_NOT_VALID = (
    "alter table marks drop constraint fk_marks_users",
    "alter table marks add constraint fk_marks_users foreign key (user_id) references users (id) not valid",
)
_INVALID_INDEX = (
    "drop index ix_users_email",
    "insert into users (id, email) values (1, 'a'), (2, 'a')",
)


@pytest.fixture
def migrated(pg_bench: Workbench) -> Workbench:
    pg_bench.revision("aaa1", None, _TABLES)
    assert pg_bench.run("apply", "--yes").returncode == 0
    return pg_bench


def test_a_clean_database_has_no_difference(migrated: Workbench) -> None:
    found = migrated.run("verify")
    assert found.returncode == 0
    assert found.stdout.count("ok ") == 4
    assert "warn    models-match: not asked: env.py names no target_metadata" in found.stdout


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (("alter table users drop constraint pk_users cascade",), "primary key users.pk_users is missing"),
        (("alter table users alter column email type text",), "column users.email: type is text"),
        (_NOT_VALID, "foreign key marks.fk_marks_users: validated is false"),
        (("alter table users alter column role drop default",), "column users.role: default is none"),
        (("drop index ix_users_email",), "index users.ix_users_email is missing"),
        (("alter table users alter column role drop not null",), "column users.role: nullable is true"),
    ],
)
def test_verify_names_what_was_changed_by_hand(migrated: Workbench, damage: tuple[str, ...], named: str) -> None:
    migrated.execute(*damage)
    found = migrated.run("verify")
    assert found.returncode == 4
    assert named in found.stdout


def test_verify_names_an_index_left_invalid_by_a_failed_concurrent_build(migrated: Workbench) -> None:
    migrated.execute(*_INVALID_INDEX)
    with pytest.raises(Exception, match="could not create unique index"):
        migrated.execute("create unique index concurrently ix_users_email on users (email)")
    found = migrated.run("verify")
    assert found.returncode == 4
    assert "index users.ix_users_email: valid is false, expected true" in found.stdout


def test_verify_at_an_older_revision_than_the_database_fails(migrated: Workbench) -> None:
    migrated.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))')
    found = migrated.run("verify")
    assert found.returncode == 4
    assert "at aaa1, expected aaa2" in found.stdout
    assert migrated.run("verify", "--at", "aaa1").returncode == 0


def test_a_stamped_history_is_recognised_and_its_schema_unknown(bench: Workbench) -> None:
    bench.execute("create table old (id integer primary key)")
    bench.revision("aaa1", None, 'op.add_column("old", sa.Column("name", sa.String(5)))')
    assert bench.run("apply", "--yes").returncode == 0
    found = bench.run("verify")
    assert found.returncode == 1
    assert "the history is stamped: aaa1 changes the table old, which no revision creates" in found.stdout


def test_verify_writes_nothing(bench: Workbench) -> None:
    bench.revision("aaa1", None, 'op.create_table("b", sa.Column("id", sa.Integer))')
    found = bench.run("verify")
    assert found.returncode == 4
    assert not (bench.root / ".handrail").exists()
    assert not list(bench.root.rglob("__pycache__"))


def test_a_schema_that_cannot_be_known_is_no_drift(bench: Workbench) -> None:
    bench.execute("create table old (id integer primary key)")
    bench.revision("aaa1", None, 'op.add_column("old", sa.Column("name", sa.String(5)))')
    bench.run("apply", "--yes")
    bench.revision("aaa2", "aaa1", 'op.add_column("old", sa.Column("more", sa.String(5)))')
    done = bench.run("apply", "--verify", "--yes")
    assert done.returncode == 1
    assert "cannot be known; nothing was touched" in done.stderr
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_a_version_table_in_a_schema_of_its_own_is_verified_like_any_other(pg_bench: Workbench) -> None:
    env_py = pg_bench.root / "migrations" / "env.py"
    env_py.write_text(env_py.read_text().replace("target_metadata=None", 'version_table_schema="ops"'))
    pg_bench.execute("create schema ops")
    pg_bench.revision("aaa1", None, _TABLES)
    assert pg_bench.run("apply", "--yes").returncode == 0
    found = pg_bench.run("verify")
    assert found.returncode == 0, found.stdout

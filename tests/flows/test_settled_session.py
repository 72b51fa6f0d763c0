"""An env.py that settles its session (role, search_path, schema): every session of ours starts as its own would."""

from __future__ import annotations

import secrets
from collections.abc import Iterator

import pytest
from workbench import Workbench

_ENV_PY = """
from alembic import context
from sqlalchemy import create_engine, pool, text

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool{arguments})
with engine.connect() as connection:
    connection.execute(text('SET ROLE "{role}"'))
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS app"))
    {path}
    connection.commit()
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
    connection.execute(text("RESET ROLE"))
"""
_PATH = 'connection.execute(text("SET search_path = app"))'


@pytest.fixture
def role(pg_bench: Workbench) -> Iterator[str]:
    """A role that may create in the database, as a project gives its migrations one."""
    name = f"migrator_{secrets.token_hex(4)}"
    ((database,),) = pg_bench.rows("select current_database()")
    pg_bench.execute(f"create role {name}", f'grant create on database "{database}" to {name}')
    yield name
    pg_bench.execute(f"drop owned by {name} cascade", f"drop role {name}")


def _write(bench: Workbench, role: str, *, path: str = _PATH, arguments: str = "") -> None:
    text = _ENV_PY.format(role=role, path=path, arguments=arguments)
    (bench.root / "migrations" / "env.py").write_text(text)


def _tables(bench: Workbench) -> set[tuple[str, str, str]]:
    return set(
        bench.rows("select schemaname, tablename, tableowner from pg_tables where schemaname in ('app', 'public')")
    )


@pytest.mark.parametrize(
    ("path", "arguments"), [(_PATH, ""), ("pass", ', connect_args={"options": "-c search_path=app"}')]
)
def test_a_migration_finds_the_role_and_schema_that_env_py_settles(
    pg_bench: Workbench, role: str, path: str, arguments: str
) -> None:
    _write(pg_bench, role, path=path, arguments=arguments)
    pg_bench.revision(
        "aaa1", None, "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))", "op.drop_table('t')"
    )
    pg_bench.revision("aaa2", "aaa1", "op.add_column('t', sa.Column('x', sa.Text))", "op.drop_column('t', 'x')")

    applied = pg_bench.run("apply", "--yes", "--verify-after")

    assert applied.returncode == 0, applied.stderr
    assert _tables(pg_bench) == {("app", "t", role), ("app", "alembic_version", role)}
    assert pg_bench.json("status")["status"]["environments"][0]["standing"]["heads"] == ["aaa2"]
    undone = pg_bench.run("rollback", "base", "--yes")
    assert undone.returncode == 0, undone.stderr
    assert _tables(pg_bench) == {("app", "alembic_version", role)}


def test_a_dry_run_creates_no_schema(pg_bench: Workbench, role: str) -> None:
    _write(pg_bench, role)
    pg_bench.revision("aaa1", None, "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))")

    found = pg_bench.run("apply", "--dry-run")

    assert found.returncode == 0, found.stderr
    assert pg_bench.rows("select 1 from pg_namespace where nspname = 'app'") == []


def test_a_role_that_may_not_be_taken_is_told_before_anything_is_touched(pg_bench: Workbench) -> None:
    _write(pg_bench, "nobody_of_that_name")
    pg_bench.revision("aaa1", None, "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))")

    refused = pg_bench.run("apply", "--yes")

    assert refused.returncode == 2
    assert "nothing was touched" in refused.stderr
    assert "nobody_of_that_name" in refused.stderr
    assert _tables(pg_bench) == set()

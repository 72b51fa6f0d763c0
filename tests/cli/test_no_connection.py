"""The fence through the command line: whatever env.py does, nothing connects to a database that nobody chose."""

from __future__ import annotations

from textwrap import dedent

import pytest
from guarded import Guarded, written
from listener import Listener
from workbench import Workbench

_ENV_PY = """
from alembic import context
from sqlalchemy import create_engine, pool
{setup}
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

FORMS = {
    "hard-coded url": "engine = create_engine('postgresql+psycopg://u:c4n@127.0.0.1:{port}/x')",
    "creator with psycopg": """
        import psycopg
        def creator():
            return psycopg.connect('host=127.0.0.1 port={port} user=u dbname=x')
        engine = create_engine('postgresql+psycopg://', creator=creator)
        """,
    "creator with psycopg2": """
        import psycopg2
        def creator():
            return psycopg2.connect(host='127.0.0.1', port={port}, user='u', dbname='x')
        engine = create_engine('postgresql+psycopg2://', creator=creator)
        """,
    "raw psycopg": """
        import psycopg
        with psycopg.connect('host=127.0.0.1 port={port} user=u dbname=x') as raw:
            raw.execute('select 1')
        engine = create_engine('postgresql+psycopg://u@127.0.0.1:{port}/x', poolclass=pool.NullPool)
        """,
    "raw psycopg2": """
        import psycopg2
        raw = psycopg2.connect(host='127.0.0.1', port={port}, user='u', dbname='x')
        raw.cursor().execute('select 1')
        raw.close()
        engine = create_engine('postgresql+psycopg2://u@127.0.0.1:{port}/x')
        """,
    "connection at import": """
        import sys
        sys.path.insert(0, {root!r})
        import models
        engine = create_engine(models.engine.url)
        """,
    "url from PGHOST": "engine = create_engine('postgresql+psycopg://')",
    "pool of its own": """
        import psycopg
        from sqlalchemy.pool import QueuePool
        def connect():
            return psycopg.connect('host=127.0.0.1 port={port} user=u dbname=x')
        engine = create_engine('postgresql+psycopg://', pool=QueuePool(connect))
        """,
}
ASYNC = """
import asyncio
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

def migrate(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine('postgresql+asyncpg://u@127.0.0.1:{port}/x')
    async with engine.connect() as connection:
        await connection.run_sync(migrate)
    await engine.dispose()

asyncio.run(main())
"""
_MODELS = """
from sqlalchemy import create_engine, text
engine = create_engine('postgresql+psycopg://u@127.0.0.1:{port}/x')
with engine.connect() as connection:
    connection.execute(text('select 1'))
"""


def _write(bench: Workbench, form: str, port: int) -> dict[str, str]:
    """Write an env.py of that form, which means the listener; return what the environment says about it."""
    values = {"port": port, "root": str(bench.root)}
    (bench.root / "models.py").write_text(_MODELS.format(**values))
    text = ASYNC if form == "async" else _ENV_PY.replace("{setup}", dedent(FORMS[form]).strip())
    (bench.root / "migrations" / "env.py").write_text(text.format(**values))
    return {"PGHOST": "127.0.0.1", "PGPORT": str(port), "PGUSER": "u", "PGDATABASE": "x"}


@pytest.mark.parametrize("form", [*FORMS, "async"])
def test_nothing_connects_to_the_configured_url_where_no_database_is_asked_for(
    form: str, lite_bench: Workbench, listener: Listener
) -> None:
    env = _write(lite_bench, form, listener.port)
    lite_bench.url = f"postgresql+psycopg://u@127.0.0.1:{listener.port}/x"
    assert lite_bench.run("status", "--offline", env=env).returncode == 0
    assert lite_bench.run("history", env=env).returncode == 0
    assert listener.connections == 0


@pytest.mark.parametrize("form", [*FORMS, "async"])
def test_nothing_connects_to_what_env_py_means_where_the_environment_means_another_database(
    form: str, pg_bench: Workbench, guarded: Guarded, listener: Listener
) -> None:
    env = _write(pg_bench, form, listener.port)
    # libpq's variables would complete a URL of ours too, so this one leaves nothing open.
    pg_bench.url = written(guarded.url(guarded.database()))
    dry = pg_bench.run("apply", "--dry-run", env=env)
    assert dry.returncode == 0, dry.stderr
    assert "CREATE TABLE users" in dry.stdout
    applied = pg_bench.run("apply", "--yes", env=env)
    assert applied.returncode == 0, applied.stderr
    verified = pg_bench.run("verify", env=env)
    assert verified.returncode == 0, verified.stdout
    assert listener.connections == 0


CODE = {
    "a connection when it is imported": """
        import sqlalchemy
        with sqlalchemy.create_engine("postgresql+psycopg://u@127.0.0.1:{port}/x").connect():
            pass
        """,
    "a connection in upgrade()": """
        with sa.create_engine("postgresql+psycopg://u@127.0.0.1:{port}/x").connect():
            pass
        """,
    "a raw connection in upgrade()": """
        import psycopg
        psycopg.connect("host=127.0.0.1 port={port} user=u dbname=x").close()
        """,
}


@pytest.mark.parametrize("case", CODE)
def test_a_revision_that_connects_by_itself_is_rolled_back_and_told(
    case: str, pg_bench: Workbench, listener: Listener
) -> None:
    code = dedent(CODE[case]).strip().format(port=listener.port)
    if "imported" in case:
        path = pg_bench.revision("aaa2", "aaa1", 'op.execute("create table b (id int)")')
        path.write_text(path.read_text() + "\n" + code + "\n")
    else:
        pg_bench.revision("aaa2", "aaa1", f'op.execute("create table b (id int)")\n{code}')
    done = pg_bench.run("apply", "--yes")
    assert done.returncode == 1, done.stderr
    assert "the database is as it was before this revision" in done.stderr
    assert "aaa2_step.py:" in done.stderr
    assert "Traceback" not in done.stderr
    assert pg_bench.rows("select version_num from alembic_version") == [("aaa1",)]
    assert pg_bench.rows("select to_regclass('b') is null") == [(True,)]
    assert listener.connections == 0

from __future__ import annotations

import logging.config
import os
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import psycopg
import psycopg2
import pytest
from listener import Listener
from projects import Written, write, write_flask
from sqlalchemy import create_engine, text
from sqlalchemy.pool import Pool

from handrail.engines.base import opening
from handrail.errors import FenceBreach, ProjectUnreadable
from handrail.history.env.env_py import EnvPy, capture
from handrail.history.fencing.fence import Fence, fence

ENV_PY = """
from alembic import context
from sqlalchemy import create_engine, pool
{setup}
with engine.connect() as connection:
    context.configure(connection=connection, compare_type=False)
    with context.begin_transaction():
        context.run_migrations()
"""

FORMS = {
    "hard-coded url": "engine = create_engine('postgresql+psycopg://u:canary-9@127.0.0.1:{port}/x')",
    "creator": """
        import psycopg
        def creator():
            return psycopg.connect('host=127.0.0.1 port={port} user=u dbname=x')
        engine = create_engine('postgresql+psycopg://', creator=creator)
        """,
    "raw psycopg": """
        import psycopg
        with psycopg.connect('host=127.0.0.1 port={port} user=u dbname=x') as raw:
            raw.execute('select 1').fetchone()
        engine = create_engine('postgresql+psycopg://u@127.0.0.1:{port}/x', poolclass=pool.NullPool)
        """,
    "raw psycopg class": """
        from psycopg import Connection
        raw = Connection.connect('host=127.0.0.1 port={port} user=u dbname=x')
        raw.cursor().execute('select 1')
        raw.close()
        engine = create_engine('postgresql+psycopg://u@127.0.0.1:{port}/x', poolclass=pool.NullPool)
        """,
    "raw psycopg2": """
        import psycopg2
        raw = psycopg2.connect(host='127.0.0.1', port={port}, user='u', dbname='x')
        cursor = raw.cursor()
        cursor.execute('select 1')
        raw.close()
        engine = create_engine('postgresql+psycopg2://u@127.0.0.1:{port}/x')
        """,
    "import-time connection in models": """
        import models
        engine = models.engine
        """,
    "url from the environment": """
        import os
        engine = create_engine('postgresql+psycopg://')
        assert 'PGHOST' not in os.environ
        """,
}

MODELS = """
from sqlalchemy import MetaData, create_engine, text
engine = create_engine('postgresql+psycopg://u@127.0.0.1:{port}/x')
with engine.connect() as connection:
    assert connection.execute(text('select version()')).scalar() is None
    MetaData().reflect(connection)
"""


def _written(root: Path, port: int, setup: str) -> Written:
    written = write(root, url=f"postgresql+psycopg://u@127.0.0.1:{port}/x")
    (root / "models.py").write_text(MODELS.format(port=port))
    written.env_py.write_text(ENV_PY.format(setup=textwrap.dedent(setup).format(port=port)))
    return written


def _captured(written: Written, port: int) -> EnvPy:
    return capture(written.project, url=f"postgresql+psycopg://u:secret@127.0.0.1:{port}/x")


@pytest.mark.parametrize("form", FORMS)
def test_capture_opens_no_connection_whatever_env_py_does(
    form: str, tmp_path: Path, listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PGHOST", "127.0.0.1")
    monkeypatch.setenv("PGPORT", str(listener.port))
    env = _captured(_written(tmp_path, listener.port, FORMS[form]), listener.port)
    assert listener.connections == 0
    assert env.attempts
    assert env.options["compare_type"] is False
    assert os.environ["PGHOST"] == "127.0.0.1"


@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
@pytest.mark.parametrize("driver", ["psycopg", "asyncpg"])
def test_capture_opens_no_connection_on_alembics_templates(
    template: str, driver: str, tmp_path: Path, listener: Listener
) -> None:
    if "async" not in template and driver == "asyncpg":
        driver = "psycopg2"
    url = f"postgresql+{driver}://u@127.0.0.1:{listener.port}/x"
    written = write(tmp_path, template=template, url=url)
    env = capture(written.project, url=url)
    assert listener.connections == 0
    assert env.drives == ()
    assert env.configure_calls == 1
    assert [attempt.what for attempt in env.attempts] == [f"an engine for postgresql+{driver}"]


def test_capture_opens_no_connection_on_flask_migrates_env_py(tmp_path: Path, listener: Listener) -> None:
    url = f"postgresql+psycopg2://u@127.0.0.1:{listener.port}/x"
    env = capture(write_flask(tmp_path, url=url).project, url=url)
    assert listener.connections == 0
    assert env.options["render_as_batch"] is True
    assert env.options["compare_type"] is False
    assert "player" in env.target_metadata.tables  # type: ignore[attr-defined]


def test_an_env_py_for_several_databases_is_refused_and_opens_nothing(tmp_path: Path, listener: Listener) -> None:
    url = f"postgresql+psycopg://u@127.0.0.1:{listener.port}/x"
    with pytest.raises(ProjectUnreadable, match="several databases"):
        capture(write(tmp_path, template="multidb", url=url).project, url=url)
    assert listener.connections == 0


def test_an_engine_made_under_refuse_is_refused_with_the_line_of_the_project(
    tmp_path: Path, listener: Listener
) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "from sqlalchemy import create_engine\n"
        "\n"
        f"create_engine('postgresql+psycopg://u@127.0.0.1:{listener.port}/x').connect()\n"
    )
    with fence(Fence.REFUSE) as fenced, pytest.raises(FenceBreach) as breach:
        exec(compile(script.read_text(), str(script), "exec"), {})  # noqa: S102 - project code of the test
    assert f"{script}:3" in breach.value.why
    assert len(fenced.attempts) == 1
    assert listener.connections == 0


@pytest.mark.parametrize(
    "code",
    [
        "import psycopg; psycopg.connect('host=127.0.0.1 port={port}')",
        "import psycopg2; psycopg2.connect('host=127.0.0.1 port={port}')",
        "import asyncio, asyncpg; asyncio.run(asyncpg.connect(host='127.0.0.1', port={port}))",
        "import asyncio, psycopg; asyncio.run(psycopg.AsyncConnection.connect('host=127.0.0.1 port={port}'))",
        "import sqlite3; sqlite3.connect(':memory:')",
    ],
)
def test_a_driver_used_directly_under_refuse_is_refused(code: str, listener: Listener) -> None:
    with fence(Fence.REFUSE), pytest.raises(FenceBreach):
        exec(code.format(port=listener.port), {})  # noqa: S102 - project code of the test
    assert listener.connections == 0


def test_drivers_are_as_before_when_the_fence_is_down() -> None:
    before = (psycopg.connect, psycopg2.connect, psycopg.Connection.connect)
    finders = list(sys.meta_path)
    with fence(Fence.NULL):
        assert psycopg.connect is not before[0]
    assert (psycopg.connect, psycopg2.connect, psycopg.Connection.connect) == before
    assert sys.meta_path == finders


def test_a_driver_imported_under_the_fence_is_fenced_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "MySQLdb.py").write_text("def connect(*args):\n    raise AssertionError('dialled')\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "MySQLdb", raising=False)
    with fence(Fence.NULL) as fenced:
        import MySQLdb  # noqa: PLC0415 - the moment of the import is what is tested

        MySQLdb.connect("anywhere").cursor().execute("select 1")
    assert [attempt.what for attempt in fenced.attempts] == ["MySQLdb.connect()"]
    with pytest.raises(AssertionError, match="dialled"):
        MySQLdb.connect("anywhere")
    monkeypatch.delitem(sys.modules, "MySQLdb")


def test_a_driver_that_somebody_has_shut_out_needs_no_fence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "MySQLdb", None)  # what makes `import MySQLdb` fail
    with fence(Fence.NULL) as fenced:
        assert fenced.attempts == ()


def test_a_driver_under_the_name_of_another_is_fenced_as_that_one(monkeypatch: pytest.MonkeyPatch) -> None:
    disguised = ModuleType("somebodys_driver")
    disguised.connect = lambda: "dialled"  # type: ignore[attr-defined] # a module takes any attribute
    monkeypatch.setitem(sys.modules, "MySQLdb", disguised)
    with fence(Fence.REFUSE) as fenced, pytest.raises(FenceBreach):
        disguised.connect()
    assert [attempt.what for attempt in fenced.attempts] == ["MySQLdb.connect()"]
    assert disguised.connect() == "dialled"


def test_a_fence_that_cannot_be_put_up_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Torn(ModuleType):
        def __getattr__(self, name: str) -> object:
            raise ImportError(name)

    before = psycopg.connect, Pool._should_wrap_creator, sys.stdout, sys.meta_path[:]  # noqa: SLF001 - what it replaces
    monkeypatch.setitem(sys.modules, "aiosqlite", Torn("aiosqlite"))
    with pytest.raises(ImportError, match="connect"), fence(Fence.NULL):
        pass
    after = psycopg.connect, Pool._should_wrap_creator, sys.stdout, sys.meta_path[:]  # noqa: SLF001 - see above
    assert after == before


def test_handrails_own_connections_pass(sqlite_url: str) -> None:
    with fence(Fence.REFUSE) as fenced, opening(), create_engine(sqlite_url).connect() as connection:
        assert connection.execute(text("select 41 + 1")).scalar() == 42
    assert fenced.attempts == ()


@contextmanager
def _made_under_null(url: str) -> Iterator[object]:
    with fence(Fence.NULL):
        engine = create_engine(url)
        connection = engine.connect()
    yield engine, connection
    with fence(Fence.NULL):
        connection.close()
        engine.dispose()


def test_what_was_made_under_null_swallows_no_write_later(sqlite_url: str) -> None:
    with _made_under_null(sqlite_url) as (engine, connection):  # type: ignore[misc]
        with fence(Fence.REFUSE), pytest.raises(FenceBreach):
            connection.execute(text("insert into t values (1)"))
        with pytest.raises(FenceBreach):
            connection.execute(text("insert into t values (1)"))
        with fence(Fence.REFUSE), pytest.raises(FenceBreach):
            engine.connect()


def test_project_code_finds_tame_surroundings(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = logging.getLogger("somebody.elses")
    with fence(Fence.NULL) as fenced:
        sys.stdout.write("to stdout\n")
        sys.stderr.write("to stderr\n")
        logging.config.dictConfig({"version": 1, "disable_existing_loggers": True})
        assert sys.dont_write_bytecode
        with pytest.raises(SystemExit):
            os._exit(3)
    assert fenced.output == "to stdout\nto stderr\n"
    assert capsys.readouterr() == ("", "")
    assert not logger.disabled


def test_other_threads_print_as_before(capsys: pytest.CaptureFixture[str]) -> None:
    with fence(Fence.REFUSE):
        thread = threading.Thread(target=print, args=("heartbeat",))
        thread.start()
        thread.join()
    assert capsys.readouterr().out == "heartbeat\n"


def test_inside_lifted_we_connect_and_what_we_print_is_seen(
    capsys: pytest.CaptureFixture[str], sqlite_url: str
) -> None:
    with fence(Fence.REFUSE) as fenced:
        sys.stdout.write("theirs\n")
        with fenced.lifted():
            sys.stdout.write("ours\n")
            with create_engine(sqlite_url).connect() as connection:
                assert connection.execute(text("select 1")).scalar() == 1
    assert capsys.readouterr().out == "ours\n"
    assert fenced.attempts == ()


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://u@h/x",
        "postgresql+psycopg2://u@h/x",
        "postgresql+pg8000://u@h/x",
        "sqlite://",
        "sqlite:////nowhere/x.db",
        "mysql+pymysql://u@h/x",
        "mariadb+mysqldb://u@h/x",
    ],
)
def test_a_null_engine_needs_no_driver_and_answers_nothing(url: str) -> None:
    with fence(Fence.NULL), create_engine(url).connect() as connection:
        assert connection.execute(text("select :x"), {"x": 1}).fetchall() == []
        assert connection.execute(text("update t set a = 1")).rowcount == 0
        connection.commit()

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from flask import current_app
from projects import write, write_flask

from handrail.errors import ProjectUnreadable
from handrail.history.env.env_py import capture
from handrail.model.session import SessionSettings

URL = "postgresql+psycopg://u:p%40ss%25word@127.0.0.1:1/x"


def _online(before: str = "", after: str = "", connect: str = "engine.connect()", configure: str = "") -> str:
    return f"""
from alembic import context
from sqlalchemy import create_engine, text
engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with {connect} as connection:
    {before or "pass"}
    context.configure(connection=connection, {configure})
    with context.begin_transaction():
        context.run_migrations()
    {after or "pass"}
"""


def _captured(root: Path, env_py: str, url: str = URL):  # noqa: ANN202
    written = write(root)
    written.env_py.write_text(env_py)
    return capture(written.project, url=url)


def test_every_option_of_configure_is_kept_but_what_connects(tmp_path: Path) -> None:
    written = write(tmp_path)
    (tmp_path / "models.py").write_text("from sqlalchemy import MetaData\nmetadata = MetaData()\n")
    written.env_py.write_text(
        "import models\n"
        + _online(
            configure="target_metadata=models.metadata, version_table='versions', version_table_schema='ops', "
            "include_schemas=True, render_as_batch=True, my_own=42"
        ).replace("context.run_migrations()", "context.run_migrations(tenant='a')")
    )
    env = capture(written.project, url=URL)
    assert env.options["my_own"] == 42
    assert env.options["render_as_batch"] is True
    assert "connection" not in env.options
    assert (env.version_table, env.version_table_schema) == ("versions", "ops")
    assert env.target_metadata is sys.modules["models"].metadata
    assert env.run_args == {"tenant": "a"}
    assert env.drives == ()


def test_the_url_is_offered_wherever_an_env_py_reads_one(tmp_path: Path) -> None:
    env = _captured(
        tmp_path,
        "from alembic import context\n"
        "config = context.config\n"
        "seen = {config.get_main_option('sqlalchemy.url'), config.attributes['sqlalchemy.url'],\n"
        "        context.get_x_argument(as_dictionary=True)['url'],\n"
        "        config.get_section(config.config_ini_section)['sqlalchemy.url']}\n"
        f"assert seen == {{{URL!r}}}, seen\n"
        "assert config.cmd_opts.cmd[0].__name__ == 'upgrade'\n"
        "assert not context.is_offline_mode()\n"
        "assert context.get_head_revision() is None\n" + _online(),
    )
    assert env.configure_calls == 1


@pytest.mark.parametrize(
    ("env_py", "reason"),
    [
        (_online(before="connection.exec_driver_sql('CREATE SCHEMA  app')"), "CREATE SCHEMA app' (env.py:"),
        (_online(before="connection.exec_driver_sql('SET ROLE a; DROP TABLE t')"), "SET ROLE a; DROP TABLE t"),
        (_online(before="connection.exec_driver_sql('SET default_transaction_read_only = off')"), "read_only = off"),
        (_online(after="connection.execute(text('GRANT ALL ON t TO app'))"), "GRANT ALL ON t TO app"),
        (_online(after="connection.execute(text('CREATE SCHEMA IF NOT EXISTS late'))"), "CREATE SCHEMA IF NOT EXISTS"),
        (_online(before="connection.connection.cursor().execute('SET x = 1')"), "SET x = 1"),
        (
            _online(connect="engine.execution_options(schema_translate_map={None: 'app'}).connect()"),
            "schema_translate_map",
        ),
        (_online(before="connection = connection.execution_options(isolation_level='AUTOCOMMIT')"), "AUTOCOMMIT"),
        (
            _online().replace('url"))', 'url"), connect_args={"options": "-c jit=off"})'),
            "connect_args options",
        ),
    ],
)
def test_an_env_py_that_does_more_than_configure_says_why(env_py: str, reason: str, tmp_path: Path) -> None:
    (drives,) = _captured(tmp_path, env_py).drives
    assert reason in drives


@pytest.mark.parametrize(
    ("env_py", "session"),
    [
        (
            _online(
                before="connection.execute(text('SET ROLE owner'))", after="connection.execute(text('RESET ROLE'))"
            ),
            SessionSettings(statements=("SET ROLE owner",)),
        ),
        (
            _online(before="connection.exec_driver_sql('set local search_path to app, public')"),
            SessionSettings(statements=("set search_path to app, public",)),
        ),
        (
            _online(before="connection.exec_driver_sql(\"SELECT set_config('app.tenant', 'a''b', true)\")"),
            SessionSettings(statements=("SELECT set_config('app.tenant', 'a''b', false)",)),
        ),
        (
            _online(before="connection.exec_driver_sql('CREATE SCHEMA IF NOT EXISTS app')"),
            SessionSettings(schemas=("CREATE SCHEMA IF NOT EXISTS app",)),
        ),
        (
            _online().replace('url"))', 'url"), connect_args={"options": "-csearch_path=app -c role=owner"})'),
            SessionSettings(parameters=(("search_path", "app"), ("role", "owner"))),
        ),
        (
            _online().replace(
                'url"))', 'url"), connect_args={"server_settings": {"search_path": "app", "lock_timeout": "1s"}})'
            ),
            SessionSettings(parameters=(("search_path", "app"),)),
        ),
        (
            _online().replace(
                "with engine",
                "from sqlalchemy import event\n"
                "@event.listens_for(engine, 'connect')\n"
                "def settle(raw, record):\n"
                "    raw.cursor().execute('SET search_path = app')\n"
                "with engine",
            ),
            SessionSettings(statements=("SET search_path = app",)),
        ),
    ],
)
def test_what_an_env_py_settles_on_its_session_is_kept(env_py: str, session: SessionSettings, tmp_path: Path) -> None:
    env = _captured(tmp_path, env_py)
    assert (env.session, env.drives) == (session, ())


@pytest.mark.parametrize(
    "argument",
    [
        "sslmode='verify-full'",
        "sslrootcert='/etc/ca.pem'",
        "sslcert='me.pem'",
        "sslkey='me.key'",
        "target_session_attrs='read-write'",
        "ssl=True",
    ],
)
def test_an_env_py_that_says_how_the_connection_is_made_safe_is_not_passed_over(argument: str, tmp_path: Path) -> None:
    env_py = _online().replace('url"))', f'url"), connect_args=dict({argument}))')
    (drives,) = _captured(tmp_path, env_py).drives
    assert drives == f"it connects with connect_args {argument.partition('=')[0]}"


def test_what_the_url_says_too_is_no_reason(tmp_path: Path) -> None:
    env_py = _online().replace('url"))', 'url"), connect_args={"sslmode": "verify-full", "application_name": "x"})')
    assert _captured(tmp_path, env_py, url=f"{URL}?sslmode=verify-full").drives == ()


@pytest.mark.parametrize(
    "settles", ["SET lock_timeout = '4s'", "set local statement_timeout to 0", "PRAGMA foreign_keys = OFF"]
)
def test_settings_that_handrail_settles_itself_are_no_reason(settles: str, tmp_path: Path) -> None:
    assert _captured(tmp_path, _online(before=f"connection.exec_driver_sql({settles!r})")).drives == ()


def test_what_the_models_ask_of_another_engine_is_no_reason(tmp_path: Path) -> None:
    env_py = "from sqlalchemy import create_engine\ncreate_engine('sqlite://').connect().exec_driver_sql('select 1')\n"
    assert _captured(tmp_path, env_py + _online(configure="render_as_batch=True")).drives == ()


@pytest.mark.parametrize(
    ("env_py", "said"),
    [
        ("import not_there_at_all\n", "env.py:1: ModuleNotFoundError: No module named 'not_there_at_all'"),
        ("x = 1\ny = (\n", "env.py:2: SyntaxError"),
        ("raise SystemExit(3)\n", "env.py:1: it called sys.exit(3)"),
        ("answer = input('really? ')\n", "env.py:1: EOFError"),
        ("import os\nos._exit(0)\n", "env.py:2: it called sys.exit(0)"),
        ("from alembic import context\n", "it never calls context.configure()"),
        (_online().replace("context.run_migrations()", "pass"), "it never calls context.run_migrations()"),
        (
            (
                "from alembic import context\n"
                "context.configure(url='postgresql://', literal_binds=True)\n"
                "with context.begin_transaction():\n    context.run_migrations()\n"
            ),
            "only knows offline mode",
        ),
        (
            (
                "from alembic import context\nfrom sqlalchemy import create_engine\n"
                "for name in 'ab':\n"
                "    with create_engine('sqlite://').connect() as connection:\n"
                "        context.configure(connection=connection)\n"
                "        context.run_migrations()\n"
            ),
            "calls context.configure() 2 times",
        ),
    ],
)
def test_an_env_py_that_cannot_be_used_is_refused_with_the_reason(env_py: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(ProjectUnreadable) as refused:
        _captured(tmp_path, env_py)
    assert said in refused.value.why


def test_no_password_is_in_what_an_env_py_raises_or_prints(tmp_path: Path) -> None:
    raising = (
        "from alembic import context\nraise RuntimeError('cannot use ' + context.config.attributes['sqlalchemy.url'])"
    )
    with pytest.raises(ProjectUnreadable) as refused:
        _captured(tmp_path / "a", raising, url="postgresql+psycopg://u:canary-77@127.0.0.1:1/x")
    assert "canary-77" not in str(refused.value) + refused.value.why
    env = _captured(tmp_path / "b", "print('url', 'postgresql://u:canary-77@h/x')\n" + _online())
    assert env.output == "url postgresql://u:***@h/x\n"


def test_an_env_py_leaves_no_bytecode_and_runs_once(tmp_path: Path) -> None:
    written = write(tmp_path)
    (tmp_path / "settings.py").write_text("TIMES = []\n")
    written.env_py.write_text("import settings\nsettings.TIMES.append(1)\n" + _online())
    capture(written.project, url=URL)
    assert sys.modules["settings"].TIMES == [1]
    assert not list(tmp_path.rglob("*.pyc"))


def test_the_applications_context_is_kept_for_the_revisions(tmp_path: Path) -> None:
    written = write_flask(tmp_path, url="sqlite://")
    env = capture(written.project, url="sqlite:///x.db")
    with env.entered():
        assert "migrate" in current_app.extensions


def test_a_flask_project_without_an_application_is_refused(tmp_path: Path) -> None:
    written = write_flask(tmp_path, url="sqlite://")
    (tmp_path / "app.py").unlink()
    with pytest.raises(ProjectUnreadable, match="Could not locate a Flask application"):
        capture(written.project, url="sqlite:///x.db")

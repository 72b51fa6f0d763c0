"""`handrail new`: what it writes, what it names before, and when it writes nothing."""

from __future__ import annotations

import ast
import json
import os
import pty
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from layouts import LAYOUTS, MODELS, REVISION, Site

from handrail.engines.base import Purpose, for_url
from handrail.history.files.header import parse
from handrail.model.revision import Header

ADDED = MODELS.replace("nullable=False))", 'nullable=False), Column("email", String(80)))')


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each engine's fresh database in turn; the quick suite takes the one that is made in no time."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url


@pytest.fixture
def site(tmp_path: Path, database_url: str) -> Site:
    """A project whose database has the table that the models have."""
    made = LAYOUTS["plain"](tmp_path / "project", database_url)
    (made.versions / "aaa1_create_users.py").write_text(REVISION)
    _ok(made.run("init", "--yes"))
    _ok(made.run("apply", "-e", "development", "--yes"))
    return made


@pytest.fixture
def lite_site(tmp_path: Path, sqlite_url: str) -> Site:
    """The same on SQLite, nothing applied."""
    made = LAYOUTS["plain"](tmp_path / "project", sqlite_url)
    (made.versions / "aaa1_create_users.py").write_text(REVISION)
    _ok(made.run("init", "--yes"))
    return made


def _ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def _refused(done: subprocess.CompletedProcess[str], exit_: int = 2) -> str:
    assert done.returncode == exit_, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


def _models(site: Site, text: str) -> None:
    (site.root / "models.py").write_text(text)


def _header(path: str) -> Header:
    return parse(ast.get_docstring(ast.parse(Path(path).read_text()), clean=False) or "")


def _execute(url: str, *statements: str) -> None:
    with for_url(url).connect(Purpose.STATE) as conn:
        for sql in statements:
            conn.exec_driver_sql(sql)


def test_a_new_column_becomes_a_revision_with_its_header_filled_in(site: Site) -> None:
    _models(site, ADDED)
    path = _ok(site.run("new", "-m", "add_user_email_column")).strip()
    assert path.startswith(str(site.versions))
    assert path.endswith("_add_user_email_column.py")
    header = _header(path)
    assert header.purpose == "Add user email column"
    assert header.impact == "Users table gains email (nullable)."
    assert header.risk.startswith("Low - additive")
    assert header.rollback.startswith("Simple - ")
    assert header.testing == "<what was verified>"
    assert "op.add_column('users', sa.Column('email'" in Path(path).read_text()


def test_what_was_written_is_what_was_missing_and_ours_is_never_in_it(site: Site) -> None:
    _models(site, ADDED)
    path = _ok(site.run("new", "-m", "add_user_email_column")).strip()
    assert "handrail" not in Path(path).read_text()
    _ok(site.run("apply", "-e", "development", "--yes"))
    files = site.files()
    assert _ok(site.run("new", "-m", "add_more")).startswith("nothing to do")
    assert site.files() == files
    assert site.json("new", "-m", "add_more")["revision"] is None


def test_a_column_that_rows_may_not_allow_is_medium(site: Site) -> None:
    _models(site, ADDED.replace("String(80))", "String(80), nullable=False)"))
    header = _header(_ok(site.run("new", "-m", "require_email")).strip())
    assert header.risk.startswith("Medium - data-dependent: email of users is added (NOT NULL)")


def test_every_column_and_table_that_would_go_is_named_before_anything_is_written(
    site: Site, database_url: str
) -> None:
    _execute(database_url, "create table old_stats (id integer primary key, points integer)")
    _models(site, MODELS.replace(', Column("name", String(50), nullable=False)', ""))
    files = site.files()

    told = _refused(site.run("new", "-m", "drop_name"))
    assert "column users.name" in told
    assert "table old_stats (id, points)" in told
    assert "--allow-drop" in told
    assert site.files() == files

    path = _ok(site.run("new", "-m", "drop_name", "--allow-drop")).strip()
    header = _header(path)
    assert header.risk.startswith("High - breaking: ")
    assert "table old_stats is dropped" in header.risk
    assert header.rollback.startswith("Complex - ")


def test_models_without_tables_are_refused_with_the_number_of_tables_at_stake(site: Site) -> None:
    for metadata, said in (("None", "is not set"), ("__import__('sqlalchemy').MetaData()", "has no tables")):
        env_py = site.root / "migrations" / "env.py"
        env_py.write_text(
            "\n".join(
                f"target_metadata = {metadata}" if line.startswith("target_metadata =") else line
                for line in env_py.read_text().splitlines()
            )
        )
        told = _refused(site.run("new", "-m", "oops"))
        assert "autogenerate would drop 1 table;" in told
        assert said in told
    assert len(list(site.versions.glob("*.py"))) == 1


def test_a_database_that_is_not_at_head_is_not_compared(lite_site: Site) -> None:
    told = _refused(lite_site.run("new", "-m", "add_email"))
    assert "not at head" in told
    assert "handrail apply -e development" in told
    assert len(list(lite_site.versions.glob("*.py"))) == 1


def test_the_database_is_only_read(tmp_path: Path, database_url: str) -> None:
    site = LAYOUTS["plain"](tmp_path / "project", database_url)
    _ok(site.run("init", "--yes"))
    _ok(site.run("new", "-m", "create_users"))
    engine = for_url(database_url)
    with engine.connect(Purpose.READ) as conn:
        assert engine.catalog.snapshot(conn, version_table="none").tables == ()
    assert not (tmp_path / "test.db").exists()


def test_of_several_heads_one_must_be_named(lite_site: Site) -> None:
    for name in ("bbb2", "ccc3"):
        text = REVISION.replace('"aaa1"', f'"{name}"').replace("down_revision = None", 'down_revision = "aaa1"')
        (lite_site.versions / f"{name}_.py").write_text(text.replace('"users"', f'"{name}"'))
    told = _refused(lite_site.run("new", "-m", "more", "--empty"))
    assert "2 heads: bbb2, ccc3" in told
    assert "--head bbb2" in told
    assert "aaa1 is not a head" in _refused(lite_site.run("new", "-m", "more", "--empty", "--head", "aaa1"))
    document = json.loads(_ok(lite_site.run("new", "-m", "more", "--empty", "--head", "ccc", "--format", "json")))
    assert document["revision"]["parents"] == ["ccc3"]


def test_an_empty_revision_asks_no_database(tmp_path: Path) -> None:
    site = LAYOUTS["plain"](tmp_path / "project", "postgresql+psycopg://app@127.0.0.1:1/nowhere")
    _ok(site.run("init", "--yes"))
    path = _ok(site.run("new", "-m", "Move the data", "--empty")).strip()
    assert _header(path).purpose == "Move the data"
    assert _header(path).risk.startswith("<Low")
    assert "at port 1" not in path
    assert "127.0.0.1" in _refused(site.run("new", "-m", "add_email"))


def test_a_template_without_a_header_gets_one_and_its_own_words_stay(lite_site: Site) -> None:
    template = lite_site.root / "migrations" / "script.py.mako"
    body = template.read_text().partition("from typing")[2]
    template.write_text(f"# ours\nfrom typing{body}")
    path = _ok(lite_site.run("new", "-m", "add_things", "--empty")).strip()
    assert _header(path).purpose == "Add things"
    assert "# ours" in Path(path).read_text()
    template.write_text(f'"""${{message}}\n\nTicket: ?\nRisk: Medium - as always.\n"""\nfrom typing{body}')
    path = _ok(lite_site.run("new", "-m", "add_more", "--empty", "--head", "heads")).strip()
    header = _header(path)
    assert header.risk == "Medium - as always."
    assert header.testing == "<what was verified>"
    assert ("Ticket", "?") in header.fields


def test_the_name_of_the_file_and_its_hooks_are_the_project_s(lite_site: Site) -> None:
    ini = lite_site.root / "alembic.ini"
    ini.write_text(
        ini.read_text()
        .replace("path_separator = os", "path_separator = os\nfile_template = %%(slug)s", 1)
        .replace(
            "[post_write_hooks]",
            "[post_write_hooks]\nhooks = say\nsay.type = exec\nsay.executable = echo\nsay.options = HOOKED",
        )
    )
    done = lite_site.run("new", "-m", "add_things", "--empty", "--format", "json")
    assert json.loads(_ok(done))["revision"]["path"] == str(lite_site.versions / "add_things.py")
    assert "add_things.py HOOKED" in done.stderr
    files = lite_site.files()
    told = _refused(lite_site.run("new", "-m", "add_things", "--empty"))
    assert "add_things.py exists" in told
    assert lite_site.files() == files


def test_a_hook_that_cannot_run_is_told_and_the_file_stays(lite_site: Site) -> None:
    ini = lite_site.root / "alembic.ini"
    hook = "[post_write_hooks]\nhooks = gone\ngone.type = console_scripts\ngone.entrypoint = no_such_program"
    ini.write_text(ini.read_text().replace("[post_write_hooks]", hook))
    told = _refused(lite_site.run("new", "-m", "add_things", "--empty"))
    assert "was written, and a post-write hook failed" in told
    assert "no_such_program" in told
    assert len(list(lite_site.versions.glob("*_add_things.py"))) == 1


def test_a_project_that_wants_env_py_for_every_revision_gets_it(lite_site: Site) -> None:
    ini = lite_site.root / "alembic.ini"
    ini.write_text(ini.read_text().replace("path_separator = os", "path_separator = os\nrevision_environment = true"))
    env_py = lite_site.root / "migrations" / "env.py"
    hook = (
        "def directives(context, revision, directives):\n"
        "    directives[0].upgrade_ops.ops.append(__import__('alembic').operations.ops.ExecuteSQLOp('select 42'))\n\n\n"
    )
    env_py.write_text(
        env_py.read_text()
        .replace("def run_migrations_online", hook + "def run_migrations_online")
        .replace("connection=connection,", "connection=connection, process_revision_directives=directives,")
    )
    path = _ok(lite_site.run("new", "-m", "add_things", "--empty")).strip()
    assert "select 42" in Path(path).read_text()


def test_the_models_open_no_connection_of_their_own(lite_site: Site) -> None:
    _ok(lite_site.run("apply", "-e", "development", "--yes"))
    env_py = lite_site.root / "migrations" / "env.py"
    hook = (
        "def include(thing, name, kind, reflected, other):\n"
        "    __import__('sqlite3').connect('stolen.db')\n    return True\n\n\n"
    )
    env_py.write_text(
        env_py.read_text()
        .replace("def run_migrations_online", hook + "def run_migrations_online")
        .replace("connection=connection,", "connection=connection, include_object=include,")
    )
    told = _refused(lite_site.run("new", "-m", "add_things"))
    assert "a database connection of its own" in told
    assert not (lite_site.root / "stolen.db").exists()


def test_the_revision_goes_where_its_parent_is(tmp_path: Path, sqlite_url: str) -> None:
    site = LAYOUTS["several_locations"](tmp_path / "project", sqlite_url)
    _ok(site.run("init", "--yes"))
    path = Path(_ok(site.run("new", "-m", "add_things", "--empty")).strip())
    assert path.parent == site.root / "old"


@pytest.mark.parametrize(("answer", "written"), [("y", 1), ("n", 0)])
def test_at_a_terminal_it_asks_before_it_drops(answer: str, lite_site: Site, *, written: int) -> None:
    _ok(lite_site.run("apply", "-e", "development", "--yes"))
    _models(lite_site, MODELS.replace(', Column("name", String(50), nullable=False)', ""))
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "handrail", "new", "-m", "drop_name"]
    with subprocess.Popen(command, cwd=lite_site.root, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        said = b""
        while b"[y/N]" not in said:
            said += os.read(ours, 4096)
        os.write(ours, f"{answer}\n".encode())
        with suppress(OSError):  # the other end is closed
            while os.read(ours, 4096):
                pass
    os.close(ours)
    assert b"column users.name" in said
    assert process.returncode == (0 if written else 2)
    assert len(list(lite_site.versions.glob("*_drop_name.py"))) == written

"""Bad input through the real command line: the exit status, the three parts, the state of the database, no secret."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from guarded import Guarded, written
from refusal import CANARY, assert_no_secret, refusal, refusal_here
from sqlalchemy import make_url
from workbench import Workbench

from handrail.cli.main import main

APPLY = ("apply", "--yes")
END_OTHERS = (
    "select pg_terminate_backend(pid) from pg_stat_activity "
    "where datname = current_database() and pid <> pg_backend_pid()"
)
EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'


def _environment(text: str, name: str = "main") -> str:
    return f"[tool.handrail.environments.{name}]\n{text}\n"


_MAIN = _environment('url = "env:HANDRAIL_TEST_URL"')

# What the settings say that cannot be used, and what the answer names.
SETTINGS = {
    "no settings": ("", "neither handrail.toml nor [tool.handrail]"),
    "not TOML": (_MAIN + "x = = 1", "pyproject.toml cannot be read"),
    "not a table": ("[tool]\nhandrail = 3", "[tool.handrail]"),
    "environments that are none": ("[tool.handrail]\nenvironments = []", "environments"),
    "an environment that is none": ("[tool.handrail.environments]\nmain = 3", "environments.main"),
    "no environment": ("[tool.handrail]", "add [tool.handrail.environments.development]"),
    "unknown key": ('[tool.handrail]\njornal = "x"\n' + _MAIN, "did you mean 'journal'?"),
    "unknown key of an environment": (_MAIN + "protectd = true", "did you mean 'protected'?"),
    "unknown key of locks": (_MAIN + 'lock = { timeot = "1s" }', "did you mean 'timeout'?"),
    "wrong type": (_MAIN + 'protected = "yes"', "environments.main.protected"),
    "text for a list": (_MAIN + 'requires = "window"', "environments.main.requires"),
    "missing key": (_environment("protected = true"), "it has no url"),
    "bad time span": (_MAIN + 'lock = { budget = "10 minutes" }', "'10 minutes' is not a time span such as '100ms'"),
    "number for a time span": (_MAIN + "lease_wait = 30", "environments.main.lease_wait"),
    "bad weekday": (_MAIN + 'window = "Mon-Fry 22:00-05:00"', "is not a window such as 'Mon-Fri 22:00-05:00"),
    "bad hour": (_MAIN + 'window = "Mon-Fri 25:00-05:00"', "not two times of a day"),
    "bad time zone": (_MAIN + 'window = "Mon 22:00-05:00 Europe/Nowhere"', "not a time zone of the IANA list"),
    "unknown choice": (_MAIN + 'on_failure = "explode"', "environments.main.on_failure"),
    "literal password": (_environment(f'url = "postgresql://app:{CANARY}@127.0.0.1/x"'), 'write url = "env:'),
    "literal password in the query": (
        _environment(f'url = "postgresql://app@127.0.0.1/x?password={CANARY}"'),
        'write url = "env:',
    ),
    "variable not set": (_environment('url = "env:NOT_SET"'), "the environment variable NOT_SET is not set"),
    "file that is not there": (_environment('url = "file:nowhere"'), "nowhere cannot be read"),
    "file that is empty": (_environment('url = "file:empty"'), "the database URL cannot be read"),
    "command that fails": (_environment("url = \"command:sh -c 'printenv CANARY; exit 3'\""), "status 3"),
    "command that is not there": (_environment('url = "command:no-such-command"'), "could not be run"),
    "command of no words": (_environment('url = "command:"'), "could not be run"),
    "several environments": (_MAIN + _environment('url = "env:X"', "other"), "-e/--environment NAME"),
}


@pytest.mark.parametrize("case", SETTINGS)
def test_settings_that_cannot_be_used_are_refused(
    case: str, lite_bench: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings, words = SETTINGS[case]
    (lite_bench.root / "pyproject.toml").write_text(settings)
    (lite_bench.root / "empty").touch()
    monkeypatch.setenv("CANARY", CANARY)
    assert words in refusal_here(lite_bench, capsys, *APPLY)


def test_a_process_without_settings_ends_as_main_does(lite_bench: Workbench) -> None:
    (lite_bench.root / "pyproject.toml").unlink()
    for command in (APPLY, ("status",), ("history",)):
        assert "no settings of Handrail were found" in refusal(lite_bench, *command)


def test_settings_in_two_places_are_refused(lite_bench: Workbench) -> None:
    (lite_bench.root / "handrail.toml").write_text('journal = "x"')
    assert "keep one of them" in refusal(lite_bench, *APPLY)


URLS = {
    "not a URL": f"canary {CANARY}",
    "port that is no number": f"postgresql://app:{CANARY}@127.0.0.1:port/x",
    "password not encoded": f"postgresql+psycopg://app:{CANARY}@127.0.0.1:1/x",
    "@ of a password not encoded": "postgresql+psycopg://app:some@c4n%ry@127.0.0.1:1/x",
    "unfinished address": f"postgresql://app:{CANARY}@[::1/x",
    "MySQL": "mysql+pymysql://app:c4n%25ry@127.0.0.1:1/x",
    "Oracle": "oracle://app:c4n%25ry@127.0.0.1:1/x",
    "driver that is not installed": "postgresql+pg8000://app:c4n%25ry@127.0.0.1:1/x",
    "driver that does not exist": "postgresql+nodriver://app:c4n%25ry@127.0.0.1:1/x",
    "unknown host": "postgresql+psycopg://app:c4n%25ry@nowhere.invalid/x",
    "SQLite with a user": "sqlite://app:c4n%25ry@host/x.db",
    "SQLite in memory": "sqlite://",
    "SQLite in a folder that is not there": "sqlite:////nowhere/x.db",
    "SQLite on a folder": "sqlite:////",
}


@pytest.mark.parametrize("case", URLS)
def test_urls_that_cannot_be_used_are_refused(case: str, lite_bench: Workbench) -> None:
    lite_bench.url = URLS[case]
    refusal(lite_bench, *APPLY)


def test_a_kind_of_database_that_is_not_supported_is_named_with_those_that_are(lite_bench: Workbench) -> None:
    lite_bench.url = URLS["Oracle"]
    said = refusal(lite_bench, *APPLY)
    assert "'oracle' are not supported" in said
    assert "postgresql, sqlite" in said


@pytest.mark.parametrize("driver", ["mysql+pymysql", "mariadb+pymysql", "mysql+mysqldb", "mysql"])
@pytest.mark.parametrize(
    "words",
    [
        APPLY,
        ("apply", "--dry-run"),
        ("verify",),
        ("rollback",),
        ("resume",),
        ("log",),
        ("backup", "create"),
        ("new", "-m", "Add a table"),
        ("compat",),
    ],
)
def test_what_is_done_for_mysql_is_said_where_it_cannot_be_done(
    driver: str,
    words: tuple[str, ...],
    lite_bench: Workbench,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("HANDRAIL_TEST_URL", f"{driver}://app:c4n%25ry@127.0.0.1:1/x")
    said = refusal_here(lite_bench, capsys, *words)
    assert f"{driver.partition('+')[0]} databases are reviewed and not migrated yet; nothing was touched" in said
    assert "handrail review --engine" in said


def test_status_says_of_a_mysql_database_what_is_done_for_it(
    lite_bench: Workbench, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("HANDRAIL_TEST_URL", "mysql+pymysql://app:c4n%25ry@127.0.0.1:1/x")
    assert main(["status", "-C", str(lite_bench.root)]) == 2
    assert "mysql databases are reviewed and not migrated yet" in capsys.readouterr().out


USAGE = {
    "unknown environment": (("apply", "-e", "mian"), "did you mean 'main'?"),
    "unknown flag": (("apply", "--dryrun"), "Did you mean '--dry-run'?"),
    "unknown flag of rollback": (("rollback", "--dryrun"), "Did you mean '--dry-run'?"),
    "unknown flag of the group": (("-x", "apply"), "handrail --help"),
    "flag without its value": (("log", "--limit"), "handrail"),
    "one argument too many": (("apply", "a", "b"), "unexpected extra argument"),
    "number out of range": (("log", "-n", "0"), "not in the range"),
}


@pytest.mark.parametrize("case", USAGE)
def test_commands_that_cannot_be_understood_are_refused(
    case: str, lite_bench: Workbench, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments, words = USAGE[case]
    assert words in refusal_here(lite_bench, capsys, *arguments)


REVISIONS = {
    "to apply": (("apply", "aaa2", "--yes"), "did you mean aaa1?"),
    "to go back to": (("rollback", "aaa2", "--yes"), "did you mean aaa1?"),
    "to verify at": (("verify", "--at", "aaa2"), "did you mean aaa1?"),
    "not said, and the log is empty": (("rollback", "--yes"), "handrail rollback TARGET"),
}


@pytest.mark.parametrize("case", REVISIONS)
def test_revisions_that_are_not_known_are_refused(case: str, lite_bench: Workbench) -> None:
    arguments, words = REVISIONS[case]
    assert words in refusal(lite_bench, *arguments)


def test_an_unknown_flag_ends_a_process_with_status_two(lite_bench: Workbench) -> None:
    assert "Did you mean '--dry-run'?" in refusal(lite_bench, "apply", "--dryrun")


def _two_heads(bench: Workbench) -> None:
    bench.revision("bbb1", "aaa1", "pass")
    bench.revision("bbb2", "aaa1", "pass")


def _cycle(bench: Workbench) -> None:
    bench.revision("bbb1", "bbb2", "pass")
    bench.revision("bbb2", "bbb1", "pass")


def _twice(bench: Workbench) -> None:
    shutil.copy(bench.versions / "aaa1_step.py", bench.versions / "copy.py")


def _env_py(text: str) -> Callable[[Workbench], None]:
    def write(bench: Workbench) -> None:
        (bench.root / "migrations" / "env.py").write_text(text)

    return write


PROJECTS: dict[str, tuple[Callable[[Workbench], object], str]] = {
    "two heads": (_two_heads, "handrail apply heads"),
    "missing parent": (lambda b: b.revision("bbb1", "zzz9", "pass"), "bbb1 follows zzz9"),
    "cycle": (_cycle, "bbb1 -> bbb2 -> bbb1"),
    "duplicate id": (_twice, "aaa1 is defined twice"),
    "revision that cannot be parsed": (lambda b: (b.versions / "x.py").write_text("(\n"), "x.py, line 1"),
    "env.py that raises": (_env_py("import os\nraise OSError(os.environ['HANDRAIL_TEST_URL'])"), "env.py:2: OSError"),
    "env.py that exits": (_env_py("import sys\nsys.exit(3)"), "it called sys.exit(3)"),
    "env.py that ends the process": (_env_py("import os\nos._exit(0)"), "it called sys.exit(0)"),
    "env.py that configures nothing": (_env_py("x = 1"), "it never calls context.configure()"),
    "env.py that is no Python": (_env_py("x = = 1"), "SyntaxError"),
    "env.py that imports what is not there": (_env_py("import not_there"), "No module named 'not_there'"),
    "no alembic.ini": (lambda b: (b.root / "alembic.ini").unlink(), "no Alembic settings found"),
    "no script folder": (lambda b: shutil.rmtree(b.root / "migrations"), "the folder of the migrations does not exist"),
}


@pytest.mark.parametrize("case", PROJECTS)
def test_projects_that_cannot_be_read_are_refused(case: str, pg_bench: Workbench) -> None:
    spoil, words = PROJECTS[case]
    spoil(pg_bench)
    assert words in refusal(pg_bench, *APPLY)
    assert pg_bench.rows("select count(*) from pg_tables where schemaname in ('public', 'handrail')") == [(0,)]


@pytest.mark.parametrize("case", ["missing parent", "cycle", "duplicate id", "revision that cannot be parsed"])
def test_status_and_history_say_what_is_wrong_with_the_files(case: str, lite_bench: Workbench) -> None:
    spoil, words = PROJECTS[case]
    spoil(lite_bench)
    for command in (("status", "--offline"), ("status",), ("history",)):
        done = lite_bench.run(*command)
        assert done.returncode == 2, command
        assert words in done.stdout, command


def test_a_revision_in_the_database_that_no_file_has_is_named(lite_bench: Workbench) -> None:
    assert lite_bench.run(*APPLY).returncode == 0
    (lite_bench.versions / "aaa1_step.py").unlink()
    lite_bench.revision("ccc1", None, "pass")
    assert "the database is at revision aaa1, which no file defines" in refusal(lite_bench, *APPLY)
    assert lite_bench.run("status").returncode == 2
    assert lite_bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_an_empty_migrations_folder_leaves_nothing_to_do(lite_bench: Workbench) -> None:
    (lite_bench.versions / "aaa1_step.py").unlink()
    done = lite_bench.run(*APPLY)
    assert (done.returncode, done.stdout) == (0, "nothing to do: main is at base\n")
    assert lite_bench.json("history")["revisions"] == []
    assert not Path(make_url(lite_bench.url).database or "").exists()


CONNECTIONS: dict[str, tuple[Callable[[Guarded], str], str]] = {
    "wrong host": (lambda g: written(g.url("x").set(host="nowhere.invalid")), "nowhere.invalid"),
    "wrong port": (lambda g: written(g.url("x").set(port=_free_port())), "Connection refused"),
    "wrong password": (lambda g: written(g.url("x").set(password="c4n%ry-wrong")), "the password of user app"),
    "no such database": (lambda g: written(g.url("nothing_here")), "there is no database nothing_here"),
    "percent sign not encoded": (
        lambda g: written(g.url("x")).replace("c4n%25ry", "c4n%ry"),
        "there is no database x",  # what is no escape stands for itself, so the password is the right one
    ),
}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.mark.parametrize("case", CONNECTIONS)
def test_a_server_that_does_not_let_us_in_is_told_apart(case: str, pg_bench: Workbench, guarded: Guarded) -> None:
    url, words = CONNECTIONS[case]
    pg_bench.url = url(guarded)
    assert words in refusal(pg_bench, *APPLY)
    status = pg_bench.run("status")
    assert status.returncode == 2
    assert words in status.stdout


@pytest.mark.parametrize("command", [("verify",), ("log",), ("resume",), ("rollback", "--yes"), ("apply", "--dry-run")])
def test_every_command_says_that_the_server_is_not_reachable(command: tuple[str, ...], pg_bench: Workbench) -> None:
    pg_bench.url = f"postgresql+psycopg://app:{'c4n%25ry'}@127.0.0.1:{_free_port()}/x"
    assert "is not reachable; nothing was touched" in refusal(pg_bench, *command)


def test_a_user_who_may_not_make_our_schema_is_told_so_by_dry_run_and_apply(
    pg_bench: Workbench, guarded: Guarded
) -> None:
    name = guarded.database(owner="postgres")
    pg_bench.url = written(guarded.url(name))
    dry = pg_bench.run("apply", "--dry-run")
    assert dry.returncode == 0
    assert f"would be refused now: user app may not create the schema handrail in database {name}" in dry.stdout
    assert f'GRANT CREATE ON DATABASE "{name}" TO "app"' in refusal(pg_bench, *APPLY)
    refusal(pg_bench, "status", "--rebind", "main")


def test_a_user_who_may_not_read_the_version_table_is_told_so(pg_bench: Workbench, guarded: Guarded) -> None:
    name = guarded.database()
    guarded.run("create table alembic_version (version_num varchar(32) primary key)", name)
    pg_bench.url = written(guarded.url(name))
    for command in (APPLY, ("resume",), ("rollback", "aaa1", "--yes")):
        assert "alembic_version" in refusal(pg_bench, *command)
    assert pg_bench.run("status").returncode == 2


def test_a_user_who_may_not_change_tables_fails_with_the_database_as_before(
    pg_bench: Workbench, guarded: Guarded
) -> None:
    name = guarded.database(owner="postgres")
    guarded.run(f"grant create on database {name} to app")
    pg_bench.url = written(guarded.url(name))
    assert "InsufficientPrivilege" in refusal(pg_bench, *APPLY, exit_=1)
    assert pg_bench.rows("select count(*) from pg_tables where schemaname = 'public'") == [(0,)]


DAMAGED = {
    "a version table of another shape": ("create table alembic_version (x int)", "version_num does not exist"),
    "a version that is null": (
        "create table alembic_version (version_num text); insert into alembic_version values (null)",
        "the database is at revision None, which no file defines",
    ),
    "a schema of our name that is not ours": (
        "create schema handrail; create table handrail.identity (x int); grant usage on schema handrail to app",
        "column identity.id does not exist",
    ),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_tables_that_are_not_as_they_were_made_are_named(case: str, pg_bench: Workbench, guarded: Guarded) -> None:
    damage, words = DAMAGED[case]
    name = guarded.database()
    for sql in damage.split("; "):
        guarded.run(sql, name)
    guarded.run("grant select on all tables in schema public to app", name)
    if "handrail" in damage:
        guarded.run("grant select on handrail.identity to app", name)
    pg_bench.url = written(guarded.url(name))
    assert words in refusal(pg_bench, *APPLY)
    assert pg_bench.run("status").returncode == 2


@pytest.mark.parametrize("table", ["lease", "log", "statement_log", "identity"])
def test_a_lost_table_of_ours_is_no_bug(table: str, pg_bench: Workbench) -> None:
    assert pg_bench.run(*APPLY).returncode == 0
    pg_bench.revision("aaa2", "aaa1", EMAIL)
    pg_bench.execute(f"drop table handrail.{table}")
    for command in (APPLY, ("status",), ("log",), ("resume",)):
        done = pg_bench.run(*command)
        assert done.returncode in {0, 1, 2}, (command, done.stderr)
        assert_no_secret(done.stdout + done.stderr, pg_bench.root)


def test_a_read_only_database_is_refused(pg_bench: Workbench, guarded: Guarded) -> None:
    name = guarded.database()
    guarded.run(f"alter database {name} set default_transaction_read_only = on")
    pg_bench.url = written(guarded.url(name))
    assert f"database {name} is read-only" in refusal(pg_bench, *APPLY)


@pytest.mark.parametrize("who", ["the migrating session", "every session of ours"])
def test_a_server_gone_in_the_middle_leaves_the_last_revision_standing(who: str, pg_bench: Workbench) -> None:
    ending = [END_OTHERS] if who == "every session of ours" else []
    ending.append("select pg_terminate_backend(pg_backend_pid())")
    pg_bench.revision("aaa2", "aaa1", "\n".join(f'op.execute("{sql}")' for sql in [*ending, "select 1"]))
    assert "the connection was lost during aaa2" in refusal(pg_bench, *APPLY, exit_=7)
    status = pg_bench.run("status")
    assert "nothing is half applied" in status.stdout
    assert pg_bench.rows("select version_num from alembic_version") == [("aaa1",)]


BODIES = {
    "raises": ("raise ValueError('no')", 1, "ValueError: no"),
    "exits": ("import sys\nsys.exit(0)", 1, "it called sys.exit(0)"),
    "ends the process": ("import os\nos._exit(0)", 1, "it called sys.exit(0)"),
    "sends what is no SQL": ("op.execute('selec 1')", 1, "syntax error"),
    "imports what is not there": ("import not_there", 1, "No module named 'not_there'"),
    "interrupts": ("raise KeyboardInterrupt", 130, ""),
}


@pytest.mark.parametrize("case", BODIES)
def test_a_revision_that_ends_badly_is_rolled_back_and_the_ones_before_it_stand(case: str, pg_bench: Workbench) -> None:
    body, exit_, words = BODIES[case]
    pg_bench.revision("aaa2", "aaa1", f"{EMAIL}\n{body}")
    done = pg_bench.run(*APPLY)
    assert done.returncode == exit_, done.stderr
    assert words in done.stderr
    assert "Traceback" not in done.stderr
    assert pg_bench.rows("select version_num from alembic_version") == [("aaa1",)]
    columns = "select count(*) from information_schema.columns where table_name = 'users'"
    assert pg_bench.rows(columns) == [(1,)]


def test_our_other_sessions_gone_in_the_middle_are_no_bug(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa2", "aaa1", f'op.execute("{END_OTHERS}")')
    pg_bench.revision("aaa3", "aaa2", EMAIL)
    assert "was lost" in refusal(pg_bench, *APPLY, exit_=7)
    again = pg_bench.run("resume", "--yes")
    assert again.returncode == 0, again.stderr
    assert pg_bench.rows("select version_num from alembic_version") == [("aaa3",)]


def test_a_function_that_was_committed_before_the_failure_leaves_the_revision_half_applied(pg_bench: Workbench) -> None:
    pg_bench.execute("create table counted (n int)", "insert into counted values (0)")
    pg_bench.execute("create function bump() returns int language sql as 'update counted set n = n + 1 returning n'")
    both = 'op.execute("select bump()")\n    op.execute("select 1/0")'
    pg_bench.revision("aaa2", "aaa1", f"with op.get_context().autocommit_block():\n    {both}")
    done = pg_bench.run(*APPLY)
    assert done.returncode == 5, done.stderr
    assert "1 of its statements are committed" in done.stderr
    assert pg_bench.rows("select n from counted") == [(1,)]


def test_a_function_that_fails_outside_a_transaction_leaves_nothing(pg_bench: Workbench) -> None:
    pg_bench.execute("create function fail() returns int language sql as 'select 1/0'")
    pg_bench.revision("aaa2", "aaa1", 'with op.get_context().autocommit_block():\n    op.execute("select fail()")')
    assert "the database is as it was before" in refusal(pg_bench, *APPLY, exit_=1)
    assert pg_bench.rows("select count(*) from handrail.statement_log") == [(0,)]


def test_what_may_lock_anything_does_not_wait_for_everybody(pg_bench: Workbench) -> None:
    pg_bench.settings('lock = { budget = "2s" }')
    pg_bench.execute("create table other (id int)")
    pg_bench.revision("aaa2", "aaa1", """op.execute("do $$ begin perform 1; end $$")""")
    dry = pg_bench.run("apply", "--dry-run")
    assert "lock: may lock anything; not looked at beforehand, bounded by lock.timeout" in dry.stdout
    with connected(pg_bench) as busy:
        busy.execute("insert into other values (1)")
        done = pg_bench.run(*APPLY)
    assert done.returncode == 0, done.stderr
    assert "waiting" not in done.stderr


def test_what_may_lock_anything_and_misses_a_lock_names_the_holder(pg_bench: Workbench) -> None:
    pg_bench.settings('lock = { budget = "500ms" }')
    assert pg_bench.run(*APPLY).returncode == 0
    pg_bench.revision("aaa2", "aaa1", """op.execute("do $$ begin drop table users; end $$")""")
    with connected(pg_bench) as busy:
        busy.execute("lock table users in access share mode")
        said = refusal(pg_bench, *APPLY, exit_=1)
        assert f"pid {busy.info.backend_pid} holds ACCESS SHARE on users" in said


@contextmanager
def connected(bench: Workbench) -> Iterator[psycopg.Connection]:
    """A client of the bench's database, in a transaction that ends with the block."""
    url = make_url(bench.url)
    with psycopg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    ) as conn:
        yield conn


@pytest.fixture
def locked_bench(pg_bench: Workbench) -> Workbench:
    pg_bench.settings('lock = { budget = "500ms" }')
    assert pg_bench.run(*APPLY).returncode == 0
    pg_bench.revision("aaa2", "aaa1", EMAIL)
    return pg_bench


@pytest.mark.parametrize(
    ("table", "mode", "state"),
    [
        ("users", "access share", "the database is as it was before this revision"),
        ("alembic_version", "access exclusive", "nothing was touched"),
        ("handrail.lease", "access exclusive", "nothing was touched"),
    ],
)
def test_a_target_locked_for_long_is_left_as_it_was_and_the_holder_is_named(
    table: str, mode: str, state: str, locked_bench: Workbench, guarded: Guarded
) -> None:
    url = make_url(guarded.server.url(make_url(locked_bench.url).database or ""))
    with psycopg.connect(
        host=url.host, port=url.port, user=url.username, password=url.password, dbname=url.database
    ) as holder:
        holder.execute(f"lock table {table} in {mode} mode")
        said = refusal(locked_bench, *APPLY, exit_=1)
        assert f"pid {holder.info.backend_pid} holds {mode.upper()} on {table}" in said
        assert state in said
    assert locked_bench.rows("select version_num from alembic_version") == [("aaa1",)]
    assert locked_bench.run(*APPLY).returncode == 0


def test_a_locked_sqlite_file_is_left_as_it_was_and_the_holder_is_named(lite_bench: Workbench) -> None:
    assert lite_bench.run(*APPLY).returncode == 0
    lite_bench.settings('lock = { budget = "500ms" }\nlease_wait = "500ms"')
    lite_bench.revision("aaa2", "aaa1", EMAIL)
    file = make_url(lite_bench.url).database or ""
    lite_bench.url += "?timeout=0.2"
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("begin immediate")
    said = refusal(lite_bench, *APPLY, exit_=1)
    holder.close()
    assert f"pid {os.getpid()} holds RESERVED on test.db" in said
    assert lite_bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_a_file_that_is_no_database_is_refused(lite_bench: Workbench) -> None:
    Path(make_url(lite_bench.url).database or "").write_text("this is a letter and no database " * 100)
    assert "not a SQLite database" in refusal(lite_bench, *APPLY)


@contextmanager
def _read_only(folder: Path) -> Iterator[None]:
    """Make a folder read-only: for root, who may write anywhere, by a read-only mount of the folder on itself."""
    if os.geteuid() != 0:
        folder.chmod(0o555)
        try:
            yield
        finally:
            folder.chmod(0o755)
        return
    if subprocess.run(["mount", "--bind", folder, folder], check=False, capture_output=True).returncode != 0:
        pytest.skip("needs root")  # a container's root may not mount
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_read_only_file_system_under_the_database_is_refused(lite_bench: Workbench) -> None:
    assert lite_bench.run(*APPLY).returncode == 0
    lite_bench.revision("aaa2", "aaa1", EMAIL)
    with _read_only(Path(make_url(lite_bench.url).database or "").parent):
        assert "may not be written; nothing was touched" in refusal(lite_bench, *APPLY)
        assert lite_bench.run("status").returncode == 0
        assert "would be refused now" in lite_bench.run("apply", "--dry-run").stdout


def test_a_read_only_file_system_under_the_project_stops_before_anything_is_touched(lite_bench: Workbench) -> None:
    with _read_only(lite_bench.root):
        assert "the journal cannot be written; nothing was touched" in refusal(lite_bench, *APPLY)
        assert lite_bench.run("status").returncode == 0
        assert lite_bench.run("apply", "--dry-run").returncode == 0
    assert not Path(make_url(lite_bench.url).database or "").exists()


def test_a_journal_that_cannot_be_written_stops_before_anything_is_touched(lite_bench: Workbench) -> None:
    (lite_bench.root / ".handrail").write_text("a file where the folder should be")
    assert "the journal cannot be written; nothing was touched" in refusal(lite_bench, *APPLY)
    assert not Path(make_url(lite_bench.url).database or "").exists()
    assert lite_bench.run("status").returncode == 0
    assert lite_bench.run("apply", "--dry-run").returncode == 0


@pytest.mark.parametrize("journal", ["postgresql://app:c4n%25ry@127.0.0.1:1/x", "mysql://app:c4n%25ry@127.0.0.1:1/x"])
def test_a_journal_that_is_not_there_is_named(journal: str, lite_bench: Workbench) -> None:
    settings = (lite_bench.root / "pyproject.toml").read_text()
    (lite_bench.root / "pyproject.toml").write_text(f'[tool.handrail]\njournal = "{journal}"\n{settings}')
    assert "journal" in refusal(lite_bench, *APPLY)
    assert "journal" in refusal(lite_bench, "status", "--offline")


def test_a_journal_that_is_no_journal_is_named(lite_bench: Workbench) -> None:
    (lite_bench.root / ".handrail").mkdir()
    (lite_bench.root / ".handrail" / "journal.db").write_text("this is a letter and no database " * 100)
    assert "the journal cannot be read; nothing was touched" in refusal(lite_bench, "status", "--offline")
    assert "journal" in refusal(lite_bench, *APPLY)


def test_a_wrong_confirmation_touches_nothing(pg_bench: Workbench) -> None:
    pg_bench.settings("protected = true")
    assert "'other' was confirmed" in refusal(pg_bench, "apply", "--confirm", "other")
    assert "--confirm" in refusal(pg_bench, "apply", "--yes")
    assert pg_bench.rows("select count(*) from pg_tables where schemaname in ('public', 'handrail')") == [(0,)]


def test_an_empty_name_is_not_the_default_environment(lite_bench: Workbench) -> None:
    assert "the environment's name is empty" in refusal(lite_bench, "apply", "--yes", "-e", "")


def test_a_folder_that_is_gone_is_told_in_one_sentence(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    told = 'cd "$1" && rmdir "$1" && exec "$2" -m handrail status'
    done = subprocess.run(["sh", "-c", told, "sh", gone, sys.executable], capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert "the current folder is gone; nothing was touched" in done.stderr


def test_a_gate_that_does_not_exist_never_passes(lite_bench: Workbench) -> None:
    lite_bench.settings('requires = ["widnow"]')
    assert "widnow: no gate of that name: backup-proved, compatible, reviewed, window; did you mean window?" in refusal(
        lite_bench, *APPLY, exit_=3
    )

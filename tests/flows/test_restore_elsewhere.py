"""Restores at night: the server of the original is gone, or the restore before this one did not come to its end."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import LiteralString

import pytest
from archives import created, filled
from load import connect, holding, until
from sqlalchemy import make_url
from workbench import Workbench

from handrail.engines.postgresql.servers.server import Server

DEADLINE_S = 30.0


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch, handrail_postgresql: Server) -> None:
    """Restore on the server of the tests: starting one takes seconds."""
    monkeypatch.setenv("HANDRAIL_SANDBOX_URL", handrail_postgresql.url())


@pytest.fixture
def empty(handrail_postgresql: Server) -> Iterator[str]:
    """The name of an empty database."""
    name = f"empty_{time.monotonic_ns()}"
    handrail_postgresql.create_database(name)
    yield name
    handrail_postgresql.drop_database(name)


def restored(bench: Workbench, into: str, **env: str) -> str:
    done = bench.run("backup", "restore", "latest", "--into", into, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_backup_is_restored_where_the_original_cannot_be_reached(
    pg_bench: Workbench, handrail_postgresql: Server, empty: str
) -> None:
    created(filled(pg_bench))
    gone = "postgresql+psycopg://somebody@127.0.0.1:1/gone"
    assert "and equal" in restored(pg_bench, handrail_postgresql.url(empty), HANDRAIL_TEST_URL=gone)


def test_a_backup_is_restored_into_the_environments_own_name_on_a_server_that_was_made_anew(
    pg_bench: Workbench, handrail_postgresql: Server, empty: str
) -> None:
    created(filled(pg_bench))
    own = handrail_postgresql.url(empty)
    assert "and equal" in restored(pg_bench, "env:HANDRAIL_TEST_URL", HANDRAIL_TEST_URL=own)


def test_a_role_that_owns_neither_database_nor_extension_may_restore(
    pg_bench: Workbench, handrail_postgresql: Server, empty: str
) -> None:
    filled(pg_bench).execute("create extension citext")
    created(pg_bench)
    role = f"restorer_{time.monotonic_ns()}"
    with connect(handrail_postgresql.url(empty), autocommit=True) as conn:
        conn.execute(f"create role {role} login")
        conn.execute("create extension citext")
        conn.execute(f"grant create on database {empty} to {role}")
        conn.execute(f"grant create on schema public to {role}")
        into = make_url(handrail_postgresql.url(empty)).set(username=role, password=None)
        try:
            done = pg_bench.run("backup", "restore", "latest", "--no-owners", "--into", into.render_as_string())
            assert done.returncode == 0, done.stderr
        finally:
            conn.execute(f"drop owned by {role}")
            conn.execute(f"drop role {role}")


def test_a_sqlite_file_that_is_gone_is_restored_in_its_place(lite_bench: Workbench) -> None:
    created(filled(lite_bench))
    file = Path(make_url(lite_bench.url).database or "")
    file.unlink()
    assert "and equal" in restored(lite_bench, file.name)


@pytest.fixture
def slow(pg_bench: Workbench) -> dict[str, str]:
    """Whose restore sleeps for a minute: a CHECK of the rows does, in the empty database alone."""
    filled(pg_bench, rows=3)
    pg_bench.execute(
        "create function slowly(int) returns boolean language plpgsql as "
        "$$ begin if starts_with(current_database(), 'empty') then perform pg_sleep(60); end if; return true; end $$",
        "alter table players add check (slowly(skill))",
    )
    return created(pg_bench)


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_restore_that_was_cut_off_says_what_to_do_at_once_or_the_next_time(
    pg_bench: Workbench, slow: dict[str, str], handrail_postgresql: Server, empty: str, number: signal.Signals
) -> None:
    again = f'fix: DROP DATABASE "{empty}", then give the command again'
    with restoring(pg_bench, empty) as run:
        until(lambda: at_work(handrail_postgresql, empty), "pg_restore is at work")
        other = pg_bench.run("backup", "restore", "latest", "--into", empty)
        assert other.returncode == 2
        assert f"another restore is filling the database {empty}" in other.stderr
        run.send_signal(number)
        _, said = run.communicate(timeout=DEADLINE_S)
    if number is not signal.SIGKILL:
        assert f"{empty} is not whole, and not to be used" in said
        assert again in said
    until(lambda: not at_work(handrail_postgresql, empty), "pg_restore has ended")
    done = pg_bench.run("backup", "restore", "latest", "--into", empty)
    assert done.returncode == 2
    assert f"the database {empty} is not whole, and not to be used; nothing was touched" in done.stderr
    assert f"it holds a part of backup {slow['id']}" in done.stderr
    assert again in done.stderr


def test_a_database_that_was_filled_says_nothing_any_more(
    pg_bench: Workbench, handrail_postgresql: Server, empty: str
) -> None:
    created(filled(pg_bench))
    restored(pg_bench, empty)
    assert comment(handrail_postgresql, empty) is None


def test_what_somebody_wrote_on_a_database_is_left_alone(
    pg_bench: Workbench, handrail_postgresql: Server, empty: str
) -> None:
    with connect(handrail_postgresql.url(empty), autocommit=True) as conn:
        conn.execute(f"comment on database {empty} is 'mine'")
    created(filled(pg_bench))
    restored(pg_bench, empty)
    assert comment(handrail_postgresql, empty) == "mine"


def test_a_signal_before_anything_is_filled_never_tells_to_drop_a_database(
    pg_bench: Workbench, handrail_postgresql: Server, empty: str
) -> None:
    """The named database may be somebody's own."""
    created(filled(pg_bench))
    with holding(
        handrail_postgresql.url(empty), "lock table pg_catalog.pg_largeobject_metadata in access exclusive mode"
    ):
        run = pg_bench.start("backup", "restore", "latest", "--into", empty)
        try:
            until(lambda: waiting(handrail_postgresql, empty), "it looks whether the database is empty")
            run.send_signal(signal.SIGINT)
            _, said = run.communicate(timeout=DEADLINE_S)
        finally:
            run.kill()
    assert run.returncode == 130, said
    assert "DROP" not in said


@contextmanager
def restoring(bench: Workbench, into: str) -> Iterator[subprocess.Popen[str]]:
    run = bench.start("backup", "restore", "latest", "--into", into)
    try:
        yield run
    finally:
        run.kill()


def at_work(server: Server, name: str) -> bool:
    query = "select exists (select from pg_stat_activity where datname = %s and query like 'COPY%%players%%')"
    return asked(server, query, name) is True


def waiting(server: Server, name: str) -> bool:
    query = "select exists (select from pg_stat_activity where datname = %s and wait_event_type = 'Lock')"
    return asked(server, query, name) is True


def comment(server: Server, name: str) -> object:
    query = "select shobj_description(oid, 'pg_database') from pg_database where datname = %s"
    return asked(server, query, name)


def asked(server: Server, query: LiteralString, name: str) -> object:
    with connect(server.url(), autocommit=True) as conn:
        row = conn.execute(query, (name,)).fetchone()
    return row[0] if row else None

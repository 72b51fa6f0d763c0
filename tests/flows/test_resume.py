"""What `resume` finishes by itself, what it leaves to a person, and what it never loses."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection
from standing import assert_tidy, passed, statement_log, wait_until
from workbench import Workbench

from handrail.engines.base import Purpose, for_url

_KILLED = -signal.SIGKILL

_USERS = """
op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
op.create_table("passed", sa.Column("place", sa.String(20)))
"""
_UNIQUE = """
op.execute("insert into passed (place) values ('before')")
with op.get_context().autocommit_block():
    op.create_index("users_name", "users", ["name"], unique=True, postgresql_concurrently=True)
op.execute("insert into passed (place) values ('after')")
"""
_DATA_IN_A_BLOCK = """
op.execute("insert into passed (place) values ('before')")
with op.get_context().autocommit_block():
    op.execute("insert into passed (place) values ('in the block')")
op.execute("insert into passed (place) values ('after')")
"""


@contextmanager
def older_transaction(bench: Workbench) -> Iterator[Connection]:
    """A transaction that has read `users` and does not end: CREATE INDEX CONCURRENTLY waits for it."""
    with for_url(bench.url).connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("begin isolation level repeatable read")
        conn.exec_driver_sql("select count(*) from users")
        yield conn
        conn.exec_driver_sql("rollback")


def builds(bench: Workbench) -> list[int]:
    """The sessions that build an index and wait for somebody."""
    return [pid for (pid,) in bench.rows("select pid from pg_stat_progress_create_index where current_locker_pid <> 0")]


def users(bench: Workbench, second: str = _UNIQUE) -> Workbench:
    bench.revision("aaa1", None, _USERS)
    assert bench.run("apply", "--yes").returncode == 0
    bench.execute("insert into users (id, name) values (1, 'ada'), (2, 'bob')")
    bench.revision("aaa2", "aaa1", second)
    return bench


def assert_done(bench: Workbench, places: list[str]) -> None:
    assert bench.rows("select version_num from alembic_version") == [("aaa2",)]
    assert passed(bench) == places
    log = bench.json("log")
    assert [e["revision"] for e in log["entries"]] == ["aaa2", "aaa1"]
    assert log["broken"] == ""
    assert_tidy(bench)


def test_a_run_killed_while_it_waits_in_concurrently_is_resumed_with_the_index_built_again(pg_bench: Workbench) -> None:
    bench = users(pg_bench)
    with older_transaction(bench):
        run = bench.start("apply", "--yes")
        wait_until(lambda: builds(bench), "the index build waits for the older transaction")
        run.kill()
        run.communicate()
        looked = bench.run("status")
        assert looked.returncode == 5
        assert "in flight: CREATE UNIQUE INDEX CONCURRENTLY users_name" in looked.stdout
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_done(bench, ["after", "before"])


@pytest.mark.slow
def test_the_session_of_a_killed_run_that_lives_on_is_ended_before_its_work_is_looked_at(pg_bench: Workbench) -> None:
    bench = users(pg_bench)
    with older_transaction(bench) as older:
        run = bench.start("apply", "--yes")
        wait_until(lambda: builds(bench), "the index build waits for the older transaction")
        left_behind = builds(bench)[0]
        run.kill()
        run.communicate()
        going_on = bench.start("resume", "--yes")
        gone = f"select pid from pg_stat_activity where pid = {left_behind}"
        wait_until(lambda: not bench.rows(gone), "the session of the killed run ends")
        older.exec_driver_sql("rollback")
        older.exec_driver_sql("begin")
        _, told = going_on.communicate(timeout=60)
    assert going_on.returncode == 0, told
    assert_done(bench, ["after", "before"])


@pytest.mark.slow
def test_what_a_killed_run_had_sent_and_the_server_finished_is_not_sent_again(bench: Workbench) -> None:
    users(bench)
    assert bench.die_at("StatementStarted", 2, "apply", "--yes").returncode == _KILLED
    assert statement_log(bench)[-1][3] == "intent"
    bench.execute("create unique index users_name on users (name)")  # as if it had reached the server
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert "done by the interrupted run: CREATE UNIQUE INDEX" in resumed.stderr
    assert_done(bench, ["after", "before"])


def test_a_concurrent_index_that_fails_on_duplicates_leaves_no_invalid_one_and_is_resumed(pg_bench: Workbench) -> None:
    bench = users(pg_bench)
    bench.execute("insert into users (id, name) values (3, 'ada')")
    failed = bench.run("apply", "--yes")
    assert failed.returncode == 5, failed.stderr
    assert "UniqueViolation" in failed.stderr
    assert "1 of its statements are committed" in failed.stderr
    assert "handrail resume -e main" in failed.stderr
    assert bench.rows("select indexrelid::regclass::text from pg_index where not indisvalid") == []
    still = bench.run("resume", "--yes")
    assert still.returncode == 5, still.stderr
    bench.execute("delete from users where id = 3")
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_done(bench, ["after", "before"])


@pytest.mark.slow
@pytest.mark.parametrize(("function", "status"), [("pg_cancel_backend", 5), ("pg_terminate_backend", 7)])
def test_a_concurrent_index_that_is_cancelled_or_cut_off_is_resumed(
    pg_bench: Workbench, function: str, status: int
) -> None:
    bench = users(pg_bench)
    with older_transaction(bench) as older:
        run = bench.start("apply", "--yes")
        wait_until(lambda: builds(bench), "the index build waits for the older transaction")
        bench.rows(f"select {function}({builds(bench)[0]})")
        if status == 5:  # the leftover can be dropped only when the older transaction has ended
            older.exec_driver_sql("rollback")
            older.exec_driver_sql("begin")
        _, told = run.communicate(timeout=60)
        assert run.returncode == status, told
    assert bench.run("status").returncode == 5
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_done(bench, ["after", "before"])


@pytest.mark.slow
def test_two_signals_end_a_concurrent_build_at_once_and_resume_builds_it_again(pg_bench: Workbench) -> None:
    bench = users(pg_bench)
    with older_transaction(bench):
        run = bench.start("apply", "--yes")
        wait_until(lambda: builds(bench), "the index build waits for the older transaction")
        run.send_signal(signal.SIGINT)
        assert run.stderr is not None
        while "once more to stop now" not in run.stderr.readline():
            assert run.poll() is None
        run.send_signal(signal.SIGINT)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 130, told
    assert "handrail status -e main says where the database stands" in told
    assert bench.run("status").returncode == 5
    assert bench.run("resume", "--yes").returncode == 0
    assert_done(bench, ["after", "before"])


@pytest.mark.slow
def test_a_leftover_that_cannot_be_dropped_yet_is_dropped_by_resume(pg_bench: Workbench) -> None:
    bench = users(pg_bench)
    with older_transaction(bench):
        run = bench.start("apply", "--yes")
        wait_until(lambda: builds(bench), "the index build waits for the older transaction")
        bench.rows(f"select pg_cancel_backend({builds(bench)[0]})")
        _, told = run.communicate(timeout=60)
        assert run.returncode == 5, told
        assert "a bug in Handrail" not in told
    assert bench.run("resume", "--yes").returncode == 0
    assert_done(bench, ["after", "before"])


def test_data_in_flight_outside_a_transaction_is_left_to_a_person_with_a_command_for_each_case(
    bench: Workbench,
) -> None:
    users(bench, _DATA_IN_A_BLOCK)
    assert bench.die_at("StatementStarted", 2, "apply", "--yes").returncode == _KILLED
    refused = bench.run("resume", "--yes")
    assert refused.returncode == 5
    assert "the catalogue does not tell whether it took effect" in refused.stderr
    commands = re.findall(r"- (.*): (handrail .*|alembic .*)", refused.stderr)
    assert [command for _, command in commands] == [
        "handrail resume -e main --settle landed",
        "handrail resume -e main --settle lost",
        "alembic stamp aaa2, then handrail status",
        "handrail resume -e main --settle undone",
    ]
    resumed = bench.run("resume", "--settle", "lost", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_done(bench, ["after", "before", "in the block"])


@pytest.mark.slow
def test_a_person_can_say_that_the_statement_in_flight_has_landed(bench: Workbench) -> None:
    users(bench, _DATA_IN_A_BLOCK)
    assert bench.die_at("StatementStarted", 2, "apply", "--yes").returncode == _KILLED
    bench.execute("insert into passed (place) values ('in the block')")
    assert bench.run("resume", "--settle", "landed", "--yes").returncode == 0
    assert_done(bench, ["after", "before", "in the block"])


@pytest.mark.slow
def test_a_person_can_say_that_the_revision_was_undone_by_hand(bench: Workbench) -> None:
    users(bench, _DATA_IN_A_BLOCK)
    assert bench.die_at("StatementDone", 2, "apply", "--yes").returncode == _KILLED
    bench.execute("delete from passed")
    assert bench.run("resume", "--settle", "undone", "--yes").returncode == 0
    assert_done(bench, ["after", "before", "in the block"])


@pytest.mark.slow
def test_a_revision_finished_by_hand_and_stamped_stands_half_applied_no_more(bench: Workbench) -> None:
    users(bench, _DATA_IN_A_BLOCK)
    assert bench.die_at("StatementDone", 2, "apply", "--yes").returncode == _KILLED
    bench.execute(
        "insert into passed (place) values ('after')", "update alembic_version set version_num = 'aaa2'"
    )  # as `alembic stamp` does
    assert bench.run("status").returncode == 0
    bench.revision("aaa3", "aaa2", "pass")
    assert bench.run("apply", "--yes").returncode == 0
    assert passed(bench) == ["after", "before", "in the block"]
    assert_tidy(bench)


def test_a_data_dependent_revision_is_not_finished_by_itself(bench: Workbench) -> None:
    users(bench, f"op.get_bind().execute(sa.text('select count(*) from users')).scalar()\n{_UNIQUE}")
    assert bench.die_at("StatementDone", 3, "apply", "--yes").returncode == _KILLED
    assert bench.run("status").returncode == 5
    refused = bench.run("resume", "--yes")
    assert refused.returncode == 5
    assert "it reads the database" in refused.stderr
    assert "alembic stamp aaa2" in refused.stderr
    assert "--settle undone" in refused.stderr
    assert "--settle lost" not in refused.stderr
    assert passed(bench) == ["before"]


def test_a_revision_whose_file_has_changed_is_finished_when_the_file_is_back(bench: Workbench) -> None:
    users(bench)
    path = bench.versions / "aaa2_step.py"
    begun = path.read_text()
    assert bench.die_at("StatementDone", 2, "apply", "--yes").returncode == _KILLED
    path.write_text(begun.replace("'after'", "'later'"))
    refused = bench.run("resume", "--yes")
    assert refused.returncode == 5
    assert "its file has changed since" in refused.stderr
    assert "bring the file back as it was" in refused.stderr
    path.write_text(begun)
    assert bench.run("resume", "--yes").returncode == 0
    assert_done(bench, ["after", "before"])


@pytest.mark.slow
def test_the_first_revision_of_all_is_resumed_though_it_made_the_version_table(bench: Workbench) -> None:
    bench.revision("aaa1", None, f"{_USERS}{_UNIQUE}")
    assert bench.die_at("StatementDone", 5, "apply", "--yes").returncode == _KILLED
    assert bench.run("status").returncode == 5
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert passed(bench) == ["after", "before"]
    assert_tidy(bench)


_PARENT_AND_CHILD = """
op.execute("create table parent (id integer primary key, name varchar(20))")
op.execute("create table child (id integer primary key, parent_id integer references parent (id) on delete cascade)")
op.execute("insert into parent values (1, 'ada'), (2, 'bob')")
op.execute("insert into child values (1, 1), (2, 1), (3, 2)")
"""
_RECREATE = """
with op.batch_alter_table("parent", recreate="always") as batch:
    batch.alter_column("name", nullable=False, existing_type=sa.String(20))
"""
_RECREATE_IN_SEVERAL = f"""
{_RECREATE}
with op.get_context().autocommit_block():
    op.create_index("parent_name", "parent", ["name"])
with op.batch_alter_table("parent", recreate="always") as batch:
    batch.alter_column("name", type_=sa.String(40), existing_type=sa.String(20), existing_nullable=False)
"""
_LISTENER = """
from sqlalchemy import Engine, event
@event.listens_for(Engine, "connect")
def _pragma(connection, _record):
    connection.execute("pragma foreign_keys = {setting}")
"""


@pytest.mark.parametrize(
    "kill",
    [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (4, 6, 7))],
    ids=lambda n: f"killed at statement {n}" if n else "whole",
)
@pytest.mark.parametrize("setting", ["on", "off"])
def test_no_child_row_is_lost_when_sqlite_recreates_the_parent(lite_bench: Workbench, setting: str, kill: int) -> None:
    bench = lite_bench
    env_py = bench.root / "migrations" / "env.py"
    env_py.write_text(_LISTENER.format(setting=setting) + env_py.read_text())
    bench.revision("aaa1", None, _PARENT_AND_CHILD)
    assert bench.run("apply", "--yes").returncode == 0
    bench.revision("aaa2", "aaa1", _RECREATE_IN_SEVERAL)
    if kill:
        assert bench.die_at("StatementDone", kill, "apply", "--yes").returncode == _KILLED
        assert bench.rows("select id, parent_id from child order by id") == [(1, 1), (2, 1), (3, 2)]
        done = bench.run("resume", "--yes")
    else:
        done = bench.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.rows("select id, parent_id from child order by id") == [(1, 1), (2, 1), (3, 2)]
    assert bench.rows("select id, name from parent order by id") == [(1, "ada"), (2, "bob")]
    assert "VARCHAR(40)" in bench.rows("select sql from sqlite_master where name = 'parent'")[0][0]
    assert bench.rows("select version_num from alembic_version") == [("aaa2",)]
    assert_tidy(bench)

"""What stands after a run that did not end is kept, whoever comes by afterwards, until `resume` has finished it."""

from __future__ import annotations

import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection
from standing import assert_tidy, passed, sessions, statement_log, wait_until
from workbench import Workbench

from handrail.engines.base import Purpose, for_url
from handrail.errors import ConnectionLost
from handrail.flows import apply
from handrail.flows.apply import ApplyRequest
from handrail.flows.ports import project_ports, target_ports
from handrail.model.run import Event, Progressed

_KILLED = -signal.SIGKILL
_PASSED = 'op.create_table("passed", sa.Column("place", sa.String(20)))'
_IN_TWO = """
op.execute("insert into passed (place) values ('before')")
with op.get_context().autocommit_block():
    op.create_index("passed_place", "passed", ["place"])
op.execute("insert into passed (place) values ('after')")
"""
_UNDONE = """
with op.get_context().autocommit_block():
    op.drop_index("passed_place", table_name="passed")
op.execute("delete from passed")
"""


@contextmanager
def lease_taken(bench: Workbench) -> Iterator[None]:
    """The lease is in other hands meanwhile."""
    engine = for_url(bench.url)
    with engine.connect(Purpose.STATE) as conn:
        assert engine.locks.try_lease(conn)
        yield
        engine.locks.release_lease(conn)


def half_applied(bench: Workbench) -> Workbench:
    """The third of four revisions was interrupted between its transactions, on the way to the fourth."""
    bench.revision("aaa1", None, _PASSED, 'op.drop_table("passed")')
    bench.revision("aaa2", "aaa1", 'op.create_table("kept", sa.Column("id", sa.Integer))', 'op.drop_table("kept")')
    assert bench.run("apply", "--yes").returncode == 0
    bench.revision("aaa3", "aaa2", _IN_TWO, _UNDONE)
    bench.revision("aaa4", "aaa3", "op.execute(\"insert into passed (place) values ('last')\")")
    assert bench.die_at("StatementDone", 2, "apply", "--yes").returncode == _KILLED
    assert statement_log(bench)
    return bench


def assert_finished(bench: Workbench) -> None:
    assert bench.rows("select version_num from alembic_version") == [("aaa4",)]
    assert bench.rows("select count(*) from kept") == [(0,)]
    assert passed(bench) == ["after", "before", "last"]
    assert_tidy(bench)


def lease_table(bench: Workbench) -> str:
    return "handrail_lease" if bench.url.startswith("sqlite") else "handrail.lease"


def waits_for_the_lease(run: subprocess.Popen[str]) -> None:
    assert run.stderr is not None
    while "waiting for the lease" not in (line := run.stderr.readline()):
        assert line, "it ended"


def test_a_rollback_that_is_refused_when_it_gets_the_lease_leaves_the_goal_of_the_interrupted_run(
    bench: Workbench,
) -> None:
    half_applied(bench)
    with lease_taken(bench):
        rollback = bench.start("rollback", "aaa1", "--yes")
        waits_for_the_lease(rollback)
    _, told = rollback.communicate(timeout=60)
    assert rollback.returncode == 5, told
    assert "handrail resume -e main" in told
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_finished(bench)


def test_a_run_that_finds_nothing_to_do_does_not_end_one_that_was_interrupted_at_a_safe_point(bench: Workbench) -> None:
    bench.revision("aaa1", None, _PASSED)
    bench.revision("aaa2", "aaa1", "pass")
    assert bench.die_at("Committed", 1, "apply", "--yes").returncode == _KILLED
    with lease_taken(bench):
        other = bench.start("rollback", "base", "--yes")
        waits_for_the_lease(other)
        bench.execute("delete from alembic_version")
    _, told = other.communicate(timeout=60)
    assert "was interrupted at base, on its way to aaa2" in bench.run("status").stdout, told


def test_status_tells_a_run_that_was_cut_off_from_one_that_is_at_work(bench: Workbench) -> None:
    bench.revision("aaa1", None, 'op.create_table("a", sa.Column("id", sa.Integer))')
    bench.revision("aaa2", "aaa1", 'op.create_table("b", sa.Column("id", sa.Integer))')
    bench.die_at("Committed", 1, "apply", "--yes")
    told = bench.run("status").stdout
    assert "last run  apply was cut off, " in told
    assert bench.json("status")["status"]["environments"][0]["cut_off"] is True
    assert "next      handrail resume -e main" in told
    assert bench.run("resume", "--yes").returncode == 0
    bench.execute("drop table b", "drop table a", "delete from alembic_version")
    bench.die_at("LeaseTaken", 1, "apply", "--yes")
    assert "was cut off" in bench.run("status").stdout


def test_a_rebound_environment_can_still_be_resumed(bench: Workbench) -> None:
    half_applied(bench)
    assert bench.run("status", "--rebind", "main").returncode == 5
    refused = bench.run("apply", "--yes")
    assert refused.returncode == 5
    assert "handrail resume -e main" in refused.stderr
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_finished(bench)


def test_what_a_person_found_out_is_written_down_after_the_environment_was_rebound(bench: Workbench) -> None:
    half_applied(bench)
    assert bench.run("status", "--rebind", "main").returncode == 5
    bench.execute("drop index passed_place", "delete from passed")
    resumed = bench.run("resume", "--settle", "undone", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_finished(bench)


@pytest.mark.parametrize("goal", ["aaa1", "aaa2"])
def test_a_half_applied_revision_is_finished_first_whatever_goal_was_written_over_its_own(
    bench: Workbench, goal: str
) -> None:
    half_applied(bench)
    bench.execute(f"update {lease_table(bench)} set goal = '[\"{goal}\"]', command = 'rollback', state = 'released'")
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert "nothing to resume" not in resumed.stdout
    assert bench.rows("select version_num from alembic_version") == [("aaa3",)]
    assert passed(bench) == ["after", "before"]
    assert bench.run("apply", "--yes").returncode == 0
    assert_finished(bench)


def test_a_run_that_meets_what_nobody_foresaw_is_not_said_to_go_on(bench: Workbench) -> None:
    bench.revision("aaa1", None, _PASSED)
    assert bench.run("apply", "--yes").returncode == 0
    bench.revision("aaa2", "aaa1", "pass")
    with lease_taken(bench):
        run = bench.start("apply", "--yes")
        waits_for_the_lease(run)
        bench.execute(f"alter table {lease_table(bench)} rename column state to its_state")
    _, told = run.communicate(timeout=60)
    assert run.returncode != 0, told
    last = bench.json("status", "--offline")["status"]["environments"][0]["last_run"]
    assert last["state"] == "failed"
    assert "state" in last["message"]


_USERS = 'op.create_table("users", sa.Column("id", sa.Integer), sa.Column("name", sa.String(20)))'
_CONCURRENTLY = """
with op.get_context().autocommit_block():
    op.create_index("users_name", "users", ["name"], postgresql_concurrently=True)
"""


@contextmanager
def older_transaction(bench: Workbench) -> Iterator[Connection]:
    with bench.database() as conn:
        conn.exec_driver_sql("begin isolation level repeatable read")
        conn.exec_driver_sql("select count(*) from users")
        yield conn
        conn.exec_driver_sql("rollback")


def test_nobody_looks_at_a_statement_any_more_when_its_connection_is_lost(
    pg_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = pg_bench
    bench.revision("aaa1", None, _USERS)
    assert bench.run("apply", "--yes").returncode == 0
    bench.revision("aaa2", "aaa1", _CONCURRENTLY)
    monkeypatch.setenv("HANDRAIL_TEST_URL", bench.url)
    told: list[Event] = []
    project = project_ports(Path(bench.root))
    ports = target_ports(project, project.settings.environment("main"), emit=told.append)

    def waits_for_somebody() -> bool:
        return any(isinstance(event, Progressed) and event.blockers for event in told)

    def cut() -> None:
        wait_until(waits_for_somebody, "the build tells whom it waits for")
        bench.rows("select pg_terminate_backend(pid) from pg_stat_progress_create_index")

    with older_transaction(bench):
        cutter = threading.Thread(target=cut)
        cutter.start()
        with pytest.raises(ConnectionLost):
            apply.apply(ports, ApplyRequest(), lambda _plan: None)
        assert "handrail-progress" not in [t.name for t in threading.enumerate()]
        cutter.join()
        wait_until(lambda: not sessions(bench), "every session of the run has ended")

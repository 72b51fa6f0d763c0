"""Runs are killed at every event, on both engines; whatever stands then, `resume` finishes it, each revision once."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from standing import assert_tidy, passed, statement_log
from workbench import Workbench

_KILLED = -signal.SIGKILL

# Each row of `passed` tells that a place was passed and committed. Statements 1 to 4, with Alembic's own.
_FIRST = """
op.create_table("passed", sa.Column("place", sa.String(20)))
op.execute("insert into passed (place) values ('first')")
"""
# Statements 5 and 6 are one transaction, 7 and 8 one each, 9 and 10 (the version row) one.
_SEVERAL = """
op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
op.execute("insert into passed (place) values ('before')")
with op.get_context().autocommit_block():
    op.create_index("users_name", "users", ["name"], **CONCURRENTLY)
    op.create_index("users_both", "users", ["id", "name"], **CONCURRENTLY)
op.execute("insert into passed (place) values ('after')")
"""
_SEVERAL_BACK = """
op.execute("delete from passed where place = 'after'")
with op.get_context().autocommit_block():
    op.drop_index("users_both", "users", **CONCURRENTLY)
    op.drop_index("users_name", "users", **CONCURRENTLY)
op.execute("delete from passed where place = 'before'")
op.drop_table("users")
"""
# Statements 11 to 13.
_LAST = """
op.add_column("users", sa.Column("email", sa.String(50)))
op.execute("insert into passed (place) values ('last')")
"""
_LAST_BACK = """
op.execute("delete from passed where place = 'last'")
op.drop_column("users", "email")
"""


def write(bench: Workbench) -> Workbench:
    """Three revisions, the middle one of several transactions."""
    option = 'dict(postgresql_concurrently=True) if op.get_bind().dialect.name == "postgresql" else {}'
    several, back = (f"CONCURRENTLY = {option}\n{body}" for body in (_SEVERAL, _SEVERAL_BACK))
    bench.revision("aaa1", None, _FIRST, 'op.drop_table("passed")')
    bench.revision("aaa2", "aaa1", several, back)
    bench.revision("aaa3", "aaa2", _LAST, _LAST_BACK)
    return bench


def assert_complete(bench: Workbench) -> None:
    """Everything is applied, once, and nothing of the crash is left."""
    assert bench.rows("select version_num from alembic_version") == [("aaa3",)]
    assert passed(bench) == ["after", "before", "first", "last"]
    log = bench.json("log")
    assert [e["revision"] for e in log["entries"]] == ["aaa3", "aaa2", "aaa1"]
    assert log["broken"] == ""
    assert_tidy(bench)


def assert_status_tells_where_it_stands(bench: Workbench, command: str) -> bool:
    """Look at what `status` says after a crash; return whether there is anything to resume."""
    looked = bench.run("status")
    records = statement_log(bench)
    assert looked.returncode == (5 if records else 0), looked.stdout + looked.stderr
    if records:
        assert "revision aaa2 stands half applied: run " in looked.stdout
        in_flight = [r for r in records if r[3] == "intent"]
        assert ("in flight: " in looked.stdout) is bool(in_flight)
        assert "next      handrail resume -e main" in looked.stdout
        refused = bench.run(*command.split(), "--yes")
        assert refused.returncode == 5, refused.stderr
        assert "fix: handrail resume -e main" in refused.stderr
        return True
    if "was interrupted at" in looked.stdout:
        assert "nothing is half applied" in looked.stdout
        assert "next      handrail resume -e main" in looked.stdout
        return True
    return False


def _points(*, quick: bool) -> list[Any]:
    """Return every event of the run by name and number.

    A statement begins where the one before is done, but for the first of each revision and those of the block.
    """
    numbers = {"Planned": [1], "LeaseTaken": [1], "StepStarted": [1, 2, 3], "StatementStarted": [1, 5, 7, 8, 9, 11]}
    numbers |= {"StatementDone": [*range(1, 14)], "Committing": [1, 2, 3], "Committed": [1, 2, 3], "VerifyStarted": [1]}
    few = {("LeaseTaken", 1), ("StatementDone", 6), ("StatementStarted", 8), ("Committing", 2), ("Committed", 2)}
    return [
        pytest.param(event, nth, id=f"{event}-{nth}")
        for event, counted in numbers.items()
        for nth in counted
        if ((event, nth) in few) is quick
    ]


def killed_and_resumed(bench: Workbench, event: str, nth: int) -> None:
    write(bench)
    died = bench.die_at(event, nth, "apply", "--yes", "--verify-after")
    assert died.returncode == _KILLED, died.stderr
    if assert_status_tells_where_it_stands(bench, "apply"):
        resumed = bench.run("resume", "--yes")
        assert resumed.returncode == 0, resumed.stderr
    else:  # nothing was begun, or all is done
        assert bench.run("resume", "--yes").stdout == "nothing to resume on main\n"
        assert bench.run("apply", "--yes").returncode == 0
    assert_complete(bench)


@pytest.mark.parametrize(("event", "nth"), _points(quick=True))
def test_a_run_killed_at_a_chosen_event_is_resumed_each_revision_once(bench: Workbench, event: str, nth: int) -> None:
    killed_and_resumed(bench, event, nth)


@pytest.mark.slow
@pytest.mark.parametrize(("event", "nth"), _points(quick=False))
def test_a_run_killed_at_any_event_is_resumed_each_revision_once(bench: Workbench, event: str, nth: int) -> None:
    killed_and_resumed(bench, event, nth)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("event", "nth"),
    [
        ("StatementDone", 2),
        ("Committed", 1),
        ("StatementDone", 4),
        ("StatementStarted", 5),
        ("StatementDone", 6),
        ("Committing", 2),
        ("StatementDone", 11),
    ],
)  # fmt: skip - a list of places
def test_a_rollback_killed_anywhere_is_resumed_to_its_goal(bench: Workbench, event: str, nth: int) -> None:
    write(bench)
    assert bench.run("apply", "--yes").returncode == 0
    assert bench.die_at(event, nth, "rollback", "base", "--yes").returncode == _KILLED
    assert assert_status_tells_where_it_stands(bench, "rollback base")
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert bench.rows("select version_num from alembic_version") == []
    log = bench.json("log")
    assert [e["revision"] for e in log["entries"]] == ["aaa1", "aaa2", "aaa3", "aaa3", "aaa2", "aaa1"]
    assert log["broken"] == ""
    assert_tidy(bench)


@pytest.mark.slow
@pytest.mark.parametrize(("event", "nth"), [("LeaseTaken", 1), ("StatementSkipped", 2), ("StatementDone", 2)])
def test_a_resume_that_is_killed_is_resumed_itself(bench: Workbench, event: str, nth: int) -> None:
    write(bench)
    assert bench.die_at("StatementDone", 7, "apply", "--yes").returncode == _KILLED
    assert bench.die_at(event, nth, "resume", "--yes").returncode == _KILLED
    assert assert_status_tells_where_it_stands(bench, "apply")
    resumed = bench.run("resume", "--yes")
    assert resumed.returncode == 0, resumed.stderr
    assert_complete(bench)


@pytest.mark.slow
def test_the_resume_of_a_rollback_that_is_killed_still_goes_back(bench: Workbench) -> None:
    write(bench)
    assert bench.run("apply", "--yes").returncode == 0
    assert bench.die_at("StatementDone", 6, "rollback", "aaa1", "--yes").returncode == _KILLED
    assert bench.die_at("LeaseTaken", 1, "resume", "--yes").returncode == _KILLED
    assert bench.run("resume", "--yes").returncode == 0
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]
    assert passed(bench) == ["first"]
    assert_tidy(bench)

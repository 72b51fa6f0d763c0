"""Runs are killed at every event, on both engines; whatever stands then, `resume` finishes it, each revision once."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from workbench import Workbench

_KILLED = -signal.SIGKILL

#: One row for each time that a place in a revision was passed for good.
_PASSED = 'op.execute("insert into passed (place) values ({place!r})")'

# Statements that count, with Alembic's own: version table, 2; version row.
_FIRST = """
op.create_table("passed", sa.Column("place", sa.String(20)))
op.execute("insert into passed (place) values ('first')")
"""
# 2 in a transaction, 2 in a block of their own, 1 in the last transaction; version row.
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
_LAST = """
op.add_column("users", sa.Column("email", sa.String(50)))
op.execute("insert into passed (place) values ('last')")
"""
_LAST_BACK = """
op.execute("delete from passed where place = 'last'")
op.drop_column("users", "email")
"""
_ALL = ["after", "before", "first", "last"]


def write(bench: Workbench) -> Workbench:
    """Three revisions, the middle one of several transactions."""
    option = 'dict(postgresql_concurrently=True) if op.get_bind().dialect.name == "postgresql" else {}'
    several, back = (f"CONCURRENTLY = {option}\n{body}" for body in (_SEVERAL, _SEVERAL_BACK))
    bench.revision("aaa1", None, _FIRST, 'op.drop_table("passed")')
    bench.revision("aaa2", "aaa1", several, back)
    bench.revision("aaa3", "aaa2", _LAST, _LAST_BACK)
    return bench


def assert_half_applied_is_told(bench: Workbench, *, command: str) -> bool:
    """Look at what `status` says after a crash; return whether it says that a revision stands half applied."""
    looked = bench.run("status")
    half_applied = bool(statement_log(bench))
    assert looked.returncode == (5 if half_applied else 0), looked.stdout + looked.stderr
    if half_applied:
        assert "stands half applied: run " in looked.stdout
        assert "next      handrail resume -e main" in looked.stdout
        refused = bench.run(command, *(["base"] if command == "rollback" else []), "--yes")
        assert refused.returncode == 5, refused.stderr
        assert "handrail resume -e main" in refused.stderr
    elif "was interrupted at" in looked.stdout:
        assert "nothing is half applied" in looked.stdout
        assert "next      handrail resume -e main" in looked.stdout
    return half_applied


def assert_complete(bench: Workbench) -> None:
    """Everything is applied, once, and nothing of the crash is left."""
    assert bench.rows("select version_num from alembic_version") == [("aaa3",)]
    assert [place for (place,) in bench.rows("select place from passed order by place")] == _ALL
    log = bench.json("log")
    assert [e["revision"] for e in log["entries"]] == ["aaa3", "aaa2", "aaa1"]
    assert log["broken"] == ""
    assert_tidy(bench)


def assert_tidy(bench: Workbench) -> None:
    """No session, lock or file of ours, no statement in flight, no index that cannot be used."""
    assert statement_log(bench) == []
    if bench.url.startswith("sqlite"):
        file = Path(bench.url.removeprefix("sqlite:///"))
        assert [p.name for p in file.parent.glob(f"{file.name}*")] == [file.name]
        assert bench.rows("pragma integrity_check") == [("ok",)]
        return
    assert bench.rows("select indexrelid::regclass::text from pg_index where not indisvalid") == []
    ours = "application_name like 'handrail:%' and datname = current_database()"
    assert bench.rows(f"select pid, query from pg_stat_activity where {ours}") == []
    held = "database = (select oid from pg_database where datname = current_database()) and locktype = 'advisory'"
    assert bench.rows(f"select pid from pg_locks where {held}") == []


def statement_log(bench: Workbench) -> list[tuple[object, ...]]:
    """What is known of statements of revisions that are not complete."""
    if bench.url.startswith("sqlite"):
        there = bench.rows("select name from sqlite_master where name = 'handrail_statement_log'")
        name = "handrail_statement_log"
    else:
        there = bench.rows("select 1 where to_regclass('handrail.statement_log') is not null")
        name = "handrail.statement_log"
    return bench.rows(f"select revision, direction, ordinal, state from {name}") if there else []


def _points(*, quick: bool) -> Iterator[object]:
    """Every event of the run, by name and number; the first few revisions' worth of each."""
    counted = {"Planned": 1, "LeaseTaken": 1, "StepStarted": 3, "StatementStarted": 17, "StatementDone": 17}
    counted |= {"Committing": 3, "Committed": 3, "VerifyStarted": 1}
    chosen = {("LeaseTaken", 1), ("StatementDone", 6), ("StatementStarted", 8), ("Committing", 2), ("Committed", 2)}
    for event, count in counted.items():
        for nth in range(1, count + 1):
            if ((event, nth) in chosen) is quick:
                yield pytest.param(event, nth, id=f"{event}-{nth}")

"""What stands in a database after a run, or after its end."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from workbench import Workbench

_DEADLINE_S = 20.0


def wait_until(condition: Callable[[], object], what: str) -> None:
    """Look again and again until the condition holds; fail after a while."""
    ends = time.monotonic() + _DEADLINE_S
    while not condition():
        assert time.monotonic() < ends, f"not within {_DEADLINE_S:.0f} s: {what}"
        time.sleep(0.02)


def passed(bench: Workbench) -> list[str]:
    """The rows that revisions have written, sorted."""
    return [place for (place,) in bench.rows("select place from passed order by place")]


def statement_log(bench: Workbench) -> list[tuple[Any, ...]]:
    """Revision, direction, ordinal and state of each statement of revisions that are not complete."""
    on_sqlite = bench.url.startswith("sqlite")
    name = "handrail_statement_log" if on_sqlite else "handrail.statement_log"
    there = f"select name from sqlite_master where name = '{name}'" if on_sqlite else f"select to_regclass('{name}')"
    if bench.rows(there) in ([], [(None,)]):
        return []
    return bench.rows(f"select revision, direction, ordinal, state from {name} order by ordinal")


def assert_tidy(bench: Workbench) -> None:
    """No session, lock or file of ours is left, no statement in flight, no index that cannot be used."""
    assert statement_log(bench) == []
    if bench.url.startswith("sqlite"):
        file = Path(bench.url.removeprefix("sqlite:///"))
        beside = [p for p in file.parent.glob(f"{file.name}*") if p != file]
        assert not any(_means_something(p) for p in beside), beside
        assert bench.rows("pragma integrity_check") == [("ok",)]
        assert bench.rows("pragma foreign_key_check") == []
        return
    assert bench.rows("select indexrelid::regclass::text from pg_index where not indisvalid") == []
    wait_until(lambda: not sessions(bench), "the sessions of our runs end")
    assert bench.rows("select pid from pg_locks where locktype = 'advisory'") == []


def _means_something(beside: Path) -> bool:
    """Whether it is more than the lease file of a killed run after which no run came: an empty file nobody locks."""
    if not beside.name.endswith("-handrail-lease") or beside.stat().st_size:
        return True
    with beside.open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def sessions(bench: Workbench) -> list[tuple[Any, ...]]:
    """The sessions of our runs on this database; the server ends them a moment after their process."""
    return bench.rows(
        "select pid, query from pg_stat_activity where starts_with(application_name, 'handrail:') "
        "and datname = current_database()"
    )

"""Who holds SQLite's lock, the lease, and what speaks against migrating."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Connection, make_url
from wanted import wanted

from handrail.engines.base import Engine, Purpose, for_url

WRITER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("begin immediate")
print("holding", flush=True)
sys.stdin.read()
"""
LEASEHOLDER = """
import sys
from handrail.engines.base import Purpose, for_url
engine = for_url(sys.argv[1])
with engine.connect(Purpose.STATE) as conn:
    print("holding" if engine.locks.try_lease(conn) else "refused", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def engine(sqlite_url: str) -> Engine:
    return for_url(sqlite_url)


@pytest.fixture
def file(sqlite_url: str) -> Path:
    return Path(str(make_url(sqlite_url).database))


@pytest.fixture
def state(engine: Engine) -> Iterator[Connection]:
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("create table users (id)")
        yield conn


@contextmanager
def process(program: str, argument: str) -> Iterator[subprocess.Popen[str]]:
    """A process that has said what it holds, and holds it until it is killed or the block ends."""
    command = [sys.executable, "-c", program, argument]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "holding\n"
        try:
            yield child
        finally:
            child.kill()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
@pytest.mark.parametrize("purpose", [Purpose.STATE, Purpose.READ])
def test_the_writer_is_named_by_its_process(
    engine: Engine, state: Connection, file: Path, journal_mode: str, purpose: Purpose
) -> None:
    state.exec_driver_sql(f"pragma journal_mode = {journal_mode}")
    with process(WRITER, str(file)) as writer, engine.connect(purpose) as conn:
        (blocker,) = engine.locks.blockers(conn, wanted("users"), older_than_s=0.0)
        assert blocker.pid == writer.pid
        assert file.name in blocker.describe()
        assert engine.locks.waiting_on(conn, os.getpid()) == ()


def test_a_reader_blocks_nobody(engine: Engine, state: Connection) -> None:
    with engine.connect(Purpose.READ) as reader:
        reader.exec_driver_sql("select * from users").all()
        assert engine.locks.blockers(state, wanted("*"), older_than_s=0.0) == ()


def test_looking_for_blockers_leaves_the_file_as_it_is(engine: Engine, state: Connection, file: Path) -> None:
    before = {place.name: place.read_bytes() for place in file.parent.iterdir()}
    engine.locks.blockers(state, wanted("*"), older_than_s=0.0)
    assert {place.name: place.read_bytes() for place in file.parent.iterdir()} == before


def test_the_lease_of_a_killed_process_is_free_at_once(engine: Engine, state: Connection, sqlite_url: str) -> None:
    with process(LEASEHOLDER, sqlite_url) as holder:
        assert not engine.locks.try_lease(state)
        holder.send_signal(signal.SIGKILL)
        holder.wait(timeout=30)
        assert engine.locks.try_lease(state)
        engine.locks.release_lease(state)


def test_the_lease_is_the_same_by_whatever_path_the_file_is_named(
    engine: Engine, state: Connection, file: Path, tmp_path: Path
) -> None:
    alias = tmp_path / "alias.db"
    alias.symlink_to(file)
    assert engine.locks.try_lease(state)
    with for_url(f"sqlite:///{alias}").connect(Purpose.STATE) as other:
        assert engine.locks.lease_taken(other)
        assert not engine.locks.try_lease(other)
        engine.locks.release_lease(state)
        assert engine.locks.try_lease(other)


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")
def test_the_writer_is_named_by_whatever_path_the_file_is_named(
    engine: Engine, state: Connection, file: Path, tmp_path: Path
) -> None:
    state.exec_driver_sql("pragma journal_mode = wal")
    alias = tmp_path / "alias.db"
    alias.symlink_to(file)
    with process(WRITER, str(file)) as writer, for_url(f"sqlite:///{alias}").connect(Purpose.STATE) as conn:
        (blocker,) = engine.locks.blockers(conn, wanted("users"), older_than_s=0.0)
        assert blocker.pid == writer.pid


def test_the_lease_leaves_no_file_when_it_is_given_back(engine: Engine, state: Connection, file: Path) -> None:
    assert engine.locks.try_lease(state)
    assert len(list(file.parent.iterdir())) == 2
    engine.locks.release_lease(state)
    engine.locks.release_lease(state)
    assert list(file.parent.iterdir()) == [file]


def test_timeouts_are_those_sqlite_has(engine: Engine, state: Connection) -> None:
    state.exec_driver_sql(str(engine.locks.set_lock_timeout(0.25)))
    assert state.exec_driver_sql("pragma busy_timeout").scalar_one() == 250
    state.exec_driver_sql(str(engine.locks.set_lock_timeout(None)))
    assert state.exec_driver_sql("pragma busy_timeout").scalar_one() > 24 * 3600 * 1000
    assert engine.locks.set_statement_timeout(1.0) is None
    assert engine.statements.progress(state, os.getpid()) is None


def test_our_session_is_our_process(engine: Engine, state: Connection) -> None:
    assert engine.activity.session(state) == (os.getpid(), "")


def test_a_disk_without_room_for_the_largest_table_is_refused(
    engine: Engine, state: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.exec_driver_sql("insert into users values (zeroblob(100000))")
    usage = shutil.disk_usage("/")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=50_000))
    (refusal,) = engine.activity.refusals(state, oldest_transaction_s=0)
    assert "disk space" in refusal.what
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage._replace(free=106_000))
    assert engine.activity.refusals(state, oldest_transaction_s=0) == ()

"""Several runners at once, stolen leases, signals, and connections that are cut in the middle."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from textwrap import indent
from typing import Self

import pytest
from sqlalchemy import make_url
from standing import assert_tidy, passed, statement_log, wait_until
from workbench import Workbench

_PASSED = 'op.create_table("passed", sa.Column("place", sa.String(20)))'
_INDEX = """
with op.get_context().autocommit_block():
    op.create_index("passed_place", "passed", ["place"])
"""
# Not while the revision is read: then nothing is executed.
_WAITS = """
import pathlib, time
op.execute("insert into passed (place) values ('second')")
if op.get_bind().engine.pool.__class__.__name__ == "NullPool":
    pathlib.Path("here").touch()
    while not pathlib.Path("go").exists():
        time.sleep(0.02)
op.execute("insert into passed (place) values ('second, later')")
"""


@pytest.fixture(autouse=True)
def heard() -> Iterator[None]:
    """Let runs hear SIGHUP, also where these tests are run by nohup: what a process ignores its children ignore."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def three_revisions(bench: Workbench) -> Workbench:
    bench.revision("aaa1", None, f"{_PASSED}\nop.execute(\"insert into passed (place) values ('first')\")")
    bench.revision("aaa2", "aaa1", f"op.execute(\"insert into passed (place) values ('second')\")\n{_INDEX}")
    bench.revision("aaa3", "aaa2", "op.execute(\"insert into passed (place) values ('third')\")")
    return bench


def waiting_revision(bench: Workbench) -> Workbench:
    """A revision that begins, and waits for `go`; one more comes after it."""
    bench.revision("aaa1", None, _PASSED)
    assert bench.run("apply", "--yes").returncode == 0
    bench.revision("aaa2", "aaa1", _WAITS)
    bench.revision("aaa3", "aaa2", "op.execute(\"insert into passed (place) values ('third')\")")
    return bench


@contextmanager
def running(bench: Workbench, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """A run that stands in the middle of aaa2 until the test says go."""
    run = bench.start(*arguments)
    try:
        wait_until((bench.root / "here").exists, "the revision waits")
        yield run
    finally:
        run.kill()
        run.communicate()


def wait_for(run: subprocess.Popen[str], words: str) -> None:
    """Read what the run tells until it tells that."""
    assert run.stderr is not None
    told = []
    while words not in "".join(told):
        line = run.stderr.readline()
        assert line, f"it ended: {told}"
        told.append(line)


def go(bench: Workbench) -> None:
    (bench.root / "go").touch()


def assert_each_revision_once(bench: Workbench, places: list[str]) -> None:
    assert passed(bench) == places
    log = bench.json("log")
    assert [e["revision"] for e in log["entries"]] == ["aaa3", "aaa2", "aaa1"]
    assert log["broken"] == ""
    assert_tidy(bench)


@pytest.mark.parametrize("count", [2, pytest.param(5, marks=pytest.mark.slow)])
def test_runners_at_once_on_a_fresh_database_apply_each_revision_once(bench: Workbench, count: int) -> None:
    three_revisions(bench)
    runs = [bench.start("apply", "--yes") for _ in range(count)]
    told = [run.communicate(timeout=100)[1] for run in runs]
    statuses = [run.returncode for run in runs]
    assert set(statuses) <= {0, 6}, told
    assert 0 in statuses
    assert_each_revision_once(bench, ["first", "second", "third"])


def test_a_runner_that_may_not_wait_ends_with_6_and_names_the_other(bench: Workbench) -> None:
    waiting_revision(bench).settings('lease_wait = "0s"')
    with running(bench, "apply", "--yes") as first:
        second = bench.run("apply", "--yes")
        assert second.returncode == 6, second.stderr
        assert "another run holds the lease" in second.stderr
        assert f"pid {first.pid}" in second.stderr
        assert bench.run("status").returncode == 0
        go(bench)
        _, told = first.communicate(timeout=60)
        assert first.returncode == 0, told
    assert_each_revision_once(bench, ["second", "second, later", "third"])


@pytest.mark.slow
def test_a_second_runner_waits_while_the_first_is_between_the_transactions_of_a_revision(bench: Workbench) -> None:
    waiting_revision(bench)
    bench.revision("aaa2", "aaa1", _INDEX + _WAITS)
    with running(bench, "apply", "--yes") as first:
        assert statement_log(bench)
        looked = bench.run("status")
        assert looked.returncode == 0
        assert "is on its way from aaa1 to aaa3" in looked.stdout
        second = bench.start("apply", "--yes")
        wait_for(second, "waiting for the lease")
        go(bench)
        _, told = first.communicate(timeout=60)
        assert first.returncode == 0, told
        _, told = second.communicate(timeout=60)
        assert second.returncode == 0, told
    assert_each_revision_once(bench, ["second", "second, later", "third"])


def test_a_run_whose_lease_was_taken_over_rolls_its_step_back(pg_bench: Workbench) -> None:
    bench = waiting_revision(pg_bench)
    # the lease's row cannot be changed while a transaction holds it, so the revision waits where none is open
    block = f"with op.get_context().autocommit_block():\n{indent(_WAITS, '    ')}"
    bench.revision("aaa2", "aaa1", block)
    with running(bench, "apply", "--yes") as run:
        bench.execute("update handrail.lease set token = token + 1")
        go(bench)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 6, told
    assert "another run has taken the lease" in told
    assert passed(bench) == ["second"]
    assert bench.run("status").returncode == 5


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_one_signal_stops_at_the_next_safe_point_and_resume_goes_on(
    bench: Workbench, number: signal.Signals, status: int
) -> None:
    waiting_revision(bench)
    with running(bench, "apply", "--yes") as run:
        run.send_signal(number)
        wait_for(run, "stopping at the next safe point")
        go(bench)
        _, told = run.communicate(timeout=60)
    assert run.returncode == status, told
    assert "stopped at a safe point; the database is at aaa2" in told
    assert "handrail resume -e main" in told
    looked = bench.run("status")
    assert looked.returncode == 0
    assert "was interrupted at aaa2, on its way to aaa3; nothing is half applied" in looked.stdout
    assert bench.run("resume", "--yes").returncode == 0
    assert_each_revision_once(bench, ["second", "second, later", "third"])


@pytest.mark.slow
@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 143)])
def test_two_signals_stop_at_once_and_roll_back(bench: Workbench, number: signal.Signals, status: int) -> None:
    waiting_revision(bench)
    with running(bench, "apply", "--yes") as run:
        run.send_signal(number)
        wait_for(run, "once more to stop now")
        run.send_signal(number)
        _, told = run.communicate(timeout=60)
    assert run.returncode == status, told
    assert "stopped at once; what was not committed is rolled back" in told
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]
    go(bench)
    assert bench.run("resume", "--yes").returncode == 0
    assert_each_revision_once(bench, ["second", "second, later", "third"])


@pytest.mark.slow
def test_a_signal_ends_the_wait_for_a_lock_at_once(pg_bench: Workbench) -> None:
    bench = waiting_revision(pg_bench)
    (bench.versions / "aaa3_step.py").unlink()
    bench.revision("aaa2", "aaa1", 'op.add_column("passed", sa.Column("more", sa.Integer))')
    with bench.database() as conn:
        conn.exec_driver_sql("begin")
        conn.exec_driver_sql("select * from passed")
        run = bench.start("apply", "--yes")
        wait_for(run, "waits, holding nothing")
        run.send_signal(signal.SIGTERM)
        _, told = run.communicate(timeout=20)
        conn.exec_driver_sql("rollback")
    assert run.returncode == 143, told
    assert "the database is at aaa1" in told


def test_a_session_ended_in_the_middle_is_looked_up_and_resumed(pg_bench: Workbench) -> None:
    bench = waiting_revision(pg_bench)
    with running(bench, "apply", "--yes") as run:
        bench.rows("select pg_terminate_backend(session_pid, 5000) from handrail.lease")
        go(bench)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 7, told
    assert "handrail status -e main looks it up" in told
    looked = bench.run("status")
    assert looked.returncode == 0, looked.stderr
    assert "was interrupted at aaa1, on its way to aaa3; nothing is half applied" in looked.stdout
    assert bench.run("resume", "--yes").returncode == 0
    assert_each_revision_once(bench, ["second", "second, later", "third"])


@pytest.mark.slow
def test_all_sessions_ended_in_the_middle_is_no_bug_of_ours(pg_bench: Workbench) -> None:
    bench = waiting_revision(pg_bench)
    with running(bench, "apply", "--yes") as run:
        bench.rows(
            "select pg_terminate_backend(pid, 5000) from pg_stat_activity "
            "where starts_with(application_name, 'handrail:') and datname = current_database()"
        )
        go(bench)
        _, told = run.communicate(timeout=60)
    assert run.returncode == 7, told
    assert bench.run("apply", "--yes").returncode == 0
    assert_each_revision_once(bench, ["second", "second, later", "third"])


class Proxy:
    """A TCP port in front of a server; cuts the connection that has sent `passed`, at its COMMIT."""

    def __init__(self, url: str, *, delivers: bool) -> None:
        parsed = make_url(url)
        self._url = parsed
        self._delivers = delivers
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.cut = threading.Event()
        self.url = parsed.set(
            host="127.0.0.1",
            port=self._listening.getsockname()[1],
            query={"gssencmode": "disable", "sslmode": "disable"},
        ).render_as_string(hide_password=False)

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(self, *_exc: object) -> None:
        self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = self._connected()
                self._start(self._forward, client, server)
                self._start(self._back, server, client)

    def _connected(self) -> socket.socket:
        if self._url.host:
            return socket.create_connection((self._url.host, self._url.port or 5432))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self._url.query['host']}/.s.PGSQL.{self._url.query['port']}")
        return server

    def _forward(self, client: socket.socket, server: socket.socket) -> None:
        armed = False
        with suppress(OSError), client:
            while data := client.recv(65536):
                armed = armed or b"insert into passed" in data
                if armed and b"COMMIT" in data and not self.cut.is_set():
                    self.cut.set()
                    client.shutdown(socket.SHUT_RDWR)
                    if self._delivers:
                        server.sendall(data)
                    break
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    @staticmethod
    def _back(server: socket.socket, client: socket.socket) -> None:
        with server:
            while data := server.recv(65536):
                with suppress(OSError):  # a client that is gone must not keep the server's answers from being read
                    client.sendall(data)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)

    @staticmethod
    def _start(target: Callable[..., None], *arguments: socket.socket) -> None:
        threading.Thread(target=target, args=arguments, daemon=True).start()


@pytest.mark.parametrize(("delivers", "stands_at"), [(False, "aaa1"), (True, "aaa2")])
def test_a_connection_cut_at_commit_is_looked_up_and_each_revision_stands_once(
    pg_bench: Workbench, *, delivers: bool, stands_at: str
) -> None:
    bench = waiting_revision(pg_bench)
    go(bench)
    direct = bench.url
    with Proxy(direct, delivers=delivers) as proxy:
        bench.url = proxy.url
        done = bench.run("apply", "--yes")
        assert proxy.cut.is_set()
    bench.url = direct
    assert done.returncode == 7, done.stderr
    assert "whether it was committed is not known yet" in done.stderr
    wait_until(lambda: bench.rows("select version_num from alembic_version") == [(stands_at,)], "the server knows")
    looked = bench.run("status")
    assert looked.returncode == 0, looked.stdout
    assert f"was interrupted at {stands_at}, on its way to aaa3" in looked.stdout
    assert bench.run("resume", "--yes").returncode == 0
    assert_each_revision_once(bench, ["second", "second, later", "third"])

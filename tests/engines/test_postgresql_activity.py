from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Engine, Purpose, for_url
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server


@pytest.fixture(scope="module")
def engine(handrail_postgresql: Server) -> Iterator[Engine]:
    """One database for the tests that leave it as they found it."""
    with fresh_database(handrail_postgresql) as url:
        engine = for_url(url)
        with engine.connect(Purpose.STATE) as conn:
            conn.exec_driver_sql("create table users (id integer primary key); insert into users values (1)")
        yield engine


def _refusals(engine: Engine, oldest_transaction_s: float = 600) -> list[str]:
    with engine.connect(Purpose.STATE) as conn:
        found = engine.activity.refusals(conn, oldest_transaction_s=oldest_transaction_s)
    assert all(refusal.why and refusal.fix for refusal in found)
    return [refusal.what for refusal in found]


@contextmanager
def _open_transaction(engine: Engine, application: str = "report") -> Iterator[Connection]:
    with engine.connect(Purpose.MIGRATE) as conn, conn.begin():
        conn.exec_driver_sql(f"set application_name = '{application}'")
        conn.exec_driver_sql("select * from users where id = 4711")
        yield conn


def test_a_quiet_database_is_not_refused(engine: Engine) -> None:
    assert _refusals(engine) == []


def test_an_old_transaction_is_refused_and_a_young_one_is_not(engine: Engine) -> None:
    with _open_transaction(engine) as holder:
        pid = holder.exec_driver_sql("select pg_backend_pid()").scalar_one()
        assert _refusals(engine) == []
        (what,) = _refusals(engine, oldest_transaction_s=0)
        assert f"pid {pid}" in what
        assert "report" in what


def test_a_running_dump_is_refused_whatever_its_age(engine: Engine) -> None:
    with _open_transaction(engine, application="pg_dump"):
        (what,) = _refusals(engine)
        assert what.startswith("pg_dump (pid ")


@pytest.mark.usefixtures("prepared_transactions")
def test_an_old_prepared_transaction_is_refused_by_its_gid(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("begin; update users set id = 2; prepare transaction 'forgotten'")
        try:
            assert _refusals(engine) == []
            (what,) = _refusals(engine, oldest_transaction_s=0)
            assert "prepared transaction forgotten" in what
        finally:
            conn.exec_driver_sql("rollback prepared 'forgotten'")


@pytest.mark.parametrize("purpose", [Purpose.READ, Purpose.STATE])
def test_a_read_only_database_is_refused_also_when_looked_at_read_only(purpose: Purpose, postgresql_url: str) -> None:
    engine = for_url(postgresql_url)
    with engine.connect(purpose) as conn:
        assert not engine.target(conn).read_only
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql(f'alter database "{engine.url.database}" set default_transaction_read_only = on')
    with engine.connect(purpose) as conn:
        (refusal,) = engine.activity.refusals(conn, oldest_transaction_s=600)
        assert refusal.what == f"database {engine.url.database} is read-only"
        assert engine.target(conn).read_only


def test_a_pooler_is_refused(engine: Engine) -> None:
    with _pooler(engine) as pooled:
        assert _refusals(pooled) == ["a connection pooler stands between us and the server"]


def test_a_session_is_ended_only_when_pid_and_start_agree(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn, engine.connect(Purpose.STATE) as other:
        pid, started = engine.activity.session(other)
        assert not engine.activity.end_session(conn, pid, "2001-01-01T00:00:00.000000Z")
        other.exec_driver_sql("select 1")
        assert engine.activity.end_session(conn, pid, started)
        with pytest.raises(DBAPIError) as caught:
            other.exec_driver_sql("select pg_sleep(20)")
        assert engine.classify(caught.value) is Cause.CONNECTION_LOST
        assert not engine.activity.end_session(conn, pid, started)


def test_no_index_build_no_progress(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        assert engine.statements.progress(conn, engine.activity.session(conn)[0]) is None


def test_a_concurrent_build_says_that_it_waits_and_the_server_for_whom(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn, engine.connect(Purpose.STATE) as builder:
        pid, _ = engine.activity.session(builder)
        with _open_transaction(engine) as holder:
            holder.exec_driver_sql("update users set id = 3")
            holder_pid = holder.exec_driver_sql("select pg_backend_pid()").scalar_one()
            builder.exec_driver_sql("set lock_timeout = 0")
            sql = "create index concurrently users_again on users (id)"
            building = threading.Thread(target=lambda: builder.exec_driver_sql(sql), daemon=True)
            building.start()
            seen = engine.statements.progress(conn, pid)
            while building.is_alive() and (seen is None or not seen.waits):
                seen = engine.statements.progress(conn, pid)
            assert seen is not None
            assert [blocker.pid for blocker in engine.locks.waiting_on(conn, pid)] == [holder_pid]
            assert (seen.done, seen.total) == (0, 1)
        building.join(20)
        assert engine.statements.progress(conn, pid) is None


@contextmanager
def _pooler(engine: Engine) -> Iterator[Engine]:
    """A relay that makes up the process number of the session it hands out, as poolers do."""
    address = engine.url.translate_connect_args() | dict(engine.url.query)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        port = listener.getsockname()[1]

        def serve() -> None:
            client, _ = listener.accept()
            host, server_port = str(address["host"]), int(str(address["port"]))
            if host.startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{host}/.s.PGSQL.{server_port}")
            else:
                server = socket.create_connection((host, server_port))
            stack.callback(client.close)
            stack.callback(server.close)
            threading.Thread(target=_relay, args=(client, server, b""), daemon=True).start()
            _relay(server, client, b"K\x00\x00\x00")

        threading.Thread(target=serve, daemon=True).start()
        url = engine.url.set(host="127.0.0.1", port=port, query={"sslmode": "disable", "gssencmode": "disable"})
        yield for_url(url)


def _relay(source: socket.socket, target: socket.socket, key_message: bytes) -> None:
    try:
        while data := source.recv(65536):
            at = data.find(key_message) if key_message else -1
            if at >= 0:  # type, length, process number
                data = data[: at + 5] + struct.pack("!i", 4711) + data[at + 9 :]
                key_message = b""
            target.sendall(data)
    except OSError:
        return

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Engine, Purpose, for_url
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server
from handrail.model.effect import Blocks, Cost, Effect

DEADLINE_S = 20

SETUP = """
create schema shop;
create table users (id integer primary key, name text);
create table shop."Orders" (id integer);
create table parted (id integer) partition by list (id);
create table part_1 partition of parted for values in (1);
insert into users values (1, 'a');
"""


@pytest.fixture(scope="module")
def engine(handrail_postgresql: Server) -> Iterator[Engine]:
    """One database for all tests; each rolls back what it does."""
    with fresh_database(handrail_postgresql) as url:
        engine = for_url(url)
        with engine.connect(Purpose.STATE) as conn:
            conn.exec_driver_sql(SETUP)
        yield engine


def _wanted(*relations: str) -> tuple[Effect, ...]:
    return tuple(
        Effect(relation=name, lock="ACCESS EXCLUSIVE", blocks=Blocks.READS_AND_WRITES, cost=Cost.INSTANT)
        for name in relations
    )


@contextmanager
def _holding(engine: Engine, sql: str) -> Iterator[Connection]:
    with engine.connect(Purpose.MIGRATE, run="holder") as conn, conn.begin():
        conn.exec_driver_sql(sql)
        yield conn


def _in_background(conn: Connection, sql: str) -> threading.Thread:
    thread = threading.Thread(target=lambda: conn.exec_driver_sql(sql), daemon=True)
    thread.start()
    return thread


def _until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"


def test_a_holder_is_named_with_its_literals_hidden(engine: Engine) -> None:
    with _holding(engine, "select * from users where name = 'geheim'") as holder, engine.connect(Purpose.STATE) as conn:
        (blocker,) = engine.locks.blockers(conn, _wanted("users"), older_than_s=0)
        assert blocker.pid == holder.exec_driver_sql("select pg_backend_pid()").scalar_one()
        assert (blocker.relation, blocker.lock, blocker.state) == ("users", "ACCESS SHARE", "idle in transaction")
        assert blocker.application == "handrail:holder"
        assert "geheim" not in blocker.describe()
        assert blocker.age_s >= 0


def test_the_strongest_lock_of_a_session_is_reported(engine: Engine) -> None:
    with _holding(engine, "update users set name = 'b'; select 1") as holder, engine.connect(Purpose.STATE) as conn:
        holder.exec_driver_sql("select * from users")
        (blocker,) = engine.locks.blockers(conn, _wanted("users"), older_than_s=0)
        assert blocker.lock == "ROW EXCLUSIVE"


@pytest.mark.parametrize("name", ["shop.Orders", 'shop."Orders"', "*"])
def test_names_are_taken_qualified_quoted_or_all(name: str, engine: Engine) -> None:
    with _holding(engine, 'select * from shop."Orders"'), engine.connect(Purpose.STATE) as conn:
        (blocker,) = engine.locks.blockers(conn, _wanted(name, "nowhere"), older_than_s=0)
        assert blocker.relation == "shop.Orders"


@pytest.mark.parametrize("name", ['a"b c', 'a""b c', 'a"b', '%(x)s "', '"'])
def test_a_name_with_a_quote_in_it_is_a_name(name: str, engine: Engine) -> None:
    quoted = '"' + name.replace('"', '""') + '"'
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql(f"create table shop.{quoted} (id int)".replace("%", "%%"))
        try:
            with _holding(engine, f"select * from shop.{quoted}".replace("%", "%%")):
                (blocker,) = engine.locks.blockers(conn, _wanted(f"shop.{name}"), older_than_s=0)
                assert blocker.relation == f"shop.{name}"
        finally:
            conn.exec_driver_sql(f"drop table shop.{quoted}".replace("%", "%%"))


def test_holders_of_partitions_block_the_parent_and_holders_of_a_table_its_index(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        with _holding(engine, "select * from part_1"):
            assert [b.relation for b in engine.locks.blockers(conn, _wanted("parted"), older_than_s=0)] == ["part_1"]
        with _holding(engine, "lock table users in share mode"):
            assert [b.lock for b in engine.locks.blockers(conn, _wanted("users_pkey"), older_than_s=0)] == ["SHARE"]


def test_young_holders_and_our_own_session_are_left_out(engine: Engine) -> None:
    with _holding(engine, "select * from users") as holder, engine.connect(Purpose.STATE) as conn:
        assert engine.locks.blockers(conn, _wanted("users"), older_than_s=600) == ()
        assert engine.locks.blockers(holder, _wanted("users"), older_than_s=0) == ()
        assert engine.locks.blockers(conn, (), older_than_s=0) == ()


@pytest.mark.usefixtures("prepared_transactions")
def test_a_prepared_transaction_is_named_by_its_gid_whatever_its_age(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("begin; update users set name = 'c'; prepare transaction 'half-done'")
        try:
            (blocker,) = engine.locks.blockers(conn, _wanted("users"), older_than_s=600)
            assert (blocker.pid, blocker.gid, blocker.lock) == (None, "half-done", "ROW EXCLUSIVE")
            assert "prepared transaction half-done" in blocker.describe()
            with engine.connect(Purpose.MIGRATE) as waiter:
                pid = waiter.exec_driver_sql("select pg_backend_pid()").scalar_one()
                waiter.rollback()
                blocked = _in_background(waiter, "alter table users add column x integer")
                _until(lambda: bool(engine.locks.waiting_on(conn, pid)))
                assert [b.gid for b in engine.locks.waiting_on(conn, pid)] == ["half-done"]
                conn.exec_driver_sql("rollback prepared 'half-done'")
                blocked.join(DEADLINE_S)
                waiter.rollback()
        finally:
            if engine.locks.blockers(conn, _wanted("users"), older_than_s=600):
                conn.exec_driver_sql("rollback prepared 'half-done'")


def test_waiting_on_names_the_holder_of_what_a_session_waits_for(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn, engine.connect(Purpose.MIGRATE) as waiter:
        pid = waiter.exec_driver_sql("select pg_backend_pid()").scalar_one()
        waiter.rollback()
        with _holding(engine, "select * from users") as holder:
            blocked = _in_background(waiter, "alter table users add column x integer")
            _until(lambda: bool(engine.locks.waiting_on(conn, pid)))
            (blocker,) = engine.locks.waiting_on(conn, pid)
            assert blocker.pid == holder.exec_driver_sql("select pg_backend_pid()").scalar_one()
            assert (blocker.relation, blocker.lock) == ("users", "ACCESS SHARE")
        blocked.join(DEADLINE_S)
        waiter.rollback()
        assert engine.locks.waiting_on(conn, pid) == ()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_the_lock_timeout_strikes_and_is_lifted_again(driver: str, engine: Engine) -> None:
    project = for_url(engine.url.set(drivername=f"postgresql+{driver}"))
    with _holding(engine, "select * from users"), project.connect(Purpose.MIGRATE) as conn:
        with conn.begin() as transaction:
            conn.exec_driver_sql(project.locks.set_lock_timeout(0.05) or "")
            with pytest.raises(DBAPIError) as caught:
                conn.exec_driver_sql("alter table users add column x integer")
            assert project.classify(caught.value) is Cause.LOCK_TIMEOUT
            transaction.rollback()
        with conn.begin():
            conn.exec_driver_sql(project.locks.set_lock_timeout(2.5) or "")
            assert conn.exec_driver_sql("show lock_timeout").scalar_one() == "2500ms"
            conn.exec_driver_sql(project.locks.set_lock_timeout(None) or "")
            conn.exec_driver_sql(project.locks.set_statement_timeout(60) or "")
            assert conn.exec_driver_sql("show lock_timeout").scalar_one() == "0"
            assert conn.exec_driver_sql("show statement_timeout").scalar_one() == "1min"


def test_the_lease_is_had_by_one_session_at_a_time(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as one, engine.connect(Purpose.STATE) as other:
        assert engine.locks.try_lease(one)
        assert not engine.locks.try_lease(other)
        engine.locks.release_lease(one)
        assert engine.locks.try_lease(other)

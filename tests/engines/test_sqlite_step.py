"""Foreign keys around one revision on SQLite."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Engine, Purpose, for_url
from handrail.errors import TargetRefused

USERS = "create table users (id integer primary key, email text)"
PLAYERS = "create table players (id integer primary key, user_id integer references users (id) on delete cascade)"


@pytest.fixture
def engine(sqlite_url: str) -> Engine:
    return for_url(sqlite_url)


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect(Purpose.STATE) as state:
        for sql in (USERS, PLAYERS, "insert into users values (1, 'a'), (2, 'b')"):
            state.exec_driver_sql(sql)
        state.exec_driver_sql("insert into players values (10, 1), (20, 2), (30, 2)")
    with engine.connect(Purpose.MIGRATE) as migrate:
        yield migrate


def set_foreign_keys(conn: Connection, value: str) -> None:
    conn.connection.driver_connection.execute(f"pragma foreign_keys = {value}")  # type: ignore[union-attr]  # it is open


def foreign_keys(conn: Connection) -> int:
    value: int = conn.exec_driver_sql("pragma foreign_keys").scalar_one()
    conn.rollback()
    return value


def rows(conn: Connection, table: str) -> int:
    count: int = conn.exec_driver_sql(f"select count(*) from {table}").scalar_one()
    conn.rollback()
    return count


def recreate_users(conn: Connection) -> None:
    with Operations(MigrationContext.configure(conn)).batch_alter_table("users", recreate="always") as batch:
        batch.alter_column("email", type_=sa.String(200), existing_type=sa.Text())


def test_a_batch_recreate_keeps_every_child_row_where_foreign_keys_are_on(engine: Engine, conn: Connection) -> None:
    set_foreign_keys(conn, "on")
    engine.before_step(conn)
    with conn.begin():
        recreate_users(conn)
        assert engine.before_commit(conn) == ()
    engine.after_step(conn)
    assert rows(conn, "players") == 3
    assert rows(conn, "users") == 2
    assert foreign_keys(conn) == 1


def test_without_the_step_the_same_recreate_loses_the_child_rows(conn: Connection) -> None:
    set_foreign_keys(conn, "on")
    with conn.begin():
        recreate_users(conn)
    assert rows(conn, "players") == 0, "if SQLite no longer does this, the step is not needed"


def test_a_row_whose_parent_the_step_takes_away_is_named_before_the_commit(engine: Engine, conn: Connection) -> None:
    engine.before_step(conn)
    with conn.begin() as step:
        conn.exec_driver_sql("delete from users where id = 1")
        broken = engine.before_commit(conn)
        step.rollback()
    engine.after_step(conn)
    assert broken == ("the row with rowid 10 of table players refers to a row of users that is not there",)
    assert rows(conn, "users") == 2


def test_rows_that_were_broken_before_the_step_are_not_held_against_it(engine: Engine, conn: Connection) -> None:
    with conn.begin():
        conn.exec_driver_sql("insert into players values (99, 99)")
    engine.before_step(conn)
    with conn.begin():
        conn.exec_driver_sql("insert into players values (40, 1)")
        assert engine.before_commit(conn) == ()
        conn.exec_driver_sql("insert into players values (41, 41)")
        assert len(engine.before_commit(conn)) == 1
    engine.after_step(conn)


def test_many_broken_rows_are_counted(engine: Engine, conn: Connection) -> None:
    engine.before_step(conn)
    with conn.begin():
        conn.exec_driver_sql("insert into players (user_id) values " + ", ".join(["(99)"] * 50))
        assert engine.before_commit(conn)[-1] == "30 more rows of table players"
    engine.after_step(conn)


def test_a_foreign_key_that_fits_no_parent_does_not_hide_the_others(engine: Engine, conn: Connection) -> None:
    with conn.begin():
        conn.exec_driver_sql("create table odd (email text references users (email))")
        conn.exec_driver_sql("insert into odd values ('a')")
    engine.before_step(conn)
    with conn.begin():
        assert engine.before_commit(conn) == ()
        conn.exec_driver_sql("delete from users where id = 1")
        assert len(engine.before_commit(conn)) == 1
    engine.after_step(conn)


def fail(engine: Engine, conn: Connection) -> None:
    with conn.begin():
        conn.exec_driver_sql(str(engine.locks.set_lock_timeout(0.1)))
        conn.exec_driver_sql("delete from users")
        conn.exec_driver_sql("drop table nowhere")


@pytest.mark.parametrize("before", ["on", "off"])
def test_settings_are_put_back_after_a_failure(engine: Engine, conn: Connection, before: str) -> None:
    set_foreign_keys(conn, before)
    timeout = conn.exec_driver_sql("pragma busy_timeout").scalar_one()
    conn.rollback()
    engine.before_step(conn)
    with pytest.raises(DBAPIError):
        fail(engine, conn)
    engine.after_step(conn)
    engine.after_step(conn)
    assert foreign_keys(conn) == (before == "on")
    assert conn.exec_driver_sql("pragma busy_timeout").scalar_one() == timeout
    conn.rollback()
    assert rows(conn, "users") == 2


def test_a_transaction_left_open_is_rolled_back_when_the_settings_are_put_back(
    engine: Engine, conn: Connection
) -> None:
    set_foreign_keys(conn, "on")
    engine.before_step(conn)
    conn.exec_driver_sql("delete from users")
    engine.after_step(conn)
    assert foreign_keys(conn) == 1
    assert rows(conn, "users") == 2


def test_a_step_is_not_begun_inside_a_transaction(engine: Engine, conn: Connection) -> None:
    with conn.begin(), pytest.raises(TargetRefused, match="transaction is open"):
        engine.before_step(conn)


def test_a_closed_connection_has_nothing_to_put_back(engine: Engine) -> None:
    with engine.connect(Purpose.MIGRATE) as conn:
        engine.before_step(conn)
    engine.after_step(conn)

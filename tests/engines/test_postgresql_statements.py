from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from sqlalchemy import Connection

from handrail.engines.base import Engine, Landed, Purpose, for_url
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server
from handrail.engines.postgresql.sql.functions import ACTING, OF_EXTENSIONS, VOLATILE, pure
from handrail.engines.postgresql.sql.syntax import find
from handrail.model.operation import StatementKind

#: The server whose functions the lists are of.
NEWEST = 18

SETUP = """
create schema shop;
create table users (id integer primary key, email text not null, age integer);
create table shop."Orders" (id integer primary key, user_id integer);
alter table shop."Orders" add constraint placed_by foreign key (user_id) references users (id) not valid;
create type mood as enum ('calm');
create index users_age on users (age);
"""


@pytest.fixture(scope="module")
def engine(handrail_postgresql: Server) -> Iterator[Engine]:
    """One database with SETUP; each test works in a transaction that is rolled back."""
    with fresh_database(handrail_postgresql) as url:
        engine = for_url(url)
        with engine.connect(Purpose.STATE) as conn:
            conn.exec_driver_sql(SETUP)
        yield engine


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect(Purpose.MIGRATE) as conn:
        yield conn


@pytest.mark.parametrize(
    ("sql", "kind"),
    [
        ("alter table t add column x int", StatementKind.SCHEMA),
        ("do 'begin end'", StatementKind.SCHEMA),
        ("alter tabel t", StatementKind.SCHEMA),
        ("select 1 into t", StatementKind.SCHEMA),
        ("update t set a = 1", StatementKind.DATA),
        ("copy t from stdin", StatementKind.DATA),
        ("truncate t", StatementKind.DATA),
        ("with gone as (delete from t returning *) select * from gone", StatementKind.DATA),
        ("select setval('s', 5)", StatementKind.DATA),
        ("select * from t", StatementKind.READ),
        ("copy t to stdout", StatementKind.READ),
        ("show lock_timeout", StatementKind.READ),
        ("explain select 1", StatementKind.READ),
        ("set lock_timeout = 1", StatementKind.SESSION),
        ("commit", StatementKind.SESSION),
        ("select set_config('a.b', '1', false)", StatementKind.SESSION),
        ("select 1; update t set a = 1", StatementKind.DATA),
        ("", StatementKind.READ),
        ("select bump()", StatementKind.DATA),
        ("select create_hypertable('t', 'at')", StatementKind.DATA),
        ("select * from cron.schedule('x', '* * * * *', 'vacuum')", StatementKind.DATA),
        ("select app.lower('A')", StatementKind.DATA),
        ("copy (select bump()) to stdout", StatementKind.DATA),
        ("explain analyze update t set a = 1", StatementKind.DATA),
        ("explain update t set a = bump()", StatementKind.READ),
        ("select count(*), max(lower(name)), coalesce(sum(n), 0), now() from t", StatementKind.READ),
        ("select exists (select from pg_class where to_regclass('t') is not null)", StatementKind.READ),
        ("select pg_catalog.pg_get_constraintdef(oid) from pg_constraint", StatementKind.READ),
        ("select extract(year from at), trim(name), substring(name from 2) from t", StatementKind.READ),
        ("select pg_catalog.nextval('s')", StatementKind.DATA),
    ],
)
def test_kind_of(sql: str, kind: StatementKind, engine: Engine) -> None:
    assert engine.statements.kind(sql) is kind


@pytest.mark.parametrize(
    ("sql", "answers"),
    [
        ("select count(*) from t", True),
        ("select bump()", True),
        ("show lock_timeout", True),
        ("select setval('s', 5)", False),
        ("select set_config('a.b', '1', false)", False),
        ("update t set a = bump()", False),
        ("do 'begin end'", False),
        ("alter tabel t", False),
    ],
)
def test_whether_what_follows_may_depend_on_the_answer(sql: str, answers: bool, engine: Engine) -> None:  # noqa: FBT001 - a row of the table above
    assert engine.statements.answers(sql) is answers


_VOLATILE = "select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace and provolatile = 'v'"
_NAMES = "select proname from pg_proc where pronamespace = 'pg_catalog'::regnamespace"


def test_functions_taken_to_be_pure_are_the_newest_servers_and_not_volatile(
    conn: Connection, handrail_postgresql: Server
) -> None:
    if handrail_postgresql.major < NEWEST:
        pytest.skip("needs a newer PostgreSQL")
    assert pure() & set(conn.exec_driver_sql(_VOLATILE).scalars()) == set(VOLATILE.split())
    assert pure() - set(conn.exec_driver_sql(_NAMES).scalars()) == set(OF_EXTENSIONS.split())
    assert not pure() & ACTING.keys()


@pytest.mark.parametrize(
    ("sql", "shown"),
    [
        ("select 'geheim', 12, 1.5 from t where a = $1", "select ?, ?, ? from t where a = $1"),
        ("select 'it''s' /* geheim */ , E'\\'x' -- geheim\n from t", "select ? , ? from t"),
        ("select $body$geheim 'x'$body$, x'1F', b'01', U&'\\0041'", "select ?, ?, ?, ?"),
        ("select \"Größe\" from t where a = 'ü'", 'select "Größe" from t where a = ?'),
        ("alter role me password 'geheim'", "alter role me password ?"),
        ("select 'unfinished geheim", "<unreadable statement>"),
    ],
)
def test_literals_are_hidden(sql: str, shown: str, engine: Engine) -> None:
    assert engine.statements.hide_literals(sql) == shown


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("create index concurrently i on t (a)", True),
        ("drop index concurrently i", True),
        ("reindex index concurrently i", True),
        ("reindex (concurrently) table t", True),
        ("alter table t detach partition p concurrently", True),
        ("vacuum analyze t", True),
        ("analyze t", False),
        ("create index i on t (a)", False),
        ("alter type mood add value 'x'", False),
        ("refresh materialized view concurrently m", False),
        ("create index concurrently i on t (a); select 1", False),
    ],
)
def test_concurrent(sql: str, expected: bool, engine: Engine) -> None:  # noqa: FBT001 - a row of the table above
    assert engine.statements.concurrent(sql) is expected


@pytest.mark.parametrize(
    "sql",
    [
        "create index i on users (email)",
        'create index i on shop."Orders" (user_id)',
        "drop index users_age",
        "create table shop.extra (id integer)",
        "create table copy as select * from users",
        "create view people as select * from users",
        "create sequence s",
        'drop table shop."Orders"',
        "alter table users add column x integer, add column y text",
        "alter table users drop column age",
        "alter table users add constraint c check (age > 0)",
        "alter table users alter column age set not null",
        "alter table users alter column email drop not null",
        'alter table shop."Orders" validate constraint placed_by',
        'alter table shop."Orders" drop constraint placed_by',
        "alter type mood add value 'cross'",
    ],
)
def test_landed_is_no_before_and_yes_after(sql: str, engine: Engine, conn: Connection) -> None:
    assert engine.statements.landed(conn, sql) is Landed.NO
    conn.exec_driver_sql(sql)
    assert engine.statements.landed(conn, sql) is Landed.YES


@pytest.mark.parametrize(
    "sql",
    [
        "update users set age = 1",
        "create index on users (age)",
        "create index i on nowhere (age)",
        "alter table users add column id integer, add column other integer",
        "alter table users alter column age type bigint",
        "alter table users add check (age > 0)",
        "reindex index concurrently users_age",
        "create or replace view v as select 1",
        "select 1; select 2",
        "nonsense",
    ],
)
def test_landed_is_unknown_where_the_text_does_not_tell(sql: str, engine: Engine, conn: Connection) -> None:
    assert engine.statements.landed(conn, sql) is Landed.UNKNOWN


def test_an_invalid_index_is_broken_and_can_be_discarded_and_built_again(postgresql_url: str) -> None:
    engine = for_url(postgresql_url)
    sql = 'create unique index concurrently "Twice" on shop.t (a)'
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("create schema shop; create table shop.t (a integer); insert into shop.t values (1), (1)")
        with pytest.raises(Exception, match="could not create unique index"):
            conn.exec_driver_sql(sql)
        assert engine.statements.landed(conn, sql) is Landed.BROKEN
        drop = engine.statements.discard(sql)
        assert drop == 'DROP INDEX CONCURRENTLY IF EXISTS "shop"."Twice"'
        assert engine.statements.landed(conn, drop) is Landed.BROKEN
        conn.exec_driver_sql(drop)
        assert engine.statements.landed(conn, drop) is Landed.YES
        assert engine.statements.landed(conn, sql) is Landed.NO
        conn.exec_driver_sql("truncate shop.t")
        conn.exec_driver_sql(sql)
        assert engine.statements.landed(conn, sql) is Landed.YES


def test_only_concurrent_index_statements_leave_something_to_discard(engine: Engine) -> None:
    assert engine.statements.discard("create index i on t (a)") is None
    assert engine.statements.discard("reindex index concurrently i") is None
    assert engine.statements.discard("drop index concurrently s.i") == 'DROP INDEX CONCURRENTLY IF EXISTS "s"."i"'


def test_a_tree_is_searched_where_protobuf_5_tells_no_more_of_a_field_than_its_kind() -> None:
    class Node:
        def __init__(self, kind: str, *fields: object) -> None:
            self.DESCRIPTOR = SimpleNamespace(name=kind)
            self._fields = fields

        def ListFields(self) -> list[tuple[object, object]]:  # noqa: N802 - protobuf's name
            of_messages = SimpleNamespace(message_type=object())
            return [(of_messages, field) for field in self._fields]

    tree = Node("SelectStmt", Node("FuncCall"), [Node("A_Expr", Node("FuncCall")), Node("FuncCall")])

    assert len(list(find(tree, "FuncCall"))) == 3

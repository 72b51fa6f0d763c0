"""Prints of rows on PostgreSQL: types whose equality or hash hides a change, what is left out, dump and restore."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator

import pytest
from sqlalchemy import Connection, make_url
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Engine, Purpose, for_url
from handrail.engines.postgresql.servers.binaries import find
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server
from handrail.model.rows import TablePrint, differences

GROUND = (
    "create extension citext",
    "create type state as enum ('new', 'open', 'done')",
    "create type pair as (a integer, b text)",
    "create domain amount as numeric(12, 2) check (value < 1000000)",
)
# Type, a value, another one: each a change that an equality or a hash function of the server would hide, or the plain
# case of a type that is hashed in its own way.
TYPES = (
    ("amount", "5", "-5"),
    ("bigint", "1", "4294967296"),
    ("bit(3)", "101", "100"),
    ("boolean", "t", "f"),
    ("bpchar", "a", "a  "),
    ("bytea", r"\x00", r"\x0000"),
    ("char(5)", "a", ""),
    ("citext", "Anna", "anna"),
    ("date", "2026-01-01", "infinity"),
    ("double precision", "0.1", "0.10000000000000002"),
    ("double precision", "0", "NaN"),
    ("inet", "10.0.0.1/8", "10.0.0.1"),
    ("integer[]", "{1,2,3,4}", "{{1,2},{3,4}}"),
    ("int4range", "[1,5)", "[1,6)"),
    ("interval", "1 day", "24:00:00"),
    ("interval", "1 mon", "30 days"),
    ("json", '{"a": 1}', '{"a":1}'),
    ("jsonb", "1", "[1]"),
    ("jsonb", "[[1], 2]", "[[1, 2]]"),
    ("money", "1.00", "1.01"),
    ("numeric", "5", "-5"),
    ("oid", "1", "2"),
    ("pair", "(,)", None),
    ("pair", "(1,x)", '(1,"x ")'),
    ("point", "(1,2)", "(2,1)"),
    ("real", "0.1", "0.10000001"),
    ("state", "new", "done"),
    ("state[]", "{new}", "{open}"),
    ("text", "", None),
    ("time", "10:00", "10:00:00.000001"),
    ("timestamp", "2026-01-01 00:00", "2026-01-01 00:00:00.000001"),
    ("timestamptz", "2026-01-01 00:00+00", "infinity"),
    ("tsvector", "'a':1", "'a':2"),
    ("uuid", "00000000-0000-0000-0000-000000000001", "00000000-0000-0000-0000-000000000002"),
    ("varchar(9)", "a", "a "),
    ("xid8", "1", "4294967297"),
)


@pytest.fixture
def engine(postgresql_url: str) -> Engine:
    return for_url(postgresql_url)


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect(Purpose.STATE) as conn:
        yield conn


def run(conn: Connection, *statements: str) -> None:
    for sql in statements:
        conn.exec_driver_sql(sql)


def table(engine: Engine, conn: Connection, name: str, *, strict: bool = False, buckets: bool = False) -> TablePrint:
    found = engine.rows.fingerprint(conn, tables=(name,), strict=strict, buckets=buckets).table(name)
    assert found is not None
    return found


def every_type(conn: Connection) -> None:
    """A table with a column of each type; in row 0 the first value, in row 1 the other, in row 2 null."""
    columns = ", ".join(f"c{number} {name}" for number, (name, _, _) in enumerate(TYPES))
    run(conn, *GROUND, f"create table kinds (id integer primary key, {columns})")
    marks = ", ".join(f"%s::{name}" for name, _, _ in TYPES)
    for row, values in enumerate(([old for _, old, _ in TYPES], [new for *_, new in TYPES], [None] * len(TYPES))):
        conn.exec_driver_sql(f"insert into kinds values ({row}, {marks})", tuple(values))


def test_a_change_of_any_type_is_seen_and_named(engine: Engine, conn: Connection) -> None:
    every_type(conn)
    before = table(engine, conn, "kinds", buckets=True)
    for number, (name, _, new) in enumerate(TYPES):
        conn.exec_driver_sql("begin")
        conn.exec_driver_sql(f"update kinds set c{number} = %s::{name} where id = 0", (new,))
        after = table(engine, conn, "kinds")
        assert set(before.columns) ^ set(after.columns) == {
            (f"c{number}", dict(side.columns)[f"c{number}"]) for side in (before, after)
        }, (name, new)
        (found,) = engine.rows.locate(conn, before, f"c{number}")
        assert found.key == "id=0", name
        conn.exec_driver_sql("rollback")


def test_null_is_not_the_empty_value_of_a_type_without_a_hash(engine: Engine, conn: Connection) -> None:
    run(conn, "create extension citext", "create table t (id int primary key, a citext, b bpchar)")
    run(conn, "insert into t values (1, '', '')")
    before = table(engine, conn, "t")
    run(conn, "update t set a = null, b = null")
    after = table(engine, conn, "t")
    assert {name for name, _ in set(before.columns) - set(after.columns)} == {"a", "b"}


def test_zero_is_told_from_minus_zero_only_when_strict(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (id int primary key, f float8)", "insert into t values (1, 0)")
    loose, strict = table(engine, conn, "t"), table(engine, conn, "t", strict=True)
    run(conn, "update t set f = '-0'")
    assert table(engine, conn, "t") == loose
    assert table(engine, conn, "t", strict=True) != strict


def test_zeros_that_trade_places_with_nulls_are_seen(engine: Engine, conn: Connection) -> None:
    # The server's hash of 0.0 is the seed, here the key: 1 + 4 = 2 + 3.
    run(conn, "create table t (id int primary key, f float8, n numeric)")
    run(conn, "insert into t values (1, 0, 0), (2, null, null), (3, null, null), (4, 0, 0)")
    before = table(engine, conn, "t")
    run(conn, "update t set f = case when f is null then 0 end, n = case when n is null then 0 end")
    after = table(engine, conn, "t")
    assert {name for name, _ in set(before.columns) - set(after.columns)} == {"f", "n"}


SETTINGS = {
    "TimeZone": "Asia/Tokyo",
    "DateStyle": "German, DMY",
    "IntervalStyle": "iso_8601",
    "extra_float_digits": "-3",
    "bytea_output": "escape",
    "search_path": "public",
    "row_security": "on",
    "statement_timeout": "1min",
}


@pytest.mark.parametrize("inside", [False, True], ids=["autocommit", "in a transaction"])
def test_settings_of_the_session_do_not_matter_and_stay(engine: Engine, conn: Connection, *, inside: bool) -> None:
    every_type(conn)
    before = table(engine, conn, "kinds", strict=True)
    for name, value in SETTINGS.items():
        run(conn, f"set {name} = {value}" if name in {"DateStyle", "search_path"} else f"set {name} = '{value}'")
    if inside:
        conn.exec_driver_sql("begin")
        run(conn, "update kinds set id = 7 where id = 2")
    after = table(engine, conn, "kinds", strict=True)
    assert (after == before) is not inside
    found = {name: conn.exec_driver_sql(f"show {name}").scalar() for name in SETTINGS}
    assert found == SETTINGS
    if inside:
        assert conn.exec_driver_sql("select count(*) from kinds where id = 7").scalar() == 1
        conn.exec_driver_sql("rollback")


def test_a_dump_restored_elsewhere_prints_equal(
    engine: Engine, conn: Connection, postgresql_url: str, handrail_postgresql: Server
) -> None:
    every_type(conn)
    run(
        conn,
        "create sequence numbers start 7",
        "create sequence used",
        "select nextval('used')",
        "create table booked (id bigserial primary key, twice int generated always as (id * 2) stored) "
        "partition by range (id)",
        "create table booked_low partition of booked for values from (0) to (100)",
        "insert into booked select from generate_series(1, 9)",
    )
    before = engine.rows.fingerprint(conn, strict=True, buckets=True)
    assert dict(before.sequences)["numbers"] == "7, not given out"
    assert dict(before.sequences)["used"] == "1"
    assert [(t.name, t.rows) for t in before.tables] == [("booked", 9), ("kinds", 3)]
    programs = find(handrail_postgresql.major).folder
    with fresh_database(handrail_postgresql) as url:
        # Takes oids, so that those of the copy are others.
        with for_url(url).connect(Purpose.STATE) as other:
            run(other, "create type pad as enum ('x', 'y', 'z')")
        dump = subprocess.run(
            [programs / "pg_dump", "--format=custom", f"--dbname={_plain(postgresql_url)}"],
            check=True,
            capture_output=True,
        )
        subprocess.run([programs / "pg_restore", f"--dbname={_plain(url)}"], check=True, input=dump.stdout)
        with for_url(url).connect(Purpose.READ) as copy:
            after = engine.rows.fingerprint(copy, strict=True, buckets=True)
    assert differences(before, after) == ()
    assert after == before


def _plain(url: str) -> str:
    return make_url(url).set(drivername="postgresql").render_as_string(hide_password=False)


def test_hidden_rows_are_an_error_and_not_left_out(engine: Engine, conn: Connection) -> None:
    run(
        conn,
        "create table secrets (id int primary key, owner text)",
        "insert into secrets values (1, 'a')",
        "alter table secrets enable row level security",
        "do $$ begin create role rows_reader; exception when duplicate_object then null; end $$",
        "grant select on secrets to rows_reader",
        "set role rows_reader",
    )
    assert conn.exec_driver_sql("select count(*) from secrets").scalar() == 0
    with pytest.raises(DBAPIError) as caught:
        engine.rows.fingerprint(conn)
    assert engine.classify(caught.value) is Cause.DENIED
    run(conn, "reset role", "drop owned by rows_reader", "drop role rows_reader")


def test_each_row_is_counted_once_and_what_is_left_out_is_named(engine: Engine, conn: Connection) -> None:
    run(
        conn,
        "create extension postgres_fdw",
        "create extension pg_stat_statements",
        "create schema side",
        "create table side.parents (id int primary key)",
        "create table children (primary key (id)) inherits (side.parents)",
        "insert into side.parents values (1)",
        "insert into children values (2), (3)",
        "create materialized view sums as select count(*) from children",
        "create server elsewhere foreign data wrapper postgres_fdw",
        "create foreign table away (id int) server elsewhere",
        "create unlogged table fast ()",
        "insert into fast default values",
        "create view seen as select * from children",
    )
    found = engine.rows.fingerprint(conn)
    assert [(t.name, t.rows) for t in found.tables] == [("children", 2), ("fast", 1), ("side.parents", 1)]
    assert [name for name, _ in found.left_out] == ["away", "sums"]


def test_a_table_of_very_many_columns_is_read_in_parts(engine: Engine, conn: Connection) -> None:
    columns = ", ".join(f"c{number} smallint default {number % 100}" for number in range(1000))
    run(conn, f"create table wide (id int primary key, {columns})", "insert into wide values (1), (2), (3)")
    before = table(engine, conn, "wide", buckets=True)
    assert before.columns == table(engine, conn, "wide").columns
    run(conn, "update wide set c999 = 7 where id = 2")
    (found,) = engine.rows.locate(conn, before, "c999")
    assert (found.key, found.found) == ("id=2", "7")

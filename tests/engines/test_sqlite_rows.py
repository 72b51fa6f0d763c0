"""Prints of rows on SQLite: values of any type in any column, tables without a key, what modules keep."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from handrail.engines.base import Engine, Purpose, for_url
from handrail.model.rows import TablePrint


@pytest.fixture
def engine(sqlite_url: str) -> Engine:
    return for_url(sqlite_url)


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect(Purpose.STATE) as conn:
        yield conn


def run(conn: Connection, *statements: str) -> None:
    for sql in statements:
        conn.exec_driver_sql(sql)


def table(engine: Engine, conn: Connection, *, strict: bool = False, buckets: bool = False) -> TablePrint:
    found = engine.rows.fingerprint(conn, tables=("t",), strict=strict, buckets=buckets).table("t")
    assert found is not None
    return found


VALUES = ["null", "0", "1", "-1", "'1'", "x'31'", "''", "x''", "1.5", "'1.5'", "9223372036854775807", "1e300", "9e999"]


def test_values_of_every_type_are_told_apart(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (id integer primary key, v)", "insert into t values (1, null), (2, 'x'), (3, 3)")
    prints = set()
    for value in VALUES:
        run(conn, f"update t set v = {value} where id = 1")
        prints.add(table(engine, conn).columns)
    assert len(prints) == len(VALUES)


def test_a_number_may_change_its_type_unless_strict(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (id integer primary key, v)", "insert into t values (1, 0), (2, 4), (3, 1.5)")
    loose, strict = table(engine, conn), table(engine, conn, strict=True)
    run(conn, "update t set v = case id when 1 then -0.0 when 2 then 4.0 else v end")
    assert table(engine, conn) == loose
    assert table(engine, conn, strict=True) != strict


def test_text_that_is_not_utf_8_is_read_and_named(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (id text primary key, v text)")
    run(conn, "insert into t values (cast(x'66e9' as text), cast(x'e9' as text)), ('b', 'x')")
    before = table(engine, conn, buckets=True)
    run(conn, "update t set v = cast(x'e8' as text) where v <> 'x'")
    assert dict(table(engine, conn).columns)["v"] != dict(before.columns)["v"]
    (found,) = engine.rows.locate(conn, before, "v")
    assert (found.key, found.found) == ("id=f\N{REPLACEMENT CHARACTER}", "\N{REPLACEMENT CHARACTER}")
    assert conn.exec_driver_sql("select id from t where id = 'b'").scalar() == "b"


def test_a_rowid_is_no_key(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (v text)", "insert into t values ('a'), ('b'), ('c')")
    before = table(engine, conn)
    assert before.key == ()
    run(conn, "delete from t where v = 'a'", "insert into t values ('a')", "vacuum")
    assert table(engine, conn) == before


def test_a_table_without_rowid_is_read_by_its_key(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (b text, a integer, v generated always as (a * 2), primary key (b, a)) without rowid")
    run(conn, "insert into t values ('x', 2), ('x', 1), ('w', 3)")
    found = table(engine, conn)
    assert (found.key, found.rows, [name for name, _ in found.columns]) == (("b", "a"), 3, ["a", "b", "v"])


def test_counters_are_kept_and_what_modules_make_is_named(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (id integer primary key autoincrement)", "insert into t values (41)", "delete from t")
    run(conn, "create virtual table words using fts5(body)", "insert into words values ('hello')")
    found = engine.rows.fingerprint(conn)
    assert found.sequences == (("t", "41"),)
    assert [name for name, _ in found.left_out] == ["words"]
    assert "words_content" in [t.name for t in found.tables]


def test_reading_leaves_the_transaction_and_its_changes(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (id integer primary key)", "begin", "insert into t values (1)")
    assert table(engine, conn).rows == 1
    run(conn, "rollback")
    assert table(engine, conn).rows == 0

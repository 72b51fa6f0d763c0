"""Prints of all rows and the rows that differ: what every engine promises, shown on each of them."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection

from handrail.engines.base import Engine, Purpose, for_url
from handrail.engines.bucketing import BUCKETS
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.model.rows import RowDifference, TablePrint, differences

ROWS = 3000
PLAYERS = """
create table players (
  id integer not null primary key,
  first_name varchar(60),
  age integer,
  salary numeric(12, 2),
  rating double precision,
  bio text
)
"""
FILL = """
with recursive n (i) as (select 1 union all select i + 1 from n where i < {rows})
insert into players select i, 'F' || (i * 7919), 16 + i % 25, i * 1.25, i / 7.0,
  case when i % 3 = 0 then 'lives in town ' || i end from n
"""


@pytest.fixture
def engine(database_url: str) -> Engine:
    return for_url(database_url)


@pytest.fixture
def conn(engine: Engine) -> Iterator[Connection]:
    with engine.connect(Purpose.STATE) as conn:
        yield conn


@pytest.fixture
def players(conn: Connection) -> Connection:
    fill(conn, ROWS)
    return conn


def fill(conn: Connection, rows: int) -> None:
    run(conn, PLAYERS, FILL.format(rows=rows))


def run(conn: Connection, *statements: str) -> None:
    for sql in statements:
        conn.exec_driver_sql(sql, execution_options={"no_parameters": True})


@contextmanager
def undone(conn: Connection) -> Iterator[None]:
    conn.exec_driver_sql("begin")
    try:
        yield
    finally:
        conn.exec_driver_sql("rollback")


def table(engine: Engine, conn: Connection, name: str, *, strict: bool = False, buckets: bool = False) -> TablePrint:
    found = engine.rows.fingerprint(conn, tables=(name,), strict=strict, buckets=buckets).table(name)
    assert found is not None
    return found


def changed(before: TablePrint, after: TablePrint) -> list[str]:
    assert [name for name, _ in before.columns] == [name for name, _ in after.columns]
    rows = [] if before.rows == after.rows else ["*"]
    return rows + [name for (name, old), (_, new) in zip(before.columns, after.columns, strict=True) if old != new]


# What a print sees


ALL = ["*", "age", "bio", "first_name", "id", "rating", "salary"]
CHANGES = {
    "texts cut": ("update players set first_name = substr(first_name, 1, 5)", ["first_name"]),
    "column emptied": ("update players set bio = null", ["bio"]),
    "one null filled": ("update players set bio = '' where id = 1000", ["bio"]),
    "one text nulled": ("update players set bio = null where id = 999", ["bio"]),
    "cents lost": ("update players set salary = round(salary) where id = 2", ["salary"]),
    "sign turned": ("update players set salary = -salary where id = 7", ["salary"]),
    "one number": ("update players set age = age + 1 where id = 1234", ["age"]),
    "one float": ("update players set rating = rating * (1 + 1e-15) where id = 1234", ["rating"]),
    "one row deleted": ("delete from players where id = 777", ALL),
    "one row inserted": ("insert into players values (100000, 'new', 20, 1, 1, 'new')", ALL),
    "swapped between two rows": (
        "update players set age = (select p.age from players p where p.id = 21 - players.id) where id in (10, 11)",
        ["age"],
    ),
    "key moved": (
        "update players set id = 100000 where id = 777",
        ["age", "bio", "first_name", "id", "rating", "salary"],
    ),
    "written anew": ("update players set age = age, bio = bio, rating = rating, salary = salary + 0", []),
}


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_seen_and_nothing_else(engine: Engine, players: Connection, change: str) -> None:
    sql, columns = CHANGES[change]
    before = table(engine, players, "players")
    with undone(players):
        run(players, sql)
        after = table(engine, players, "players")
    assert changed(before, after) == columns
    assert table(engine, players, "players") == before


def test_reading_with_buckets_and_without_gives_the_same_sums(engine: Engine, players: Connection) -> None:
    with_buckets = table(engine, players, "players", buckets=True)
    assert with_buckets.columns == table(engine, players, "players").columns
    assert with_buckets.rows == sum(bucket.rows for bucket in with_buckets.buckets) == ROWS
    assert with_buckets.bucket_count == BUCKETS


def test_the_whole_print_names_tables_keys_and_the_version_table(engine: Engine, conn: Connection) -> None:
    run(
        conn,
        "create table alembic_version (version_num varchar(32) not null primary key)",
        "insert into alembic_version values ('ae10')",
        "create table lines (a integer not null, b varchar(9) not null, note text, primary key (b, a))",
        "create table known (code varchar(9) not null unique, note text)",
        "create table nulls (code varchar(9) unique, note text)",
        'create table "Odd % ""name""" (id integer primary key, "Some % col:umn" integer)',
        'insert into "Odd % ""name""" values (1, 2)',
    )
    found = engine.rows.fingerprint(conn, buckets=True)
    assert {t.name: (t.key, t.rows) for t in found.tables} == {
        "alembic_version": (("version_num",), 1),
        "lines": (("b", "a"), 0),
        "known": (("code",), 0),
        "nulls": ((), 0),
        'Odd % "name"': (("id",), 1),
    }
    assert found.engine == engine.name
    assert differences(found, engine.rows.fingerprint(conn, buckets=True)) == ()


def test_our_own_tables_are_left_out(engine: Engine, players: Connection) -> None:
    if engine.state_schema:
        players.exec_driver_sql("create schema handrail")
    prefix = f"{engine.state_schema}." if engine.state_schema else "handrail_"
    run(players, f"create table {prefix}log (id integer primary key)")
    assert [t.name for t in engine.rows.fingerprint(players).tables] == ["players"]


def test_rows_without_a_key_are_counted_as_they_are(engine: Engine, conn: Connection) -> None:
    run(conn, "create table events (a integer, b text)")
    run(conn, "insert into events values (1, 'x'), (1, 'x'), (4, 'y'), (null, '')")
    before = table(engine, conn, "events", buckets=True)
    assert (before.key, before.buckets) == ((), ())
    for sql, columns in {
        "update events set a = case a when 4 then 3 else a end": ["a"],
        "update events set a = case a when 4 then 5 when 1 then 0 else a end": ["a"],
        "delete from events where a is null": ["*", "b"],
        "update events set b = null where b = ''": ["b"],
    }.items():
        with undone(conn):
            run(conn, sql)
            assert changed(before, table(engine, conn, "events")) == columns, sql
    (difference,) = engine.rows.locate(conn, before, "a")
    assert difference.describe() == "events.a: no row can be named: the table has no key"


def test_a_print_is_of_one_moment(engine: Engine, players: Connection) -> None:
    before = table(engine, players, "players")
    with engine.connect(Purpose.READ) as reader:
        reader.exec_driver_sql("begin" if engine.name == "sqlite" else "begin isolation level repeatable read")
        assert table(engine, reader, "players") == before
        if engine.name != "sqlite":  # where a reader keeps a writer from committing
            run(players, "delete from players where id = 5")
            assert table(engine, reader, "players") == before
        reader.exec_driver_sql("commit")


def test_numbers_of_the_same_value_differ_only_when_strict(engine: Engine, conn: Connection) -> None:
    run(conn, "create table t (id integer primary key, n numeric)")
    if engine.name == "sqlite":  # which has no decimals; the type decides
        run(conn, "drop table t", "create table t (id integer primary key, n)")
    run(conn, "insert into t values (1, 1)")
    loose, strict = table(engine, conn, "t"), table(engine, conn, "t", strict=True)
    run(conn, "update t set n = 1.0")
    assert table(engine, conn, "t") == loose
    assert changed(strict, table(engine, conn, "t", strict=True)) == ["n"]


@pytest.mark.parametrize("purpose", Purpose)
def test_every_kind_of_connection_reads_the_same(engine: Engine, players: Connection, purpose: Purpose) -> None:
    before = table(engine, players, "players", buckets=True)
    with engine.connect(purpose) as other:
        assert table(engine, other, "players", buckets=True) == before
        assert other.exec_driver_sql("select count(*) from players").scalar() == ROWS


def test_prints_by_different_keys_are_not_compared_value_by_value(engine: Engine, conn: Connection) -> None:
    prints = []
    for key in ("a", "b"):
        run(conn, "drop table if exists t", f"create table t (a integer, b integer, primary key ({key}))")
        prints.append(engine.rows.fingerprint(conn))
    (found,) = differences(*prints)
    assert found.describe() == "t: its values cannot be compared: the keys are a and b"


# Which row it was


def test_a_changed_row_is_named_without_the_original(engine: Engine, players: Connection) -> None:
    before = table(engine, players, "players", buckets=True)
    assert engine.rows.locate(players, before, "age")[0].note == "no bucket of rows differs"
    run(players, "update players set age = 99 where id in (10, 2000)", "update players set bio = null where id = 9")
    ages = engine.rows.locate(players, before, "age")
    assert {difference.key: difference.found for difference in ages} == {"id=10": "99", "id=2000": "99"}
    (bio,) = engine.rows.locate(players, before, "bio")
    assert bio.describe() == "players.bio where id=9 differs: it is NULL now"


def test_rows_that_came_or_went_are_told(engine: Engine, players: Connection) -> None:
    before = table(engine, players, "players", buckets=True)
    with undone(players):
        run(players, "insert into players values (100000, 'new', 20, 1, 1, 'new')")
        (found,) = engine.rows.locate(players, before, "first_name")
        assert found == RowDifference(table="players", key="id=100000", note="a row that was not there")
    run(players, "delete from players where id = 777")
    (found,) = engine.rows.locate(players, before, "first_name")
    assert (found.column, found.key) == ("", "")
    assert found.note.startswith("1 row is missing from bucket ")


def test_what_cannot_be_named_is_said_and_never_guessed(engine: Engine, players: Connection) -> None:
    before = table(engine, players, "players", buckets=True)
    run(players, "update players set age = age + 1")
    for difference in engine.rows.locate(players, before, "age"):
        assert difference.key == ""
        assert "more than one row changed in 2" in difference.note
    run(players, "alter table players drop column bio")
    assert engine.rows.locate(players, before, "bio")[0].note == "the column is missing"
    run(players, "drop table players")
    assert engine.rows.locate(players, before, "age")[0].note == "the table is missing"


KEYS = {
    "composite": ("a integer not null, b varchar(9) not null", "a, b", "{n} % 10, 'k' || ({n} / 10)", "a=7, b=k3"),
    "text": ("code varchar(20) not null", "code", "'it''s ' || {n}", "code=it's 37"),
    "uuid": (
        "u uuid not null",
        "u",
        "cast('00000000-0000-0000-0000-0000000000' || (10 + {n}) as {uuid})",
        "u=00000000-0000-0000-0000-000000000047",
    ),
    "negative": ("id integer not null", "id", "-{n}", "id=-37"),
    "decimal": ("d numeric(9, 2) not null", "d", "-{n} / 4.0", "d=-9.25"),
}


@pytest.mark.parametrize("kind", KEYS)
def test_a_row_is_named_by_whatever_key_it_has(engine: Engine, conn: Connection, kind: str) -> None:
    declared, key, values, name = KEYS[kind]
    uuid = "text" if engine.name == "sqlite" else "uuid"
    run(
        conn,
        f"create table t ({declared}, v text, primary key ({key}))",
        "with recursive n (i) as (select 0 union all select i + 1 from n where i < 79) insert into t select "
        f"{values.format(n='i', uuid=uuid)}, 'v' || i from n",
    )
    before = table(engine, conn, "t", buckets=True)
    run(conn, "update t set v = 'other' where v = 'v37'")
    assert changed(before, table(engine, conn, "t")) == ["v"]
    (found,) = engine.rows.locate(conn, before, "v")
    assert (found.key, found.found) == (name, "other")


@pytest.fixture
def copy(engine: Engine, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Connection]:
    """A second database of the same engine with the same players."""
    with ExitStack() as stack:
        url = f"sqlite:///{tmp_path / 'copy.db'}"
        if engine.name == "postgresql":
            url = stack.enter_context(fresh_database(request.getfixturevalue("handrail_postgresql")))
        conn = stack.enter_context(for_url(url).connect(Purpose.STATE))
        fill(conn, ROWS)
        yield conn


def test_two_databases_are_compared_row_by_row(engine: Engine, players: Connection, copy: Connection) -> None:
    assert engine.rows.compare(players, copy, "players", "age") == ()
    run(
        copy,
        "update players set age = age + 1 where id in (10, 11)",
        "update players set bio = '' where id = 1",
        "update players set first_name = substr(first_name, 1, 5) where id = 2999",
    )
    run(copy, "delete from players where id = 5", "insert into players values (4000, 'x', 1, 1, 1, 'x')")
    ages = [difference.describe() for difference in engine.rows.compare(players, copy, "players", "age")]
    assert ages == [
        "players where id=5: the row is missing",
        "players.age where id=10: 27, expected 26",
        "players.age where id=11: 28, expected 27",
        "players where id=4000: a row that was not there",
    ]
    bios = [difference.describe() for difference in engine.rows.compare(players, copy, "players", "bio")]
    assert "players.bio where id=1: , expected NULL" in bios
    names = [difference.describe() for difference in engine.rows.compare(players, copy, "players", "first_name")]
    assert "players.first_name where id=2999: F2374, expected F23749081" in names


def test_a_comparison_ends_at_its_limit_and_shows_where_long_values_part(
    engine: Engine, players: Connection, copy: Connection
) -> None:
    run(copy, "update players set age = age + 1")
    assert len(engine.rows.compare(players, copy, "players", "age", limit=7)) == 7
    text = "a" * 5000
    run(players, f"update players set bio = '{text}one' where id = 3")
    run(copy, f"update players set bio = '{text}two' where id = 3")
    (found,) = engine.rows.compare(players, copy, "players", "bio")
    assert found.expected is not None
    assert found.found is not None
    assert (found.expected[-3:], found.found[-3:]) == ("one", "two")
    assert max(len(found.expected), len(found.found)) < 100


# The property


_TEXT = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=12)
_CELLS = {
    "i": st.none() | st.integers(-(2**63), 2**63 - 1),
    "t": st.none() | _TEXT,
    "f": st.none() | st.floats(allow_nan=False, allow_infinity=False),
    "b": st.none() | st.binary(max_size=9),
}
_ROW = st.tuples(*_CELLS.values())
_TYPES = {"postgresql": ("bigint", "text", "double precision", "bytea"), "sqlite": ("bigint", "text", "real", "blob")}


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.lists(_ROW, min_size=1, max_size=40), data=st.data())
def test_any_one_changed_cell_is_named_whatever_the_order_of_the_rows(
    engine: Engine, conn: Connection, rows: list[tuple[object, ...]], data: st.DataObject
) -> None:
    types = ", ".join(f"{name} {kind}" for name, kind in zip(_CELLS, _TYPES[engine.name], strict=True))
    numbered = [(number, *row) for number, row in enumerate(rows)]
    mark = "?" if engine.name == "sqlite" else "%s"

    def filled(content: list[tuple[object, ...]]) -> TablePrint:
        run(conn, "begin", "drop table if exists cells", f"create table cells (id integer primary key, {types})")
        for row in content:
            conn.exec_driver_sql(f"insert into cells values ({', '.join([mark] * 5)})", row)
        run(conn, "commit")
        return table(engine, conn, "cells", buckets=True)

    expected = filled(numbered)
    assert filled(random.Random(len(rows)).sample(numbered, len(numbered))) == expected  # noqa: S311 - an order

    number = data.draw(st.integers(0, len(rows) - 1))
    column = data.draw(st.sampled_from(list(_CELLS)))
    old = rows[number][list(_CELLS).index(column)]
    new = data.draw(_CELLS[column].filter(lambda value: value != old))
    conn.exec_driver_sql(f"update cells set {column} = {mark} where id = {mark}", (new, number))

    assert changed(expected, table(engine, conn, "cells")) == [column]
    (found,) = engine.rows.locate(conn, expected, column)
    assert (found.column, found.key) == (column, f"id={number}")

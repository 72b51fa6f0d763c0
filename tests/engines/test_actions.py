"""What each engine reads out of a statement, and the schema that follows from it."""

from __future__ import annotations

from functools import reduce

import pytest

from handrail.engines.dialects import for_name
from handrail.model import action as act
from handrail.model.replayed import EMPTY, Replayed, replayed
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN


def after(engine: str, *statements: str, maker: str = "a1") -> Replayed:
    read = for_name(engine).actions.actions
    return reduce(lambda state, action: replayed(state, action, maker), [a for s in statements for a in read(s)], EMPTY)


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_a_table_is_known_with_types_nulls_defaults_and_constraints(engine: str) -> None:
    state = after(
        engine,
        "CREATE TABLE teams (id integer PRIMARY KEY)",
        "CREATE TABLE users (id integer NOT NULL, name varchar(50) DEFAULT 'x' NOT NULL, team integer, "
        "PRIMARY KEY (id), CONSTRAINT uq UNIQUE (name), CHECK (id > 0), "
        "CONSTRAINT fk FOREIGN KEY (team) REFERENCES teams (id) ON DELETE CASCADE)",
    )
    table = state.table("users")
    assert table is not None
    assert table.complete
    assert table.primary_key == ("id",)
    name = table.column("name")
    assert name is not None
    assert (name.type, name.nullable, name.default) == (
        "character varying(50)" if engine == "postgresql" else "varchar(50)",
        False,
        "'x'",
    )
    key = table.constraint("fk")
    assert key is not None
    assert (key.referenced_table, key.referenced_columns, key.on_delete) == ("teams", ("id",), "CASCADE")
    assert [t.name for t, _ in state.referring("teams")] == ["users"]
    assert ConstraintKind.CHECK in {c.kind for c in table.constraints}


@pytest.mark.parametrize("engine", ["postgresql", "sqlite"])
def test_columns_and_tables_that_are_renamed_or_dropped_are_followed(engine: str) -> None:
    state = after(
        engine,
        "CREATE TABLE users (id integer, a integer, b text)",
        "CREATE INDEX ix ON users (a)",
        "ALTER TABLE users RENAME COLUMN a TO z",
        "ALTER TABLE users DROP COLUMN b",
        "ALTER TABLE users RENAME TO people",
    )
    table = state.table("people")
    assert table is not None
    assert state.table("users") is None
    assert [c.name for c in table.columns] == ["id", "z"]
    assert [i.columns for i in table.indexes] == [("z",)]
    assert state.dropped["users", "b"][1] == "a1"


def test_a_constraint_that_is_validated_later_is_not_valid_before() -> None:
    made = ("CREATE TABLE users (id int)", "ALTER TABLE users ADD CONSTRAINT ck CHECK (id > 0) NOT VALID")
    for statements, valid in ((made, False), ((*made, "ALTER TABLE users VALIDATE CONSTRAINT ck"), True)):
        table = after("postgresql", *statements).table("users")
        assert table is not None
        assert [c.validated for c in table.constraints] == [valid]


def test_what_was_never_seen_being_made_is_known_in_part() -> None:
    state = after("postgresql", "ALTER TABLE users ALTER COLUMN email SET NOT NULL")
    table = state.table("users")
    assert table is not None
    assert not table.complete
    email = table.column("email")
    assert email is not None
    assert (email.nullable, email.type, email.default) == (False, UNKNOWN, UNKNOWN)
    with pytest.raises(TypeError, match="neither true nor false"):
        bool(email.type)


def test_a_batch_that_makes_a_table_anew_leaves_it_as_old_as_it_was() -> None:
    old = after("sqlite", "CREATE TABLE users (id integer)", maker="a1")
    read = for_name("sqlite").actions.actions
    batch = (
        "CREATE TABLE _alembic_tmp_users (id integer, email text)",
        "INSERT INTO _alembic_tmp_users (id) SELECT users.id FROM users",
        "DROP TABLE users",
        "ALTER TABLE _alembic_tmp_users RENAME TO users",
    )
    state = reduce(lambda s, a: replayed(s, a, "a2"), [a for sql in batch for a in read(sql)], old)
    table = state.table("users")
    assert table is not None
    assert table.created_in == "a1"
    assert table.added == {"id": "a1", "email": "a2"}


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("DO $$ BEGIN EXECUTE concat('DROP TABLE ', 'users'); END $$", act.Opaque),
        ("SELECT my_function()", act.Opaque),
        ("not sql at all", act.Opaque),
        ("UPDATE users SET a = 1", act.WriteRows),
        ("LOCK TABLE users", act.LockTable),
        ("REINDEX TABLE users", act.Reindex),
        ("SET lock_timeout = '2s'", act.SetSetting),
        ("COMMIT", act.TransactionControl),
        ("ALTER TYPE mood ADD VALUE 'bored'", act.AddEnumValue),
        ("VACUUM FULL users", act.Other),
    ],
)
def test_postgresql_says_what_a_statement_does(sql: str, expected: type) -> None:
    (action,) = for_name("postgresql").actions.actions(sql)
    assert isinstance(action, expected)


def test_a_query_does_nothing() -> None:
    assert for_name("postgresql").actions.actions("SELECT id FROM users") == ()
    assert for_name("sqlite").actions.actions("SELECT id FROM users") == ()


def test_what_a_do_block_may_do_or_leave_is_read_and_the_rest_of_it_stays_unknown() -> None:
    block = """DO LANGUAGE plpgsql $$ DECLARE n int; BEGIN
        SELECT count(*) INTO n FROM users;
        IF n > 0 THEN ALTER TABLE users DROP COLUMN age; ELSE EXECUTE 'DROP TABLE users'; END IF;
        EXECUTE format('DROP TABLE %I', n);
    EXCEPTION WHEN undefined_column THEN NULL; END $$"""
    choice, column, table, made = for_name("postgresql").actions.actions(block)
    assert (column, table) == (
        act.DropColumn(table="users", column="age", if_exists=True),
        act.DropTable(table="users", if_exists=True),
    )
    assert [one.anything for one in (choice, made) if isinstance(one, act.Opaque)] == [False, True]


@pytest.mark.parametrize("sql", ["DO LANGUAGE plpython3u $$ DROP TABLE users $$", "DO $$ BEGIN DROP TABLE users $$"])
def test_a_do_block_that_cannot_be_read_may_do_anything(sql: str) -> None:
    assert [type(action) for action in for_name("postgresql").actions.actions(sql)] == [act.Opaque]


def test_partitions_go_with_their_table() -> None:
    made = (
        "CREATE TABLE logs (day date) PARTITION BY RANGE (day, (lower(kind)))",
        "CREATE TABLE logs_1 PARTITION OF logs DEFAULT PARTITION BY LIST (day)",
        "CREATE TABLE logs_1_1 PARTITION OF logs_1 DEFAULT",
        "CREATE TABLE heirs () INHERITS (logs)",
    )
    logs = after("postgresql", *made).table("logs")
    assert logs is not None
    assert logs.partition_by == ("day", "lower(kind)")
    assert set(after("postgresql", *made, "DROP TABLE logs").tables) == {"heirs"}


def test_the_indexes_of_a_materialized_view_go_with_it() -> None:
    made = ("CREATE MATERIALIZED VIEW totals AS SELECT 1 AS n", "CREATE INDEX ix ON totals (n)")
    assert after("postgresql", *made).table_of_index("ix") is not None
    assert after("postgresql", *made, "DROP MATERIALIZED VIEW totals").table_of_index("ix") is None


def test_enums_are_followed() -> None:
    state = after(
        "postgresql",
        "CREATE TYPE mood AS ENUM ('sad', 'ok')",
        "ALTER TYPE mood ADD VALUE 'happy'",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    )
    assert state.enums["mood"] == ("blue", "ok", "happy")
    assert "mood" not in after("postgresql", "CREATE TYPE mood AS ENUM ('a')", "DROP TYPE mood").enums


def test_what_stands_in_a_do_block_is_read_as_if_it_stood_alone() -> None:
    read = for_name("postgresql").actions.actions
    block = "DO $$ BEGIN ALTER TABLE users DROP COLUMN bio; EXECUTE 'DROP TABLE teams'; END $$"
    assert read(block) == (*read("ALTER TABLE users DROP COLUMN bio"), *read("DROP TABLE teams"))


def test_what_a_do_block_makes_unless_it_is_there_is_made_if_not_exists() -> None:
    state = after(
        "postgresql",
        "CREATE TABLE users (id integer)",
        "DO $$ BEGIN IF NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attname = 'nick') THEN"
        " ALTER TABLE users ADD COLUMN nick text; END IF; END $$",
        "DO $$ BEGIN CREATE TYPE mood AS ENUM ('ok'); EXCEPTION WHEN duplicate_object THEN NULL; END $$",
    )
    assert state.certain
    assert state.column("users", "nick") is not None
    assert state.enums["mood"] == ("ok",)


@pytest.mark.parametrize(
    "block",
    [
        "DO $$ BEGIN EXECUTE format('DROP TABLE %I', 'users'); END $$",
        "DO LANGUAGE plpython3u $$ plpy.execute('DROP TABLE users') $$",
        "DO $$ BEGIN IF 1 THEN $$",
        "COPY users FROM PROGRAM 'curl https://example.org'",
    ],
)
def test_what_may_be_any_statement_is_told_as_such(block: str) -> None:
    told = for_name("postgresql").actions.actions(block)
    assert [action.anything for action in told if isinstance(action, act.Opaque)] == [True]


def test_an_update_that_sets_what_is_there_is_a_touch() -> None:
    read = for_name("postgresql").actions.actions
    touches = ['UPDATE users SET name = name, "Age" = "Age"', "UPDATE users SET name = lower(name)"]
    assert [action.touch for sql in touches for action in read(sql) if isinstance(action, act.WriteRows)] == [
        True,
        False,
    ]


def test_a_sequence_goes_with_the_column_that_it_is_owned_by() -> None:
    made = ("CREATE TABLE t (a integer, b integer)", "CREATE SEQUENCE s OWNED BY t.a", "CREATE SEQUENCE z")
    moved = "ALTER SEQUENCE z OWNED BY t.b"
    left = {
        drop: {name for _, name in after("postgresql", *made, moved, *drop).objects}
        for drop in (
            ("ALTER TABLE t DROP COLUMN a",),
            ("ALTER TABLE t RENAME COLUMN b TO c", "ALTER TABLE t DROP COLUMN c"),
            ("ALTER TABLE t RENAME TO u", "DROP TABLE u"),
            ("ALTER SEQUENCE s OWNED BY NONE", "DROP TABLE t"),
        )
    }
    assert list(left.values()) == [{"z"}, {"s"}, set(), {"s"}]


@pytest.mark.parametrize(
    ("drop", "views", "columns"),
    [
        ("DROP TABLE t CASCADE", set(), None),
        ("ALTER TABLE t DROP COLUMN a CASCADE", {"b_only"}, ["b", "m", "ms"]),
        ("DROP VIEW v CASCADE", {"b_only"}, ["a", "b", "m", "ms"]),
        ("DROP TYPE mood CASCADE", {"v", "above", "b_only"}, ["a", "b"]),
        ("ALTER TABLE t DROP COLUMN a", {"v", "above", "b_only"}, ["b", "m", "ms"]),
    ],
)
def test_what_cascade_takes_along_is_gone(drop: str, views: set[str], columns: list[str] | None) -> None:
    state = after(
        "postgresql",
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE TABLE t (a integer PRIMARY KEY, b integer, m mood, ms mood[])",
        "CREATE TABLE other (t integer, CONSTRAINT fk FOREIGN KEY (t) REFERENCES t (a))",
        "CREATE VIEW v AS SELECT a FROM t",
        "CREATE VIEW above AS SELECT a FROM v",
        "CREATE VIEW b_only AS SELECT b FROM t",
        drop,
    )
    table, other = state.table("t"), state.table("other")
    assert {name for kind, name in state.objects if kind == "view"} == views
    assert (table and [column.name for column in table.columns]) == columns
    assert other is not None
    assert (other.constraint("fk") is None) is (drop in {"DROP TABLE t CASCADE", "ALTER TABLE t DROP COLUMN a CASCADE"})

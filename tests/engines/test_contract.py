"""What every engine promises, shown on each of them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import pytest
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from wanted import wanted

from handrail.engines.base import Cause, Engine, Landed, Purpose, for_url, transaction
from handrail.model.effect import Blocks
from handrail.model.operation import StatementKind
from handrail.model.schema import Change, diff
from handrail.model.verdict import Confidence

DEADLINE_S = 20.0

USERS = """
create table users (
  id integer not null,
  email varchar(100) not null,
  age integer default 1,
  constraint pk_users primary key (id),
  constraint uq_users_email unique (email)
)
"""
PLAYERS = """
create table players (
  id integer not null,
  user_id integer,
  score integer,
  constraint pk_players primary key (id),
  constraint fk_players_user foreign key (user_id) references users (id),
  constraint ck_players_score check (score >= 0)
)
"""
INDEX = "create index ix_players_score on players (score)"
VIEW = "create view best as select id, score from players where score > 100"
SCHEMA = (USERS, PLAYERS, INDEX, VIEW)
DROP = ("drop view if exists best", "drop table if exists players", "drop table if exists users")


@pytest.fixture
def engine(database_url: str) -> Engine:
    return for_url(database_url)


@pytest.fixture
def state(engine: Engine) -> Iterator[Connection]:
    with engine.connect(Purpose.STATE) as conn:
        yield conn


def run(conn: Connection, statements: Sequence[str]) -> None:
    for sql in statements:
        conn.exec_driver_sql(sql)


def cause_of(engine: Engine, conn: Connection, sql: str) -> Cause:
    with pytest.raises(DBAPIError) as caught:
        conn.exec_driver_sql(sql)
    return engine.classify(caught.value)


def within(deadline_s: float, holds: Callable[[], bool]) -> bool:
    """Whether it holds before the deadline; a server notices the end of a session a moment later."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if holds():
            return True
    return False


# The schema and its differences


def test_an_empty_database_has_an_empty_snapshot(engine: Engine) -> None:
    with engine.connect(Purpose.READ) as conn:
        snapshot = engine.catalog.snapshot(conn)
    assert snapshot.tables == ()
    assert snapshot.engine == engine.name


def test_the_same_schema_reads_the_same_on_every_kind_of_connection(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    found = []
    for purpose in Purpose:
        with engine.connect(purpose) as conn:
            found.append((engine.catalog.fingerprint(conn), engine.catalog.snapshot(conn)))
    assert found[0] == found[1] == found[2]


def test_the_order_of_statements_and_columns_counts_only_when_strict(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    fingerprint, strict = engine.catalog.fingerprint(state), engine.catalog.fingerprint(state, strict=True)
    snapshot = engine.catalog.snapshot(state)
    run(state, DROP)

    without_age = USERS.replace("  age integer default 1,\n", "")
    without_score = PLAYERS.replace("  user_id integer,\n", "").replace("  id integer not null,\n", "")
    turned = without_score.replace("(\n  score", "(\n  user_id integer,\n  id integer not null,\n  score", 1)
    run(state, (without_age, turned, VIEW, INDEX, "alter table users add column age integer default 1"))

    assert engine.catalog.fingerprint(state) == fingerprint
    assert engine.catalog.fingerprint(state, strict=True) != strict
    assert diff(snapshot, engine.catalog.snapshot(state)) == ()


CHANGES = {
    "column-missing": ("  age integer default 1,\n", "", (Change.MISSING, "column", "users.age", "")),
    "column-unexpected": (
        "  score integer,\n",
        "  score integer,\n  note text,\n",
        (Change.UNEXPECTED, "column", "players.note", ""),
    ),
    "type": ("age integer", "age bigint", (Change.DIFFERENT, "column", "users.age", "type")),
    "default": ("default 1", "default 2", (Change.DIFFERENT, "column", "users.age", "default")),
    "default-missing": ("default 1", "", (Change.DIFFERENT, "column", "users.age", "default")),
    "nullable": ("(100) not null", "(100)", (Change.DIFFERENT, "column", "users.email", "nullable")),
    "primary-key-missing": (
        "  constraint pk_players primary key (id),\n",
        "",
        (Change.MISSING, "primary key", "players.pk_players", ""),
    ),
    "unique-missing": (
        ",\n  constraint uq_users_email unique (email)",
        "",
        (Change.MISSING, "unique constraint", "users.uq_users_email", ""),
    ),
    "foreign-key": (
        "references users (id)",
        "references users (id) on delete cascade",
        (Change.DIFFERENT, "foreign key", "players.fk_players_user", "definition"),
    ),
    "check": (
        "score >= 0",
        "score >= 1",
        (Change.DIFFERENT, "check constraint", "players.ck_players_score", "definition"),
    ),
    "index": (
        "on players (score)",
        "on players (score, id)",
        (Change.DIFFERENT, "index", "players.ix_players_score", "definition"),
    ),
    "index-missing": (INDEX, "select 1", (Change.MISSING, "index", "players.ix_players_score", "")),
    "view": ("score > 100", "score > 99", (Change.DIFFERENT, "view", "best", "definition")),
}


@pytest.mark.parametrize(("old", "new", "expected"), CHANGES.values(), ids=CHANGES)
def test_each_change_has_another_fingerprint_and_is_named_by_the_difference(
    engine: Engine, state: Connection, old: str, new: str, expected: tuple[Change, str, str, str]
) -> None:
    run(state, SCHEMA)
    fingerprint, snapshot = engine.catalog.fingerprint(state), engine.catalog.snapshot(state)
    run(state, DROP)
    run(state, [sql.replace(old, new) for sql in SCHEMA])

    assert engine.catalog.fingerprint(state) != fingerprint
    differences = diff(snapshot, engine.catalog.snapshot(state))
    # A constraint may bring an index with it, so the difference is one of those found, and all are of one table.
    assert expected in [(d.change, d.kind, d.name, d.aspect) for d in differences]
    assert {d.name.partition(".")[0] for d in differences} == {expected[2].partition(".")[0]}


def test_a_difference_in_a_trigger_is_named(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    fingerprint, snapshot = engine.catalog.fingerprint(state), engine.catalog.snapshot(state)
    run(state, TRIGGER[engine.name])
    assert engine.catalog.fingerprint(state) != fingerprint
    assert "trigger" in {d.kind for d in diff(snapshot, engine.catalog.snapshot(state))}


TRIGGER = {
    "sqlite": ("create trigger touch after update on users begin select 1; end",),
    "postgresql": (
        "create function touch() returns trigger language plpgsql as $$ begin return new; end $$",
        "create trigger touch after update on users for each row execute function touch()",
    ),
}


def test_our_own_tables_and_the_version_table_are_not_part_of_the_schema(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    fingerprint, snapshot = engine.catalog.fingerprint(state), engine.catalog.snapshot(state)

    run(state, ["create table alembic_version (version_num varchar(32) not null primary key)"])
    if engine.state_schema:
        run(state, [f"create schema {engine.state_schema}", f"create table {engine.state_schema}.log (id integer)"])
    else:
        run(state, ["create table handrail_log (id integer)", "create index handrail_ix on handrail_log (id)"])

    assert engine.catalog.fingerprint(state) == fingerprint
    assert engine.catalog.snapshot(state) == snapshot
    assert engine.catalog.snapshot(state, version_table="other").table("alembic_version") is not None


# Connections


def test_a_read_connection_cannot_write(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    with engine.connect(Purpose.READ) as conn:
        assert cause_of(engine, conn, "create table stray (id integer)") is Cause.READ_ONLY
    with engine.connect(Purpose.READ) as conn:
        assert cause_of(engine, conn, "insert into users (id, email) values (1, 'a')") is Cause.READ_ONLY


def test_a_state_connection_commits_each_statement(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    run(state, ["insert into users (id, email) values (1, 'a')"])
    with engine.connect(Purpose.READ) as conn:
        assert conn.exec_driver_sql("select email from users").scalar_one() == "a"


def test_ddl_and_rows_of_a_migrate_connection_are_rolled_back_together(engine: Engine, state: Connection) -> None:
    run(state, [USERS])
    with engine.connect(Purpose.MIGRATE) as conn:
        conn.exec_driver_sql("insert into users (id, email) values (1, 'a')")
        conn.exec_driver_sql("create table stray (id integer)")
        conn.rollback()
    assert engine.catalog.snapshot(state).table("stray") is None
    assert state.exec_driver_sql("select count(*) from users").scalar_one() == 0


def test_the_target_names_the_server_and_no_password(engine: Engine, state: Connection) -> None:
    target = engine.target(state)
    assert target.engine == engine.name
    assert target.server.startswith(str(target.server_major))
    assert target.database
    assert not target.read_only
    assert not target.standby


def test_a_database_like_this_one_is_not_refused(engine: Engine, state: Connection) -> None:
    assert engine.activity.refusals(state, oldest_transaction_s=3600) == ()
    pid, started = engine.activity.session(state)
    assert engine.activity.end_session(state, pid, f"not {started}") is False


def test_a_step_that_breaks_nothing_has_nothing_to_say_before_its_commit(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    with engine.connect(Purpose.MIGRATE) as conn:
        engine.before_step(conn)
        with conn.begin():
            conn.exec_driver_sql("insert into users (id, email) values (1, 'a')")
            assert engine.before_commit(conn) == ()
        engine.after_step(conn)
    assert state.exec_driver_sql("select count(*) from users").scalar_one() == 1


# Causes


def test_a_broken_constraint_is_classified(engine: Engine, state: Connection) -> None:
    run(state, SCHEMA)
    run(state, ["insert into users (id, email) values (1, 'a')"])
    assert cause_of(engine, state, "insert into users (id, email) values (2, 'a')") is Cause.CONSTRAINT
    assert cause_of(engine, state, "insert into players (id, score) values (1, -1)") is Cause.CONSTRAINT


def test_existing_and_missing_objects_are_classified_where_the_server_has_a_code(
    engine: Engine, state: Connection
) -> None:
    run(state, [USERS])
    codes = engine.name != "sqlite"  # SQLITE_ERROR says no more, and messages are never matched
    assert cause_of(engine, state, USERS) is (Cause.EXISTS if codes else Cause.OTHER)
    assert cause_of(engine, state, "drop table nowhere") is (Cause.MISSING if codes else Cause.OTHER)


def add_column(conn: Connection, bound: str) -> None:
    with transaction(conn):
        conn.exec_driver_sql(bound)
        conn.exec_driver_sql("alter table users add column note text")


def test_a_lock_that_is_not_to_be_had_in_time_is_classified(engine: Engine, state: Connection) -> None:
    run(state, [USERS])
    bound = engine.locks.set_lock_timeout(0.05)
    assert bound is not None
    with engine.connect(Purpose.MIGRATE) as holder:
        holder.exec_driver_sql("insert into users (id, email) values (1, 'a')")
        state.exec_driver_sql(bound)  # for an engine that takes the lock where the transaction begins
        with pytest.raises(DBAPIError) as caught:
            add_column(state, bound)
    assert engine.classify(caught.value) is Cause.LOCK_TIMEOUT


def test_what_no_driver_raised_has_no_special_cause(engine: Engine) -> None:
    assert engine.classify(ValueError("from a migration")) is Cause.OTHER


# Locks


def test_who_holds_a_lock_is_seen_until_the_transaction_ends(engine: Engine, state: Connection) -> None:
    run(state, [USERS])
    with engine.connect(Purpose.MIGRATE) as holder:
        holder.exec_driver_sql("insert into users (id, email) values (1, 'secret')")
        blockers = engine.locks.blockers(state, wanted("users"), older_than_s=0.0)
        assert blockers
        assert all("secret" not in blocker.describe() for blocker in blockers)
        assert engine.locks.blockers(state, (), older_than_s=0.0) == ()
        holder.rollback()
    assert engine.locks.blockers(state, wanted("users"), older_than_s=0.0) == ()
    assert engine.locks.blockers(state, wanted("nowhere"), older_than_s=0.0) == ()


def test_the_lease_is_held_by_one_session_at_a_time(engine: Engine, state: Connection) -> None:
    assert engine.locks.try_lease(state)
    with engine.connect(Purpose.STATE) as other:
        assert not engine.locks.try_lease(other)
        engine.locks.release_lease(state)
        assert engine.locks.try_lease(other)
        assert not engine.locks.try_lease(state)
    assert within(DEADLINE_S, lambda: engine.locks.try_lease(state)), "a closed connection has given its lease back"
    engine.locks.release_lease(state)


# Statements

KINDS = {
    "create table t (a integer)": StatementKind.SCHEMA,
    "ALTER TABLE t ADD COLUMN b integer": StatementKind.SCHEMA,
    "drop index ix": StatementKind.SCHEMA,
    "create view v as select 1": StatementKind.SCHEMA,
    "insert into t (a) values (1)": StatementKind.DATA,
    "-- first\nupdate t set a = 2": StatementKind.DATA,
    "/* all */ delete from t": StatementKind.DATA,
    "with gone as (select 1 as a) delete from t where a in (select a from gone)": StatementKind.DATA,
    "select a from t": StatementKind.READ,
    "with x as (select 1) select * from x": StatementKind.READ,
    "begin": StatementKind.SESSION,
    "savepoint s": StatementKind.SESSION,
    "this is not sql": StatementKind.SCHEMA,
}


@pytest.mark.parametrize(("sql", "kind"), KINDS.items(), ids=KINDS)
def test_a_statement_is_of_its_kind(engine: Engine, sql: str, kind: StatementKind) -> None:
    assert engine.statements.kind(sql) is kind


def test_literals_are_hidden_and_names_are_not(engine: Engine) -> None:
    shown = engine.statements.hide_literals("update users set email = 'secret@x', age = 4711 where id in (42, 43)")
    assert "users" in shown
    assert "email" in shown
    for literal in ("secret@x", "4711", "42", "43"):
        assert literal not in shown


@pytest.mark.parametrize(
    ("sql", "undo"),
    [
        ("create table fresh (id integer)", "drop table fresh"),
        ("create index ix_fresh on users (age)", "drop index ix_fresh"),
        ("alter table users add column note text", "alter table users drop column note"),
        ("create view everybody as select id from users", "drop view everybody"),
    ],
)
def test_whether_a_statement_took_effect_is_read_from_the_catalogue(
    engine: Engine, state: Connection, sql: str, undo: str
) -> None:
    run(state, [USERS])
    assert engine.statements.landed(state, sql) is Landed.NO
    assert engine.statements.landed(state, undo) is not Landed.NO
    run(state, [sql])
    assert engine.statements.landed(state, sql) is Landed.YES
    assert engine.statements.landed(state, undo) is Landed.NO


def test_whether_rows_were_written_cannot_be_read_from_the_catalogue(engine: Engine, state: Connection) -> None:
    run(state, [USERS])
    assert engine.statements.landed(state, "update users set age = age + 1") is Landed.UNKNOWN


# Effects


def test_what_is_not_understood_is_assumed_the_worst(engine: Engine, state: Connection) -> None:
    (effect,) = engine.effects.effects("frobnicate users", server_major=engine.target(state).server_major)
    assert effect.relation == "*"
    assert effect.blocks is Blocks.READS_AND_WRITES
    assert effect.confidence is Confidence.LOW
    assert effect.strong


def test_a_schema_change_is_felt_by_others_and_a_look_is_not(engine: Engine, state: Connection) -> None:
    major = engine.target(state).server_major
    assert any(
        effect.strong and effect.relation == "users" and effect.source
        for effect in engine.effects.effects("alter table users add column note text", server_major=major)
    )
    assert not any(e.strong for e in engine.effects.effects("select * from users", server_major=major))

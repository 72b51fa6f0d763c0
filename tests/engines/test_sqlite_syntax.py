"""How SQLite's SQL is read: literals, kinds, effects, definitions."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from handrail.engines.base import Engine, Landed, Purpose, for_url
from handrail.engines.sqlite.sql import effects, statements
from handrail.engines.sqlite.sql.definition import read_table
from handrail.engines.sqlite.sql.syntax import canonical, hide_literals, tokens
from handrail.model.effect import Blocks, Cost
from handrail.model.operation import StatementKind
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Confidence

MARK = "s3cr3t"
text_values = st.text(alphabet=f"{MARK} '\"`[](),;-/*\n?é", max_size=20).map(lambda text: f"{MARK}{text}")
quoted = text_values.map(lambda text: "'" + text.replace("'", "''") + "'")
numbers = st.from_regex(r"8675309(\.[0-9]+)?(e[+-]?[0-9]+)?", fullmatch=True)
blobs = st.just(f"x'{MARK.encode().hex()}8675309'")
double_quoted = text_values.map(lambda text: '"' + text.replace('"', '""') + '"')
comments = st.just(f"/* {MARK} ' */") | st.just(f"-- {MARK} '\n")
literals = quoted | numbers | blobs
#: What texts are made of that come near to statements.
FRAGMENTS = (
    *"'\"`[](),;.*=?:@#$- \n",
    *("--", "/*", "*/", "x'", "1e", "0x", "::", "||", "->>"),
    *(" create ", " table ", " index ", " alter ", " add ", " drop ", " rename to ", " insert into ", " select "),
    *("users", "id", " integer ", " primary key", " default ", " check", " references ", " unique", " as ", "12"),
)
TEMPLATES = (
    "insert into users (email, age) values ({0}, {1})",
    "update users set email = {0}, age = {1} where id in ({0}, {1})",
    "select case when a = {0} then {1} else {0} end from users where note like {0}",
    "create table users (email text default {0}, check (age > {1}))",
)


@settings(deadline=None)
@given(st.sampled_from(TEMPLATES), literals | double_quoted, literals, comments)
def test_no_literal_is_ever_shown(template: str, one: str, two: str, comment: str) -> None:
    shown = hide_literals(template.format(f"{comment}{one}", two))
    for secret in (MARK, "8675309", MARK.encode().hex()):
        assert secret not in shown
    assert "users" in shown


@settings(deadline=None)
@given(st.text() | st.lists(st.sampled_from(FRAGMENTS) | st.text(max_size=3), max_size=12).map("".join))
def test_any_text_can_be_read(text: str) -> None:
    once = canonical(tokens(text))
    assert canonical(tokens(once)) == once
    assert bool(hide_literals(text)) == bool(once)
    assert statements.kind(once) == statements.kind(text)
    locks, again = ([e.lock for e in effects.effects(sql, server_major=3)] for sql in (text, once))
    assert locks == again
    assert (read_table(once) is None) == (read_table(text) is None)


def test_one_spelling_stands_for_all() -> None:
    one = canonical(tokens('create  index "ix" on [users](`email`)  -- why'))
    assert one == canonical(tokens("CREATE INDEX ix\n  ON users (email)")) == "CREATE INDEX ix ON users(email)"
    assert canonical(tokens('select "order", "two words" from t')) == 'SELECT "order", "two words" FROM t'


@pytest.mark.parametrize(
    ("sql", "kind"),
    {
        "pragma foreign_keys": StatementKind.READ,
        "pragma foreign_keys = on": StatementKind.SESSION,
        "pragma main.foreign_keys(0)": StatementKind.SESSION,
        "pragma table_info(users)": StatementKind.READ,
        "pragma user_version = 7": StatementKind.SCHEMA,
        "pragma journal_mode = wal": StatementKind.SCHEMA,
        "pragma wal_checkpoint": StatementKind.SCHEMA,
        "replace into users values (1)": StatementKind.DATA,
        "insert or ignore into users values (1)": StatementKind.DATA,
        "update sqlite_schema set sql = ''": StatementKind.SCHEMA,
        "explain query plan delete from users": StatementKind.READ,
        "vacuum": StatementKind.SCHEMA,
        "reindex users": StatementKind.SCHEMA,
        "attach 'x.db' as x": StatementKind.SESSION,
        "select 1; drop table users": StatementKind.SCHEMA,
        "": StatementKind.SCHEMA,
    }.items(),
)
def test_a_statement_of_sqlite_is_of_its_kind(sql: str, kind: StatementKind) -> None:
    assert statements.kind(sql) is kind


def test_only_vacuum_runs_outside_a_transaction() -> None:
    assert statements.concurrent("VACUUM;")
    assert statements.concurrent("vacuum into 'copy.db'")
    assert not statements.concurrent("create index ix on users (email)")
    assert not statements.concurrent("alter table vacuum add column a")
    assert statements.discard("create index ix on users (email)") is None


@pytest.mark.parametrize(
    ("sql", "relation", "cost"),
    [
        ("alter table users add column note text", "users", Cost.INSTANT),
        ("alter table users add column a integer check (a > 0)", "users", Cost.SCAN),
        ("alter table users rename to people", "users", Cost.INSTANT),
        ("alter table users rename email to mail", "users", Cost.INSTANT),
        ('alter table main."users" drop column email', "users", Cost.REWRITE),
        ("create unique index if not exists ix on users (email)", "users", Cost.SCAN),
        ("create table users (id integer)", "users", Cost.INSTANT),
        ("create table copy as select * from users", "copy", Cost.REWRITE),
        ("create view v as select 1", "v", Cost.INSTANT),
        ("create trigger t after insert on users begin select 1; select 2; end", "users", Cost.INSTANT),
        ("drop table users", "users", Cost.SCAN),
        ("insert into _alembic_tmp_users (id) select id from users", "_alembic_tmp_users", Cost.REWRITE),
        ("insert into users (id) values (1)", "users", Cost.INSTANT),
        ("with x as (select 1) update users set id = 1", "users", Cost.SCAN),
        ("delete from users", "users", Cost.SCAN),
        ("vacuum", "*", Cost.REWRITE),
    ],
)
def test_a_writing_statement_takes_the_one_write_lock(sql: str, relation: str, cost: Cost) -> None:
    (effect,) = effects.effects(sql, server_major=3)
    assert (effect.relation, effect.cost, effect.confidence) == (relation, cost, Confidence.HIGH)
    assert effect.strong
    assert effect.blocks is (Blocks.WRITES if cost is Cost.INSTANT else Blocks.READS_AND_WRITES)


@pytest.mark.parametrize(
    "sql", ["alter table users add constraint c check (a > 0)", "alter table users alter column a"]
)
def test_an_unknown_change_is_assumed_to_rewrite_anything(sql: str) -> None:
    (effect,) = effects.effects(sql, server_major=3)
    assert (effect.relation, effect.cost, effect.confidence) == ("*", Cost.REWRITE, Confidence.LOW)


# Definitions: what the reader of CREATE TABLE finds is what was given to SQLite.

names = st.sampled_from(["a", "b c", "check", "Größe", "x)y", "q'uote", 'd"quote', "-- no", "select"])
expressions = st.sampled_from(
    [
        "c1 > 0",
        "c1 in (1, 2, (3))",
        "c2 <> 'check (x) -- '')'",
        "length(c2) < 10 /* check (c1) */",
        "(c1 between 1 and 2) or c2 like '%(%'",
        "c1 is not null",
    ]
)


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | names, expressions, st.booleans()), max_size=4))
def test_every_check_is_found_with_its_name(checks: list[tuple[str | None, str, bool]]) -> None:
    named = [(f"constraint {quote(name)} " if name else "") + f"check ({text})" for name, text, _ in checks]
    on_column = [sql for sql, (_, _, column) in zip(named, checks, strict=True) if column]
    on_table = [sql for sql, (_, _, column) in zip(named, checks, strict=True) if not column]
    sql = (
        f"create table t (c1 integer default (1 + 2) not null {' '.join(on_column)}, c2 varchar(10) default 'check (1)'"
        + "".join(f", {text}" for text in on_table)
        + ")"
    )
    found = [c for c in read_table(kept_by_sqlite(sql)).constraints if c.kind is ConstraintKind.CHECK]
    expected = [(name or "", canonical(tokens(f"check ({text})"))) for name, text, _ in checks]
    assert sorted((c.name, c.definition) for c in found) == sorted(expected)


@settings(deadline=None)
@given(
    st.lists(names, min_size=2, max_size=5, unique_by=str.lower),
    st.sampled_from(
        ["", "on delete cascade", "on update set null on delete no action", "deferrable initially deferred"]
    ),
    st.booleans(),
)
def test_keys_are_read_as_sqlites_own_pragmas_read_them(columns: list[str], actions: str, inline: bool) -> None:  # noqa: FBT001 - drawn
    first, *others = columns
    parts = [f"{quote(first)} integer primary key"]
    reference = f"references {quote('par ent')} ({quote('i(d')}) {actions}"
    parts += [f"{quote(name)} integer unique {reference if inline else ''}" for name in others]
    if not inline:
        parts += [f"constraint fk foreign key ({quote(name)}) {reference}" for name in others]
    parent = f"create table {quote('par ent')} ({quote('i(d')} integer primary key)"
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(parent)
        db.execute(f"create table t ({', '.join(parts)})")
        (sql,) = db.execute("select sql from sqlite_schema where name = 't'").fetchone()
        facts = db.execute('select "from", "table", "to" from pragma_foreign_key_list(?)', ("t",)).fetchall()
    found = read_table(sql).constraints
    keys = [c for c in found if c.kind is ConstraintKind.FOREIGN_KEY]
    assert sorted((c.columns[0], c.referenced_table, c.referenced_columns[0]) for c in keys) == sorted(facts)
    assert [c.columns for c in found if c.kind is ConstraintKind.PRIMARY_KEY] == [(first,)]
    assert sorted(c.columns[0] for c in found if c.kind is ConstraintKind.UNIQUE) == sorted(others)


def kept_by_sqlite(sql: str) -> str:
    with closing(sqlite3.connect(":memory:")) as db:
        db.execute(sql)
        kept: str = db.execute("select sql from sqlite_schema").fetchone()[0]
    return kept


@pytest.fixture
def engine(sqlite_url: str) -> Engine:
    return for_url(sqlite_url)


def test_a_constraint_reads_the_same_on_its_column_and_on_its_table(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("create table p (id integer primary key)")
        conn.exec_driver_sql(
            "create table t (a integer unique references p (id) on delete cascade on update no action)"
        )
        on_column = engine.catalog.snapshot(conn)
        conn.exec_driver_sql("drop table t")
        conn.exec_driver_sql(
            "create table t (a integer, foreign key (a) references p(id) on delete cascade, unique (a))"
        )
        assert engine.catalog.snapshot(conn) == on_column


def test_everything_sqlite_knows_about_a_table_is_in_its_snapshot(engine: Engine) -> None:
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("""
            create table t (
              a text collate nocase not null on conflict ignore,
              b integer generated always as (length(a) * 2) stored,
              c integer as (b + 1),
              d real default (1.5),
              constraint pk primary key (a desc) on conflict replace
            ) without rowid
        """)
        conn.exec_driver_sql("create index ix on t (lower(a), b desc) where d > 1")
        conn.exec_driver_sql("create virtual table v using fts5(body)")
        snapshot = engine.catalog.snapshot(conn)
        engine.catalog.fingerprint(conn)
    table = snapshot.table("t")
    assert table is not None
    a, b, c, d = table.columns
    assert (a.type, a.nullable, a.collation) == ("TEXT", False, "nocase")
    assert (b.generated, c.generated) == ("(length(a) * 2) STORED", "(b + 1) VIRTUAL")
    assert (b.type, c.type, d.default) == ("INTEGER", "INTEGER", "1.5")
    assert table.constraints[0].definition == "PRIMARY KEY (a DESC) ON CONFLICT REPLACE"
    assert table.options == (("without rowid", "yes"), ("a not null", "ON CONFLICT IGNORE"))
    assert table.indexes[0].columns == ("lower(a)", "b")
    assert table.indexes[0].definition == "CREATE INDEX ix ON t(lower(a), b DESC) WHERE d > 1"
    assert ("virtual table", "v") in {(thing.kind, thing.name) for thing in snapshot.objects}


@pytest.mark.parametrize(
    ("before", "sql", "landed"),
    [
        ("create table other (id)", "alter table users rename to other", Landed.UNKNOWN),
        ("alter table users rename to other", "alter table users rename to other", Landed.YES),
        ("select 1", "alter table users rename to other", Landed.NO),
        ("select 1", "alter table users rename email to mail", Landed.NO),
        ("alter table users rename email to mail", "alter table users rename column email to mail", Landed.YES),
        ("create table t (a, b)", "create table t (a)", Landed.UNKNOWN),
        ("create table t as select 1 as a", "create table t as select 1 as a", Landed.YES),
        ("create table t (a)", "CREATE TABLE IF NOT EXISTS main.[t] ( a )", Landed.YES),
        ("drop table users", "alter table users add column a", Landed.UNKNOWN),
        ("select 1", "create temp table t (a)", Landed.UNKNOWN),
        ("select 1", "create trigger t after insert on users begin select 1; end", Landed.NO),
        ("select 1", "vacuum", Landed.UNKNOWN),
        ("select 1", "frobnicate", Landed.UNKNOWN),
    ],
)
def test_what_landed_is_compared_with_what_sqlite_kept(engine: Engine, before: str, sql: str, landed: Landed) -> None:
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("create table users (id integer, email text)")
        conn.exec_driver_sql(before)
        assert engine.statements.landed(conn, sql) is landed

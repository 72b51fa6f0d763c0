from __future__ import annotations

from collections.abc import Iterator

import pytest
from sqlalchemy import Connection

from handrail.engines.base import Engine, Purpose, for_url
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server
from handrail.engines.postgresql.sql.lock_modes import MODES
from handrail.model.effect import Blocks, Cost
from handrail.model.verdict import Confidence

SETUP = """
create schema shop;
create table users (id integer primary key, email text, age integer, name varchar(50),
                    constraint age_known check (age > 0) not valid);
create table shop.orders (id integer primary key, user_id integer, note text);
create table loose (id integer, user_id integer);
create unique index loose_id on loose (id);
alter table loose add constraint loose_user foreign key (user_id) references users (id) not valid;
create index users_age on users (age);
insert into users select n, 'a' || n, n, 'n' from generate_series(1, 100) n;
insert into loose select n, n from generate_series(1, 100) n;
create view people as select email from users;
create materialized view totals as select count(*) as n from users;
create unique index totals_n on totals (n);
create sequence counter;
create type mood as enum ('calm');
create function bump() returns trigger language plpgsql as 'begin return new; end';
create trigger users_bump before update on users for each row execute function bump();
create policy own on users using (true);
create table parted (id integer, part integer) partition by list (part);
create table part_2 (id integer, part integer);
create table part_3 partition of parted for values in (3);
create index parted_id on only parted (id);
create index part_3_id on part_3 (id);
create table parent (id integer);
create table child (id integer);
create rule all_rows as on insert to users do also nothing;
create statistics users_stats on email, age from users;
"""

#: Each runs in a transaction of its own; what it locks on the relations of SETUP must be what is claimed.
STATEMENTS = (
    "alter table users add column x integer",
    "alter table users add column x integer not null default 5",
    "alter table users add column x timestamptz default now()",
    "alter table users add column x uuid default gen_random_uuid()",
    "alter table users add column x serial",
    "alter table users add column x integer generated always as identity",
    "alter table users add column x integer generated always as (age * 2) stored",
    "alter table users add column x integer check (x > 0)",
    "alter table users add column x integer unique",
    "alter table loose add column x integer references users (id)",
    "alter table users drop column age",
    "alter table users drop column age, add column y integer",
    "alter table users alter column age set default 5",
    "alter table users alter column age drop default",
    "alter table users alter column email set not null",
    "alter table users alter column email drop not null",
    "alter table users alter column age type bigint",
    "alter table users alter column name type varchar(100)",
    "alter table users alter column age set statistics 100",
    "alter table users alter column age set (n_distinct = 5)",
    "alter table users alter column email set storage external",
    "alter table users alter column email set compression pglz",
    "alter table users add constraint c check (age > 0)",
    "alter table users add constraint c check (age > 0) not valid",
    "alter table users validate constraint age_known",
    "alter table loose validate constraint loose_user",
    "alter table users add constraint u unique (email)",
    "alter table loose add constraint loose_key primary key using index loose_id",
    "alter table loose add constraint loose_uq unique using index loose_id",
    "alter table shop.orders add constraint f foreign key (user_id) references users (id)",
    "alter table shop.orders add constraint f foreign key (user_id) references users (id) not valid",
    "alter table users drop constraint age_known",
    "alter table users alter column id add generated always as identity",
    "alter table users rename to persons",
    "alter table users rename column age to years",
    "alter table users rename constraint age_known to age_positive",
    "alter index users_age rename to users_years",
    "alter table users set (fillfactor = 70)",
    "alter table users reset (fillfactor)",
    "alter table child set unlogged",
    "alter table users set schema shop",
    "alter table users owner to current_user",
    "alter table users cluster on users_age",
    "alter table users set without cluster",
    "alter table users enable row level security",
    "alter table users force row level security",
    "alter table users replica identity full",
    "alter table users disable trigger users_bump",
    "alter table users enable trigger all",
    "alter table child inherit parent",
    "alter table parted attach partition part_2 for values in (2)",
    "alter index parted_id attach partition part_3_id",
    "alter table parted detach partition part_3",
    "create index users_email on users (email)",
    "create unique index users_email on users (email)",
    "drop index users_age",
    "create table shop.extra (id integer primary key, user_id integer references users (id))",
    "create table copy (like users)",
    "create table part_4 partition of parted for values in (4)",
    "create table heir (x integer) inherits (parent)",
    "create table copy as select * from users",
    "drop table shop.orders",
    "drop table loose",
    "drop view people",
    "drop materialized view totals",
    "drop sequence counter",
    "truncate loose",
    "lock table users",
    "lock table users in share row exclusive mode",
    "lock table users in access share mode",
    "refresh materialized view totals",
    "refresh materialized view concurrently totals",
    "create view grown as select * from users where age > 18",
    "create or replace view people as select email from users where age > 1",
    "create materialized view sums as select sum(age) from users",
    "create trigger t after insert on users for each row execute function bump()",
    "drop trigger users_bump on users",
    "alter trigger users_bump on users rename to bumped",
    "create policy p on users using (true)",
    "alter policy own on users using (false)",
    "drop policy own on users",
    "create rule r as on delete to users do instead nothing",
    "comment on table users is 'people'",
    "comment on column users.age is 'years'",
    "comment on constraint age_known on users is 'positive'",
    "comment on trigger users_bump on users is 'nothing'",
    "comment on index users_age is 'fast'",
    "comment on view people is 'all'",
    "create statistics s on age, name from users",
    "create sequence s2",
    "alter sequence counter increment 2",
    "alter sequence counter owned by users.age",
    "create type size as enum ('s', 'm')",
    "alter type mood add value 'cross'",
    "cluster users using users_age",
    "analyze users",
    "reindex table users",
    "reindex index users_age",
    "insert into users (id) values (1000)",
    "update users set age = 1",
    "update loose set id = users.id from users where users.id = loose.user_id",
    "delete from loose",
    "with gone as (delete from loose returning id) select count(*) from gone join users using (id)",
    "select * from users join shop.orders on true",
    "select * from users for update",
    "select * from users where id in (select user_id from loose)",
    "explain select * from users",
    "grant select on users to public",
    "set local statement_timeout = 1000",
    "alter table users add column a integer; create index on users (email)",
    "alter table loose drop constraint loose_user",
    "alter table users add column x integer default nextval('counter')",
    "alter table users alter column id type bigint",
    "alter view people rename to persons",
    "alter view people rename column email to address",
    "alter view people set (security_barrier = true)",
    "alter view people alter column email set default 'x'",
    "alter index users_age set (fillfactor = 50)",
    "alter sequence counter rename to counted",
    "alter materialized view totals rename to sums",
    "alter type mood rename to moods",
    "alter type mood rename value 'calm' to 'quiet'",
    "alter table users alter column age type integer using age + 1",
    "select * into copy from users",
    "insert into users select user_id + 1000 from loose",
    "delete from loose using users where users.id = loose.id",
    "merge into loose using users on users.id = loose.id when matched then delete",
    "alter table users disable rule all_rows",
    "alter table users rename column name to full_name",
    "drop statistics users_stats",
    "drop type mood",
    "drop function bump() cascade",
    "drop table parted",
    "drop table if exists nowhere",
    "create extension if not exists plpgsql",
    "create schema annex",
    "create role handrail_effects",
    "alter default privileges grant select on tables to public",
)

#: The statement's text does not say these; the docstring of `effects` does.
HIDDEN = {
    "drop index users_age": {"users"},
    "drop table loose": {"users"},
    "alter index users_age rename to users_years": set(),
    "reindex index users_age": {"users"},
    "drop view people": set(),
    "alter table loose drop constraint loose_user": {"users"},
    "drop table parted": {"part_3"},
    "drop statistics users_stats": {"users"},
    "drop function bump() cascade": {"users"},
    "alter table users alter column id type bigint": {"loose"},
}

# Locks of our own session on relations that existed before, indexes only where they are named.
_LOCKS = """
select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname, l.mode
from pg_locks l join pg_class c on c.oid = l.relation join pg_namespace n on n.oid = c.relnamespace
where l.pid = pg_backend_pid() and l.locktype = 'relation' and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
"""
_FILES = """
select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname, c.oid, pg_relation_filenode(c.oid)
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'shop') and c.relkind in ('r', 'p', 'v', 'm', 'S', 'i')
"""
_NAMES = {mode.title().replace(" ", "") + "Lock": mode for mode in MODES}


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


def _observed(conn: Connection, existing: set[str]) -> dict[str, str]:
    strongest: dict[str, str] = {}
    for name, mode in conn.exec_driver_sql(_LOCKS).all():
        if name in existing:
            strongest[name] = max(strongest.get(name, MODES[0]), _NAMES[mode], key=MODES.index)
    return strongest


@pytest.mark.parametrize("sql", STATEMENTS)
def test_the_server_takes_the_claimed_locks(sql: str, engine: Engine, conn: Connection) -> None:
    claimed = {e.relation: e for e in engine.effects.effects(sql, server_major=18)}
    before = {name: (oid, file) for name, oid, file in conn.exec_driver_sql(_FILES).all()}
    names = {oid: name for name, (oid, _) in before.items()}
    # Renamed and moved relations keep their number; their locks are reported under the name they had.
    conn.exec_driver_sql(sql)
    after = {oid: (name, file) for name, oid, file in conn.exec_driver_sql(_FILES).all()}
    renamed = {name: names[oid] for oid, (name, _) in after.items() if oid in names}
    observed = {renamed.get(name, name): mode for name, mode in _observed(conn, {*before, *renamed}).items()}
    expected = {name: e.lock for name, e in claimed.items() if name in before and e.confidence is Confidence.HIGH}
    dropped = {name for name, (oid, _) in before.items() if oid not in after}
    assert {name: observed.get(name) for name in expected if name not in dropped} == {
        name: lock for name, lock in expected.items() if name not in dropped
    }
    strong = {name for name, mode in observed.items() if MODES.index(mode) >= MODES.index("SHARE UPDATE EXCLUSIVE")}
    indexes = {"users_age", "users_pkey", "orders_pkey", "shop.orders_pkey", "loose_id", "totals_n"}
    assert strong - set(claimed) - HIDDEN.get(sql, set()) - indexes == set()
    for name, effect in claimed.items():
        if sql.startswith("alter table") and name in before and name not in dropped:
            rewritten = before[name][1] != after[before[name][0]][1]
            assert rewritten == (effect.cost is Cost.REWRITE) or effect.confidence is Confidence.LOW, name


@pytest.mark.parametrize(
    ("sql", "lock"),
    [
        ("create index concurrently i on users (email)", "SHARE UPDATE EXCLUSIVE"),
        ("drop index concurrently users_age", "SHARE UPDATE EXCLUSIVE"),
        ("reindex table concurrently users", "SHARE UPDATE EXCLUSIVE"),
        ("alter table parted detach partition part_3 concurrently", "SHARE UPDATE EXCLUSIVE"),
        ("vacuum users", "SHARE UPDATE EXCLUSIVE"),
        ("vacuum full users", "ACCESS EXCLUSIVE"),
    ],
)
def test_statements_that_refuse_transactions_have_the_documented_lock(sql: str, lock: str, engine: Engine) -> None:
    assert engine.effects.effects(sql, server_major=18)[0].lock == lock


@pytest.mark.parametrize(
    "sql",
    [
        "do 'begin end'",
        "call p()",
        "alter tabel users",
        "drop owned by me",
        "import foreign schema a from server b into c",
    ],
)
def test_what_is_not_understood_is_assumed_the_worst(sql: str, engine: Engine) -> None:
    (effect,) = engine.effects.effects(sql, server_major=18)
    assert (effect.relation, effect.lock, effect.confidence) == ("*", "ACCESS EXCLUSIVE", Confidence.LOW)
    assert effect.strong


@pytest.mark.parametrize(
    "sql",
    [
        "select bump()",
        "select create_hypertable('users', 'at')",
        "select * from users where app.touch(id)",
        "create table copy as select app.touch(id) from users",
        "copy (select bump()) to stdout",
        "explain analyze select bump()",
    ],
)
def test_a_query_with_an_unknown_function_may_lock_anything(sql: str, engine: Engine) -> None:
    (anything,) = [e for e in engine.effects.effects(sql, server_major=18) if e.relation == "*"]
    assert (anything.lock, anything.confidence, anything.strong) == ("ACCESS EXCLUSIVE", Confidence.LOW, True)


@pytest.mark.parametrize(
    "sql",
    [
        "update users set name = app.slug(name)",
        "insert into users (id) values (app.next_id())",
        "insert into users select app.next_id()",
        "delete from users where app.old(id)",
        "merge into loose using users on users.id = loose.id when matched then update set id = app.next_id()",
    ],
)
def test_a_write_with_an_unknown_function_may_write_any_rows(sql: str, engine: Engine) -> None:
    (anything,) = [e for e in engine.effects.effects(sql, server_major=18) if e.relation == "*"]
    assert (anything.lock, anything.confidence, anything.strong) == ("ROW EXCLUSIVE", Confidence.LOW, False)


@pytest.mark.parametrize(
    "sql",
    [
        "select count(*), max(lower(name)) from users",
        "update users set name = upper(name), age = nextval('counter')",
        "select setval('counter', 5)",
        "explain select bump()",
        "create view v as select bump()",
    ],
)
def test_known_functions_and_what_is_not_run_lock_nothing_more(sql: str, engine: Engine) -> None:
    assert "*" not in {e.relation for e in engine.effects.effects(sql, server_major=18)}


def test_a_type_change_is_a_rewrite_with_low_confidence(engine: Engine) -> None:
    (effect,) = engine.effects.effects("alter table users alter column name type varchar(100)", server_major=18)
    assert (effect.cost, effect.confidence) == (Cost.REWRITE, Confidence.LOW)


def test_a_created_table_is_not_strong_and_its_referenced_table_is(engine: Engine) -> None:
    sql = "create table b (id integer references a (id), other integer references s.c (id))"
    found = {e.relation: e for e in engine.effects.effects(sql, server_major=18)}
    assert (found["b"].created_here, found["b"].strong) == (True, False)
    assert (found["a"].lock, found["a"].blocks, found["a"].strong) == ("SHARE ROW EXCLUSIVE", Blocks.WRITES, True)
    assert found["s.c"].lock == "SHARE ROW EXCLUSIVE"


def test_every_effect_names_its_source(engine: Engine) -> None:
    for sql in STATEMENTS:
        for effect in engine.effects.effects(sql, server_major=18):
            assert effect.source.startswith("https://www.postgresql.org/docs/")

"""`handrail review` with a database: sizes weigh findings, rows are counted, and what is not known is said."""

from __future__ import annotations

import json
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import make_url
from workbench import Workbench

from handrail.engines.base import Purpose, for_url
from handrail.engines.postgresql.servers.server import Server
from handrail.model.violation import ViolationKind

#: Since this major a server tells of each text whether it is a number: pg_input_is_valid.
_TRIES_EACH_SINCE = 16
_SCENE = """
op.execute("create table users (id integer primary key, email varchar(50), age integer, code text)")
op.execute("create table notes (id integer primary key, user_id integer)")
"""
_ROWS = (
    "insert into users values (1, 'a@example.org', 20, '1'), (2, 'a@example.org', -1, '2'), (3, null, 5, 'hidden')",
    "insert into notes values (1, 1), (2, 99)",
)


def set_the_scene(bench: Workbench, *rows: str) -> None:
    bench.revision("a1", None, _SCENE)
    done = bench.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    bench.execute(*rows)


def reviewed(bench: Workbench, body: str, *arguments: str, live: bool = True) -> dict[str, Any]:
    """Review one pending revision; with the database unless told otherwise."""
    bench.revision("a2", "a1", body)
    return bench.json("review", *(("-e", "main") if live else ()), *arguments)


def of(document: dict[str, Any], rule: str) -> list[dict[str, Any]]:
    return [finding for finding in document["findings"] if finding["rule"] == rule]


def the(document: dict[str, Any], rule: str) -> dict[str, Any]:
    (finding,) = of(document, rule)
    return finding


def batch(table: str, *lines: str) -> str:
    inside = "\n".join(f"    batch.{line}" for line in lines)
    return f'with op.batch_alter_table("{table}") as batch:\n{inside}'


@pytest.mark.parametrize(
    ("body", "rule", "kind", "count", "key"),
    [
        (batch("users", 'alter_column("email", nullable=False)'), "fail-set-not-null", "nulls", 1, "id=3"),
        (
            batch("users", 'create_unique_constraint("uq", ["email"])'),
            "fail-unique-dups",
            "duplicates",
            2,
            "id=1 and id=2",
        ),
        (
            batch("users", 'create_check_constraint("ck", "age > 0")'),
            "fail-counted-rows",
            "failed check",
            1,
            "id=2",
        ),
    ],
)
def test_rows_that_would_fail_are_counted_and_named_by_key(
    bench: Workbench, body: str, rule: str, kind: str, count: int, key: str
) -> None:
    set_the_scene(bench, *_ROWS)
    finding = the(reviewed(bench, body), rule)
    (counted,) = finding["rows"]
    assert finding["severity"] == "error"
    assert counted["kind"] == kind
    assert counted["violation"]["count"] == count
    assert counted["violation"]["keys"] == [key]
    found = bench.rows(counted["violation"]["query"].replace("%", "%%"))
    assert found


def test_rows_without_a_parent_are_counted_for_a_new_foreign_key(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    document = reviewed(bench, batch("notes", 'create_foreign_key("fk", "users", ["user_id"], ["id"])'))
    (counted,) = [c for c in document["counted"] if c["kind"] == ViolationKind.ORPHANS.value]
    assert counted["violation"]["keys"] == ["id=2 with user_id=99"]
    assert [f["severity"] for f in document["findings"] if f["rows"]] == ["error"]


def test_where_no_row_breaks_it_the_finding_is_a_note(bench: Workbench) -> None:
    set_the_scene(bench, "insert into users values (1, 'a@example.org', 20, '1'), (2, 'b@example.org', 1, '2')")
    body = batch("users", 'alter_column("email", nullable=False)', 'create_unique_constraint("uq", ["email"])')
    document = reviewed(bench, body)
    for rule in ("fail-set-not-null", "fail-unique-dups"):
        finding = the(document, rule)
        assert finding["severity"] == "note"
        assert [c["violation"] for c in finding["rows"]] == [None]
        assert [c["unknown"] for c in finding["rows"]] == [""]
    assert of(document, "fail-counted-rows") == []


def test_no_value_of_a_row_is_told(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    bench.revision(
        "a2",
        "a1",
        batch(
            "users",
            'alter_column("code", type_=sa.Integer, postgresql_using="code::integer")',
            'create_unique_constraint("uq", ["email"])',
        ),
    )
    for format_ in ("text", "json", "sarif", "github", "gitlab", "junit", "markdown"):
        done = bench.run("review", "-e", "main", "--format", format_)
        assert done.returncode == 1, done.stderr
        assert "id=1 and id=2" in done.stdout
        assert "hidden" not in done.stdout + done.stderr
        assert "a@example.org" not in done.stdout + done.stderr


def test_a_column_that_a_pending_revision_makes_cannot_be_counted_yet(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    bench.revision("a2", "a1", 'op.add_column("users", sa.Column("nick", sa.String(20)))')
    bench.revision("a3", "a2", 'op.create_index("uq", "users", ["nick"], unique=True)')
    document = bench.json("review", "-e", "main")
    (counted,) = document["counted"]
    assert counted["violation"] is None
    assert counted["unknown"].startswith("cannot be counted yet: revision a2, which adds or drops users.nick")
    assert the(document, "fail-unique-dups")["severity"] == "warning"


def test_rows_that_a_pending_revision_writes_first_are_not_held_against_it(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench, *_ROWS)
    pg_bench.revision("a2", "a1", 'op.execute("update users set age = 1 where age < 1")')
    pg_bench.revision("a3", "a2", 'op.create_check_constraint("ck", "users", "age > 0")')
    document = pg_bench.json("review", "-e", "main")
    (counted,) = document["counted"]
    assert (counted["violation"]["count"], counted["before"]) == (1, "UPDATE of users in a2")
    assert of(document, "fail-counted-rows") == []


def test_a_key_that_is_not_valid_yet_is_counted_for_its_validation(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench, *_ROWS)
    bare = "alter table notes add constraint fk foreign key (user_id) references users (id) not valid"
    document = reviewed(pg_bench, f'op.execute("{bare}")')
    finding = the(document, "fail-counted-rows")
    assert (finding["severity"], "the later VALIDATE will fail" in finding["what"]) == ("warning", True)
    pg_bench.execute(bare)
    document = reviewed(pg_bench, 'op.execute("alter table notes validate constraint fk")')
    assert the(document, "fail-counted-rows")["severity"] == "error"


@pytest.mark.parametrize(
    ("type_", "value", "bad"),
    [
        ("sa.String(3)", "'abcd'", 1),
        ("sa.String(3)", "'abc   '", 0),
        ("sa.SmallInteger", "70000", 1),
        ("sa.SmallInteger", "7", 0),
        ("sa.Numeric(4, 1)", "1.25", 1),
        ("sa.Numeric(4, 1)", "1234.5", 1),
        ("sa.Numeric(4, 1)", "123.5", 0),
    ],
)
def test_values_that_do_not_fit_a_new_type_are_counted(pg_bench: Workbench, type_: str, value: str, bad: int) -> None:
    old = "text" if "String" in type_ else "numeric(12, 4)" if "Numeric" in type_ else "integer"
    pg_bench.revision("a1", None, f'op.execute("create table t (id integer primary key, v {old})")')
    pg_bench.run("apply", "--yes")
    pg_bench.execute(f"insert into t values (1, {value}), (2, null)")
    (counted,) = reviewed(pg_bench, f'op.alter_column("t", "v", type_={type_})')["counted"]
    assert (counted["violation"] or {"count": 0})["count"] == bad
    assert counted["unknown"] == ""


def test_values_that_using_cuts_are_counted_though_nothing_fails(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench, *_ROWS)
    body = 'op.alter_column("users", "email", type_=sa.String(3), postgresql_using="left(email, 3)")'
    document = reviewed(pg_bench, body)
    finding = the(document, "data-narrow-type")
    assert (finding["severity"], finding["rows"][0]["violation"]["count"]) == ("error", 2)
    other = 'op.alter_column("users", "age", type_=sa.Text, postgresql_using="case when age > 9 then \'old\' end")'
    (counted,) = reviewed(pg_bench, other)["counted"]
    assert counted["unknown"].startswith("not counted: every value converts")


def test_texts_that_a_table_made_anew_would_turn_into_0_are_counted(lite_bench: Workbench) -> None:
    set_the_scene(lite_bench, *_ROWS)
    (counted,) = reviewed(lite_bench, batch("users", 'alter_column("code", type_=sa.Integer)'))["counted"]
    assert (counted["violation"]["count"], counted["violation"]["keys"]) == (1, ["id=3"])
    (counted,) = reviewed(lite_bench, batch("users", 'alter_column("email", type_=sa.String(3))'))["counted"]
    assert (counted["violation"], counted["unknown"]) == (None, "")


def test_texts_that_are_no_numbers_are_counted_where_the_server_can_try_each(
    pg_bench: Workbench, handrail_postgresql: Server
) -> None:
    if handrail_postgresql.major < _TRIES_EACH_SINCE:
        pytest.skip("needs a newer PostgreSQL")
    set_the_scene(pg_bench, *_ROWS)
    body = 'op.alter_column("users", "code", type_=sa.Integer, postgresql_using="code::integer")'
    (counted,) = reviewed(pg_bench, body)["counted"]
    assert (counted["violation"]["count"], counted["violation"]["keys"]) == (1, ["id=3"])
    using = 'op.alter_column("users", "code", type_=sa.Integer, postgresql_using="(code || code)::integer")'
    (counted,) = reviewed(pg_bench, using)["counted"]
    assert (counted["violation"]["at_least"], counted["violation"]["keys"]) == (True, [])


@pytest.mark.parametrize(
    ("condition", "count"),
    [("email like '%%@%%' or email is null", 0), ("email not like '%%@%%'", 2), ("age between 0 and 100", 1)],
)
def test_a_condition_is_counted_as_it_is_written(bench: Workbench, condition: str, count: int) -> None:
    set_the_scene(bench, *_ROWS)
    written = condition.replace("%%", "%")
    document = reviewed(bench, batch("users", f'create_check_constraint("ck", "{written}")'))
    (counted,) = document["counted"]
    assert counted["unknown"] == ""
    assert (counted["violation"] or {"count": 0})["count"] == count


def test_what_an_index_on_an_expression_or_a_part_of_a_table_refuses_is_counted(pg_bench: Workbench) -> None:
    set_the_scene(
        pg_bench, "insert into users values (1, 'A', 20, ''), (2, 'a', 3, ''), (3, 'b', 5, ''), (4, 'b', 1, '')"
    )
    body = """
    op.execute("create unique index on users (lower(email))")
    op.execute("create unique index on users (email) where age > 3")
    """
    whole, partial = reviewed(pg_bench, body)["counted"]
    assert (whole["violation"]["count"], whole["violation"]["keys"]) == (4, ["id=1 and id=2", "id=3 and id=4"])
    assert (partial["violation"], partial["unknown"]) == (None, "")


def test_names_that_have_to_be_quoted_are_counted_in_their_schema(
    pg_bench: Workbench, handrail_postgresql: Server
) -> None:
    pg_bench.revision("a1", None, "pass")
    pg_bench.run("apply", "--yes")
    pg_bench.execute(
        'create schema "Shop"', 'create table "Shop"."Order" ("the key" integer primary key, "user" text, amount text)'
    )
    pg_bench.execute("insert into \"Shop\".\"Order\" values (1, null, '1'), (2, 'x', 'y')")
    body = """
    op.alter_column("Order", "user", nullable=False, schema="Shop")
    op.alter_column("Order", "amount", type_=sa.Integer, schema="Shop", postgresql_using="amount::integer")
    """
    nulls, casts = reviewed(pg_bench, body)["counted"]
    assert nulls["violation"]["keys"] == ["the key=1"]
    named = ["the key=2"] if handrail_postgresql.major >= _TRIES_EACH_SINCE else []
    assert casts["violation"]["keys"] == named


def test_a_partitioned_table_is_as_large_as_its_partitions(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench)
    pg_bench.execute(
        "create table events (id integer, at integer) partition by range (at)",
        "create table events_1 partition of events for values from (0) to (10000)",
        "create table events_2 partition of events for values from (10000) to (30000)",
        "insert into events select g, g from generate_series(1, 20000) g",
        "analyze events_1, events_2",
    )
    document = reviewed(pg_bench, 'op.alter_column("events", "id", nullable=False)')
    (size,) = [s for s in document["database"]["sizes"] if s["table"] == "events"]
    assert (size["rows"], size["basis"]) == (20000, "statistics")
    assert size["bytes"] > 500_000


def test_the_size_of_a_table_decides_how_much_a_lock_weighs(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench)
    body = 'op.create_index("ix", "users", ["email"])'
    assert of(reviewed(pg_bench, body), "lock-index-create") == []
    pg_bench.execute("insert into users select g, 'x', g, '' from generate_series(1, 20000) g", "analyze users")
    finding = the(reviewed(pg_bench, body), "lock-index-create")
    assert finding["severity"] == "error"
    estimate = finding["estimate"]
    assert (estimate["lock"], estimate["table"]) == ("SHARE", "users")
    assert 0 < estimate["low_s"] < estimate["high_s"] < 1
    told = pg_bench.run("review", "-e", "main").stdout
    assert "wait: writes of users wait " in told
    assert "by order of magnitude: not measured here" in told


def test_a_size_that_is_not_known_is_never_taken_for_small(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench)
    pg_bench.execute("alter table users set (autovacuum_enabled = off)")
    pg_bench.execute("insert into users select g, repeat('x', 50), g, repeat('y', 900) from generate_series(1, 9500) g")
    finding = the(reviewed(pg_bench, 'op.create_index("ix", "users", ["email"])'), "lock-index-create")
    assert finding["severity"] == "error"
    assert "rows" not in finding["why"]


def test_what_cascade_would_take_is_listed_from_the_live_catalogue(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench)
    pg_bench.execute(
        "create view adults as select id from users where age > 17",
        "create materialized view totals as select count(*) from adults",
        "create table visits (user_id integer, constraint by_user foreign key (user_id) references users)",
    )
    finding = the(reviewed(pg_bench, 'op.execute("drop table users cascade")'), "data-drop-cascade")
    assert finding["dependants"] == [
        "materialized view public.totals",
        "table constraint by_user on public.visits",
        "view public.adults",
    ]
    column = the(reviewed(pg_bench, 'op.execute("alter table users drop column age cascade")'), "data-drop-cascade")
    assert column["dependants"] == ["materialized view public.totals", "view public.adults"]
    code = the(reviewed(pg_bench, 'op.execute("alter table users drop column code cascade")'), "data-drop-cascade")
    assert code["dependants"] == []
    assert "takes: nothing else" in pg_bench.run("review", "-e", "main").stdout


def test_a_cascade_over_types_and_schemas_names_columns_and_tables(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench)
    pg_bench.execute(
        "create type mood as enum ('ok')",
        "alter table users add column mood mood default 'ok'",
        "create schema shop",
        "create table shop.orders (id integer)",
    )
    finding = the(reviewed(pg_bench, 'op.execute("drop type mood cascade")'), "data-drop-cascade")
    assert finding["dependants"] == ["table column public.users.mood"]
    document = reviewed(pg_bench, 'op.execute("drop schema shop cascade")')
    assert the(document, "data-drop-schema")["dependants"] == ["table shop.orders"]


def test_counting_gives_up_and_says_so(bench: Workbench) -> None:
    set_the_scene(bench)
    filler = "with recursive n(i) as (select 1 union all select i + 1 from n where i < 200000)"
    bench.execute(f"insert into users {filler} select i, 'x', i, '' from n")
    body = batch("users", 'create_check_constraint("ck", "age > -1")')
    (counted,) = reviewed(bench, body, "--count-for", "0.001")["counted"]
    assert counted["violation"] is None
    assert counted["unknown"].startswith("not counted: ")
    assert reviewed(bench, body, "--count-for", "0")["counted"] == []


@contextmanager
def locked(bench: Workbench, table: str) -> Iterator[None]:
    """Somebody else holds ACCESS EXCLUSIVE on the table."""
    taken, done = threading.Event(), threading.Event()

    def hold() -> None:
        with for_url(bench.url).connect(Purpose.MIGRATE) as conn, conn.begin():
            conn.exec_driver_sql(f"lock table {table} in access exclusive mode")
            taken.set()
            done.wait(60)

    holder = threading.Thread(target=hold)
    holder.start()
    try:
        assert taken.wait(10)
        yield
    finally:
        done.set()
        holder.join()


def test_a_lock_that_keeps_readers_out_leaves_older_sizes_and_no_count(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench, *_ROWS)
    pg_bench.execute("analyze notes")
    with locked(pg_bench, "users"):
        document = reviewed(pg_bench, 'op.alter_column("users", "email", nullable=False)')
    (counted,) = document["counted"]
    assert "lock" in counted["unknown"]
    assert {s["table"]: (s["rows"], s["bytes"]) for s in document["database"]["sizes"]} == {
        "notes": (2, "unknown"),
        "users": ("unknown", "unknown"),
    }
    assert the(document, "fail-set-not-null")["severity"] == "warning"


def test_a_role_without_rights_to_a_table_says_what_it_could_not_count(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench, *_ROWS)
    name = f"looker_{make_url(pg_bench.url).database}"[:60]
    pg_bench.execute(f"create role {name} login", f"grant select on notes, alembic_version to {name}")
    try:
        body = 'op.alter_column("users", "email", nullable=False)'
        pg_bench.revision("a2", "a1", f'{body}\nop.create_index("u", "notes", ["user_id"], unique=True)')
        as_looker = make_url(pg_bench.url).set(username=name, password=None).render_as_string(hide_password=False)
        done = pg_bench.run("review", "-e", "main", "--format", "json", env={"HANDRAIL_TEST_URL": as_looker})
        document = json.loads(done.stdout)
    finally:
        pg_bench.execute(f"drop owned by {name}", f"drop role {name}")
    by_table = {c["table"]: c for c in document["counted"]}
    assert f'GRANT SELECT ON "public"."users" TO "{name}"' in by_table["users"]["unknown"]
    assert by_table["notes"]["unknown"] == ""
    assert the(document, "fail-set-not-null")["severity"] == "warning"


def test_a_database_that_cannot_be_reached_ends_the_review_with_the_reason(pg_bench: Workbench) -> None:
    set_the_scene(pg_bench)
    nowhere = {"HANDRAIL_TEST_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
    done = pg_bench.run("review", "-e", "main", env=nowhere)
    assert done.returncode == 2
    assert "fix:" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_environment_that_is_not_named_is_not_read_row_by_row(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    body = batch("users", 'alter_column("email", nullable=False)')
    document = reviewed(bench, body, live=False)
    assert document["counted"] == []
    assert document["database"]["environment"] == "main"
    assert any("-e main" in note for note in document["notes"])
    assert the(document, "fail-set-not-null")["severity"] == "warning"


def test_no_sql_of_a_revision_reaches_the_database_with_static(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    bench.revision("a2", "a1", batch("users", 'create_check_constraint("ck", "age > 0")'))
    document = bench.json("review", "-e", "main", "--static")
    assert document["counted"] == []
    assert document["database"]["heads"] == ["a1"]


def test_a_review_with_a_database_leaves_nothing_behind_in_it(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    before = (
        bench.rows("select * from users order by id"),
        bench.json("status")["status"]["environments"][0]["standing"]["fingerprint"],
    )
    reviewed(bench, batch("users", 'create_check_constraint("ck", "age > 0")'))
    assert (
        bench.rows("select * from users order by id"),
        bench.json("status")["status"]["environments"][0]["standing"]["fingerprint"],
    ) == before


def test_a_dry_run_counts_the_rows_that_would_break(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    bench.revision(
        "a2",
        "a1",
        batch("users", 'alter_column("email", nullable=False)', 'create_check_constraint("ck", "age > 0")')
        + "\n"
        + batch("notes", 'create_foreign_key("fk", "users", ["user_id"], ["id"])'),
    )
    document = bench.json("apply", "--dry-run")
    assert {row["kind"]: row["violation"]["keys"] for row in document["plan"]["counted"]} == {
        "nulls": ["id=3"],
        "failed check": ["id=2"],
        "orphans": ["id=2 with user_id=99"],
    }
    done = bench.run("apply", "--dry-run")
    assert done.returncode == 0
    assert "nulls in users (email): 1, as id=3" in done.stdout


def test_the_gate_reviewed_knows_the_rows_of_the_target(bench: Workbench) -> None:
    set_the_scene(bench, *_ROWS)
    bench.revision("a2", "a1", batch("users", 'create_unique_constraint("uq", ["email"])'))
    bench.settings('requires = ["reviewed"]')
    (finding,) = of(bench.json("apply", "--dry-run")["plan"], "fail-unique-dups")
    assert (finding["severity"], finding["counted"][0]["violation"]["keys"]) == ("error", ["id=1 and id=2"])
    closed = bench.run("apply", "--yes")
    assert closed.returncode == 3
    assert "reviewed" in closed.stderr
    bench.execute("update users set email = 'b@example.org' where id = 2")
    done = bench.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert bench.rows("select version_num from alembic_version") == [("a2",)]


def test_what_the_database_holds_its_rows_to_already_is_not_looked_at(bench: Workbench) -> None:
    bench.revision("a1", None, 'op.execute("create table t (id integer primary key, v integer not null unique)")')
    bench.run("apply", "--yes")
    bench.revision(
        "a2", "a1", batch("t", 'add_column(sa.Column("w", sa.Integer))', 'create_check_constraint("ck", "v > 0")')
    )
    assert [row["kind"] for row in bench.json("apply", "--dry-run")["plan"]["counted"]] == ["failed check"]


class TestSnapshot:
    """What `handrail status --save` writes, and a review that rests on it."""

    def test_it_holds_sizes_schema_and_revision_and_no_row(self, bench: Workbench) -> None:
        set_the_scene(bench, *_ROWS)
        done = bench.run("status", "--save", "main.json")
        assert done.returncode == 0, done.stderr
        assert "no rows" in done.stderr
        file = bench.root / "main.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        document = json.loads(file.read_text())
        assert (document["kind"], document["schema"], document["heads"]) == ("database", 1, ["a1"])
        assert {s["table"]: s["rows"] for s in document["sizes"]} == {"notes": 2, "users": 3}
        assert "example.org" not in file.read_text()
        assert list(bench.root.glob("*.part")) == []

    def test_it_is_not_replaced_unasked(self, bench: Workbench) -> None:
        set_the_scene(bench)
        file = bench.root / "main.json"
        file.write_text("mine")
        refused = bench.run("status", "--save", "main.json")
        assert (refused.returncode, file.read_text()) == (2, "mine")
        assert "--force" in refused.stderr
        assert bench.run("status", "--save", "main.json", "--force").returncode == 0
        assert json.loads(file.read_text())["heads"] == ["a1"]
        assert bench.run("status", "--save", "nowhere/main.json").returncode == 2
        assert bench.run("status", "--save", "other.json", "--offline").returncode == 2
        assert bench.run("status", "--force").returncode == 2

    def test_a_review_rests_on_it_without_any_connection(self, pg_bench: Workbench) -> None:
        set_the_scene(pg_bench)
        pg_bench.execute("insert into users select g, 'x', g, '' from generate_series(1, 20000) g", "analyze users")
        pg_bench.run("status", "--save", "main.json")
        pg_bench.revision("a2", "a1", 'op.create_index("ix", "users", ["email"], unique=True)')
        unreachable = {"HANDRAIL_TEST_URL": "postgresql+psycopg://nobody@127.0.0.1:1/none"}
        done = pg_bench.run("review", "--snapshot", "main.json", "--format", "json", env=unreachable)
        document = json.loads(done.stdout)
        assert document["revisions"] == ["a2"]
        index = the(document, "lock-index-create")
        assert (index["severity"], "20,000 rows" in index["why"]) == ("error", True)
        assert index["estimate"]["bytes"] > 0
        assert [c["unknown"] for c in document["counted"]] == ["not counted: a saved snapshot holds no rows"]
        assert document["engines"][0]["told_by"] == "main.json, of main"

    def test_one_that_is_old_or_of_another_revision_says_so(self, lite_bench: Workbench) -> None:
        set_the_scene(lite_bench)
        lite_bench.run("status", "--save", "main.json")
        file = lite_bench.root / "main.json"
        document = json.loads(file.read_text())
        old = datetime.now(UTC) - timedelta(days=30)
        file.write_text(json.dumps(document | {"taken_at": old.isoformat(), "heads": ["zz9"]}))
        told = "\n".join(lite_bench.json("review", "--snapshot", "main.json")["notes"])
        assert "the snapshot is 30 days old" in told
        assert "of revision zz9, of which the files know nothing" in told
        file.write_text(json.dumps(document))
        lite_bench.revision("a2", "a1", 'op.add_column("users", sa.Column("nick", sa.Text))')
        lite_bench.run("apply", "--yes")
        notes = lite_bench.json("review", "--snapshot", "main.json")["notes"]
        assert any("apply has brought main to a2 since" in note for note in notes)

    @pytest.mark.parametrize(
        "content", ["", "{", "[]", '{"kind": "database", "schema": 99}', '{"kind": "database", "schema": 1}'], ids=repr
    )
    def test_what_is_no_snapshot_is_refused(self, lite_bench: Workbench, content: str) -> None:
        set_the_scene(lite_bench)
        Path(lite_bench.root / "bad.json").write_text(content)
        done = lite_bench.run("review", "--snapshot", "bad.json")
        assert done.returncode == 2
        assert "handrail status -e ENVIRONMENT --save FILE" in done.stderr
        assert "Traceback" not in done.stderr

    def test_it_does_not_go_with_an_environment(self, lite_bench: Workbench) -> None:
        set_the_scene(lite_bench)
        lite_bench.run("status", "--save", "main.json")
        done = lite_bench.run("review", "--snapshot", "main.json", "-e", "main")
        assert done.returncode == 2
        assert "leave one of them out" in done.stderr

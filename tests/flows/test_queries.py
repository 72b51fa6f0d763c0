"""Statements of applications, asked again at each revision: what newly fails is named, nothing is executed."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from workbench import Workbench

from handrail.compat.query_sources import in_log, in_sql, numbered, without_literals
from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.server import start

_FIRST = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("nick", sa.String(40)),
    sa.Column("role", sa.Enum("player", "coach", name="role")),
    sa.UniqueConstraint("nick", name="uq_nick"),
)
"""
_SQL = r"""
-- what the pages ask; a ; in a comment
SELECT nick FROM users WHERE id = 4711;
INSERT INTO users (nick) VALUES ('top-secret;') ON CONFLICT (nick) DO NOTHING;
\echo psql's own
SELECT count(*) FROM users WHERE role = 'coach' AND nick LIKE '50%';
SELECT nobody FROM users;
SELECT id FROM later WHERE id = $1;
CREATE TABLE extra (id integer);
UPDATE users SET nick = %(nick)s WHERE id = %(id)s;
SELECT id FROM users WHERE role = 'coach';
"""


def replayed(bench: Workbench, source: str, *arguments: str) -> dict[str, Any]:
    """What became of the statements, with the exit status under `exit`."""
    done = bench.run("compat", "--queries", source, "--format", "json", *arguments)
    assert done.returncode in {0, 1}, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)["queries"]
    return {**found, "exit": done.returncode}


def told(failing: list[dict[str, Any]]) -> list[tuple[str, str, str, str]]:
    return [(f["place"].rpartition(":")[2], f["since"], f["operation"], f["healed_by"]) for f in failing]


def test_a_statement_that_newly_fails_is_named_with_revision_and_operation_and_never_run(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa1", None, _FIRST)
    pg_bench.revision("aaa2", "aaa1", 'op.drop_constraint("uq_nick", "users")')
    pg_bench.revision("aaa3", "aaa2", 'op.create_unique_constraint("uq_again", "users", ["nick"])')
    later = 'op.create_table("later", sa.Column("id", sa.Integer))'
    pg_bench.revision("aaa4", "aaa3", f'op.drop_column("users", "nick")\n{later}')
    pg_bench.revision(
        "aaa5",
        "aaa4",
        'op.execute("alter type role rename to role_old")\nop.execute("create type role as enum (\'player\')")\n'
        'op.execute("alter table users alter role type role using role::text::role")',
    )
    (pg_bench.root / "pages.sql").write_text(_SQL)
    found = replayed(pg_bench, "pages.sql")
    assert (found["exit"], found["asked"], found["first"], found["last"]) == (1, 7, "aaa1", "aaa5")
    assert told(found["newly"]) == [
        ("3", "aaa4", "drop_column users.nick at line 11", ""),
        ("4", "aaa2", "drop_constraint users.uq_nick at line 11", "aaa3"),
        ("4", "aaa4", "drop_column users.nick at line 11", ""),
        ("6", "aaa4", "drop_column users.nick at line 11", ""),
        ("10", "aaa4", "drop_column users.nick at line 11", ""),
        ("11", "aaa5", "execute alter table users alter role type role using role::text::role at line 13", ""),
    ]
    assert told(found["from_start"]) == [("7", "aaa1", "", ""), ("8", "aaa1", "", "aaa4")]
    assert found["left_out"] == ["pages.sql:9"]
    assert found["newly"][0]["text"] == "SELECT nick FROM users WHERE id = ?"
    assert found["newly"][-1]["message"] == 'invalid input value for enum role: "?"'
    text = pg_bench.run("compat", "--queries", "pages.sql", "--revisions", "aaa2:").stdout
    assert "what fails newly:\n  SELECT nick FROM users WHERE id = ?\n    pages.sql:3: fails since aaa4" in text
    assert "what fails already at aaa2" in text
    page = pg_bench.run("compat", "--queries", "pages.sql", "--format", "html").stdout
    assert "They worked, and fail" in page
    assert "top-secret" not in text + page + json.dumps(found)
    assert "4711" not in text + page + json.dumps(found)
    assert pg_bench.rows("select count(*) from pg_class where relname in ('users', 'handrail')") == [(0,)]


def test_sqlite_is_asked_too_and_without_failures_all_is_well(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, _FIRST)
    (lite_bench.root / "q.sql").write_text("select nick from users where id = ? and nick = :nick;")
    assert replayed(lite_bench, "q.sql")["exit"] == 0
    lite_bench.revision("aaa2", "aaa1", 'with op.batch_alter_table("users") as batch:\n    batch.drop_column("nick")')
    [failing] = replayed(lite_bench, "q.sql")["newly"]
    assert (failing["since"], failing["message"]) == ("aaa2", "no such column: nick")


def test_what_holds_no_statement_is_refused(lite_bench: Workbench) -> None:
    lite_bench.revision("aaa1", None, _FIRST)
    (lite_bench.root / "empty.sql").write_text("-- nothing\ncreate table t (id integer);")
    for source, why in (("empty.sql", "1 other statements"), ("no.sql", "No such file"), ("env:main", "SQLite keeps")):
        done = lite_bench.run("compat", "--queries", source)
        assert done.returncode == (1 if source == "env:main" else 2)
        assert why in done.stderr
        assert "Traceback" not in done.stderr


@pytest.mark.slow
def test_a_log_of_sqlalchemy_is_read(pg_bench: Workbench) -> None:
    pg_bench.revision("aaa1", None, _FIRST)
    pg_bench.revision("aaa2", "aaa1", 'op.drop_column("users", "nick")')
    log = pg_bench.root / "app.log"
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    logger = logging.getLogger("sqlalchemy.engine.Engine")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    metadata = sa.MetaData()
    users = sa.Table("users", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("nick", sa.String(40)))
    engine = sa.create_engine(pg_bench.url)
    try:
        with engine.connect() as conn:
            metadata.create_all(conn)
            conn.execute(users.insert().values(nick="top-secret"))
            for number in range(3):
                conn.execute(sa.select(users).where(users.c.id == number, users.c.nick.like("a%")))
            conn.rollback()
    finally:
        logger.removeHandler(handler)
        handler.close()
        engine.dispose()
    found = replayed(pg_bench, "app.log", "--revisions", "aaa1:")
    failing = {f["text"].split()[0]: f["calls"] for f in found["newly"]}
    assert failing == {"INSERT": 1, "SELECT": 3}
    assert found["left_out"] == []
    assert "top-secret" not in json.dumps(found)


@pytest.mark.slow
def test_what_a_server_has_counted_is_asked_from_where_it_stands(tmp_path: Path) -> None:
    with start(find_any(), settings={"shared_preload_libraries": "pg_stat_statements"}) as server:
        server.create_database("production")
        bench = Workbench(tmp_path / "project", server.url("production"))
        bench.revision("aaa1", None, _FIRST)
        assert bench.run("apply", "--yes").returncode == 0
        without = bench.run("compat", "--queries", "env:main")
        assert without.returncode == 1
        assert "CREATE EXTENSION pg_stat_statements" in without.stderr
        bench.execute("create extension pg_stat_statements", "insert into users (nick) values ('top-secret')")
        for number in range(3):
            bench.rows(f"select nick from users where id = {number}")
        bench.revision("aaa2", "aaa1", 'op.drop_column("users", "nick")')
        found = replayed(bench, "env:main")
        assert (found["first"], found["last"]) == ("aaa1", "aaa2")
        newly = {f["text"]: (f["calls"], f["operation"]) for f in found["newly"]}
        cause = "drop_column users.nick at line 11"
        assert newly["select nick from users where id = $1"] == (3, cause)
        assert newly["insert into users (nick) values ($1)"] == (1, cause)
        bench.execute("create role onlooker login")
        poor = sa.make_url(bench.url).set(username="onlooker").render_as_string(hide_password=False)
        denied = bench.run("compat", "--queries", "env:main", env={"HANDRAIL_TEST_URL": poor})
        assert denied.returncode in {1, 2}
        assert "GRANT" in denied.stderr


def test_statements_are_found_in_sql_with_their_lines() -> None:
    text = "/* a;b */ select 1;\n\n  select $$;$$, E'\\';', 'it''s;' ;\n;select \";\" from t"
    assert [(q.text, q.place) for q in in_sql(text, "f")] == [
        ("select 1", "f:1"),
        ("select $$;$$, E'\\';', 'it''s;'", "f:3"),
        ('select ";" from t', "f:4"),
    ]


def test_statements_are_found_in_logs_of_servers_and_in_json_lines() -> None:
    log = (
        "2026-11-22 10:00:00.123 UTC [7] LOG:  statement: select 1\n\tfrom users;\n"
        "2026-11-22 10:00:01.000 UTC [7] LOG:  duration: 1.2 ms  execute <unnamed>: UPDATE users SET nick = $1\n"
        "2026-11-22 10:00:01.000 UTC [7] DETAIL:  parameters: $1 = 'x'\n"
        '{"level": "info", "query": {"sql": "DELETE FROM users", "ms": 3}}\n'
        "INFO done with 5 updates of the select few\n"
    )
    assert [(q.text, q.place) for q in in_log(log, "f")][:3] == [
        ("select 1\n\tfrom users", "f:1"),
        ("UPDATE users SET nick = $1", "f:3"),
        ("DELETE FROM users", "f:5"),
    ]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("a = %(x)s or a = %(y)s or b = %(x)s", ("a = $1 or a = $2 or b = $1", 2)),
        ("a = %s and b like '%s' and c = %s", ("a = $1 and b like '%s' and c = $2", 2)),
        ("a = :x and b::text = :y", ("a = $1 and b::text = $2", 2)),
        ("a = $2 and b = $1", ("a = $2 and b = $1", 2)),
        ("data ? 'key' and \"a:b\" = 1", ("data ? 'key' and \"a:b\" = 1", 0)),
    ],
)
def test_placeholders_of_every_style_are_numbered(text: str, result: tuple[str, int]) -> None:
    assert numbered(text, lambda number: f"${number}", question_marks=False) == result


def test_a_message_repeats_no_literal() -> None:
    said = 'invalid input value for enum role: "it\'s"'
    assert without_literals(said, "select 1 where role = 'it''s'") == 'invalid input value for enum role: "?"'

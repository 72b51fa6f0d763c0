"""A dry run leaves no trace, and what it prints is what apply then sends."""

from __future__ import annotations

import ast
import hashlib
import re
import sqlite3
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from load import connect
from workbench import Workbench

from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server, start

_CREATE = """
op.create_table(
    "teams",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(40), nullable=False, comment="as on the shirt; 100% unique"),
    sa.Column("rate", sa.Numeric(5, 2), server_default=sa.text("0")),
    sa.CheckConstraint("rate >= 0", name="ck_teams_rate"),
    sa.UniqueConstraint("name", name="uq_teams_name"),
    comment="who plays",
)
op.create_table(
    "players",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id", name="fk_players_team")),
    sa.Column("mood", sa.Enum("calm", "wild", name="mood")),
)
op.create_index("ix_players_team", "players", ["team_id"])
"""
_FILL = """
teams = sa.table("teams", sa.column("id", sa.Integer), sa.column("name", sa.String), sa.column("rate", sa.Numeric))
op.bulk_insert(teams, [{"id": 1, "name": "it's us", "rate": 1.5}, {"id": 2, "name": "50% of them", "rate": 0.5}])
op.bulk_insert(sa.table("players", sa.column("id"), sa.column("team_id")), [{"id": 1, "team_id": None}])
op.execute("update teams set name = 'sure: 100%' where name like '50\\%%'")
op.execute(sa.text("update teams set name = :name where id = :id or :name = ''").bindparams(name="me; you", id=1))
op.add_column("players", sa.Column("email", sa.String(50)))
"""

#: Each function of each revision, for PostgreSQL: name, parent, upgrade, downgrade.
_ON_POSTGRESQL = (
    (
        "aaa1",
        None,
        _CREATE,
        'op.drop_table("players")\nop.drop_table("teams")\nsa.Enum(name="mood").drop(op.get_bind())',
    ),
    (
        "aaa2",
        "aaa1",
        _FILL,
        'op.drop_column("players", "email")\nop.execute("delete from teams where name like \'%%\'")',
    ),
    (
        "aaa3",
        "aaa2",
        """
        op.add_column("players", sa.Column("age", sa.Integer))
        with op.get_context().autocommit_block():
            op.create_index("ix_players_email", "players", ["email"], postgresql_concurrently=True)
            op.execute("alter type mood add value 'sad'")
        op.create_check_constraint("ck_players_age", "players", "age > 0")
        op.alter_column("players", "age", type_=sa.BigInteger, existing_type=sa.Integer, comment="in years")
        op.create_foreign_key("fk_self", "teams", "teams", ["id"], ["id"])
        """,
        """
        op.drop_constraint("fk_self", "teams", type_="foreignkey")
        op.drop_constraint("ck_players_age", "players")
        with op.get_context().autocommit_block():
            op.drop_index("ix_players_email", table_name="players", postgresql_concurrently=True)
        op.drop_column("players", "age")
        """,
    ),
    (
        "aaa4",
        "aaa3",
        """
        op.create_table_comment("players", "who plays")
        op.rename_table("players", "people")
        op.alter_column("teams", "rate", nullable=False, server_default="1", existing_type=sa.Numeric)
        """,
        """
        op.alter_column("teams", "rate", nullable=True, server_default=None, existing_type=sa.Numeric)
        op.rename_table("people", "players")
        """,
    ),
)  # fmt: skip - one line for a function where it fits
_ON_SQLITE = (
    ("aaa1", None, _CREATE, 'op.drop_table("players")\nop.drop_table("teams")'),
    (
        "aaa2",
        "aaa1",
        _FILL,
        'op.drop_column("players", "email")\nop.execute("delete from teams where name like \'%\'")',
    ),
    (
        "aaa3",
        "aaa2",
        """
        with op.batch_alter_table("players") as batch:
            batch.add_column(sa.Column("age", sa.Integer))
        op.create_index("ix_players_email", "players", ["email"], unique=True)
        """,
        """
        op.drop_index("ix_players_email", "players")
        with op.batch_alter_table("players") as batch:
            batch.drop_column("age")
        """,
    ),
)  # fmt: skip - one line for a function where it fits


def fresh(bench: Workbench, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run `handrail ARGUMENTS` in an interpreter of its own, as a person would: files it may write, it writes."""
    process = bench.start(*arguments, env=env)
    out, err = process.communicate(timeout=120)
    return subprocess.CompletedProcess(arguments, process.returncode, out, err)


def write(bench: Workbench, revisions: tuple[tuple[str, str | None, str, str], ...]) -> None:
    for revision in revisions:
        bench.revision(*revision)


@dataclass(frozen=True)
class Sent:
    """One statement, white space folded, with the values of each of its executions, quotes left out."""

    sql: str
    values: tuple[tuple[str, ...], ...] = ()


# What was printed.


def printed(text: str) -> list[Sent]:
    """The SQL of a dry run's text: everything that is no comment, up to each semicolon at a line's end."""
    found: list[Sent] = []
    pending = ""
    for line in text.partition("\nfindings:\n")[0].splitlines():
        if not line.startswith("   "):
            continue  # a heading
        values = re.fullmatch(r"\s+-- with (.*)", line)
        if values:
            found[-1] = Sent(found[-1].sql, (*found[-1].values, bare(values[1])))
        elif not line.lstrip().startswith("--"):
            code = re.sub(r";(  -- depends on the data)?(  -- Alembic's version table)?$", ";", line.rstrip())
            pending = f"{pending} {code}"
            if code.endswith(";"):
                found.append(Sent(folded(pending.rstrip("; "))))
                pending = ""
    assert pending.strip() == ""
    return found


def folded(sql: str) -> str:
    return " ".join(sql.split())


def bare(values: str) -> tuple[str, ...]:
    return tuple(value.strip("'") for value in re.split(r", (?=')|, (?=[\w$])", values))


# What the server got.

_ENTRY = re.compile(r"^##(?P<who>[^#]*)##(?P<pid>\d+)##(?P<text>.*)$")


def logged(server: Server, since: int) -> list[tuple[str, int, str]]:
    """Application, pid and text of each entry of the log after that many characters."""
    assert server.log_path is not None
    entries: list[tuple[str, int, str]] = []
    for line in server.log_path.read_text()[since:].splitlines():
        entry = _ENTRY.match(line)
        if entry:
            entries.append((entry["who"], int(entry["pid"]), entry["text"]))
        elif entries:
            who, pid, text = entries[-1]
            entries[-1] = (who, pid, f"{text}\n{line}")
    return entries


#: What Handrail itself sends on the connection that migrates, and SQLAlchemy when it connects. Everything else there
#: must be the plan's. Our tables all stand in the schema `handrail`; bounds are set for one transaction; looks at the
#: catalogue name pg_catalog; the version table is read, never written, outside the plan.
_OURS = re.compile(
    r"handrail\.|^SET (LOCAL|SESSION) lock_timeout|^SELECT set_config\(|set_config\(wanted\.name|pg_catalog|pg_advisory"
    r"|^select current_schema\(\)|^show |^SELECT alembic_version\.version_num|^SELECT pid, to_char",
    re.IGNORECASE,
)


def received(server: Server, since: int) -> list[Sent]:
    """What the migrating sessions of Handrail sent, in order, without what is Handrail's own."""
    entries = [entry for entry in logged(server, since) if entry[0].startswith("handrail:")]
    migrating = {
        pid for _, pid, text in entries if re.search(r"(INSERT INTO|UPDATE|DELETE FROM) alembic_version", text)
    }
    found: list[Sent] = []
    for _, pid, text in entries:
        statement = re.match(r"LOG:  (?:statement|execute [^:]*): (.*)", text, re.DOTALL)
        values = re.match(r"DETAIL:  Parameters: (.*)", text, re.DOTALL)
        if pid not in migrating:
            continue
        if statement:
            # psycopg names the level once autocommit_block() has set and restored it
            found.append(Sent(re.sub(r"^BEGIN ISOLATION LEVEL READ COMMITTED$", "BEGIN", folded(statement[1]))))
        elif values and found:
            found[-1] = Sent(
                found[-1].sql, (tuple(v.strip("'") for v in re.split(r"(?:^|, )\$\d+ = ", values[1])[1:]),)
            )
    return without_empty_transactions([sent for sent in joined(found) if not _OURS.search(sent.sql)])


def joined(sent: list[Sent]) -> Iterator[Sent]:
    """Several executions of one statement are printed as one."""
    before: Sent | None = None
    for one in sent:
        if before and before.values and one.values and one.sql == before.sql:
            before = Sent(one.sql, before.values + one.values)
            continue
        if before:
            yield before
        before = one
    if before:
        yield before


def without_empty_transactions(sent: list[Sent]) -> list[Sent]:
    """A transaction of which nothing is left was only for a look, or for our own rows."""
    found: list[Sent] = []
    for one in sent:
        if found and found[-1].sql == "BEGIN" and one.sql in {"COMMIT", "ROLLBACK"}:
            found.pop()
        else:
            found.append(one)
    return found


@pytest.fixture(scope="module")
def logging() -> Iterator[Server]:
    """A server that logs every statement; nothing of its own changes the catalogue meanwhile."""
    settings = {"log_statement": "all", "log_line_prefix": "##%a##%p##", "autovacuum": "off", "lc_messages": "C"}
    with start(find_any(), settings=settings) as server:
        yield server


@pytest.fixture
def told(logging: Server, tmp_path: Path) -> Iterator[Workbench]:
    """A project on a database of that server."""
    with fresh_database(logging) as url:
        yield Workbench(tmp_path / "project", url)


@pytest.mark.slow
def test_what_is_printed_is_what_the_server_gets_in_both_directions(told: Workbench, logging: Server) -> None:
    assert logging.log_path is not None
    write(told, _ON_POSTGRESQL)
    dry = told.run("apply", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    since = len(logging.log_path.read_text())
    done = told.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert received(logging, since) == printed(dry.stdout)
    bounds = [text for _, _, text in logged(logging, since) if "lock_timeout" in text]

    dry = told.run("rollback", "base", "--dry-run")
    assert dry.returncode == 0, dry.stderr
    since = len(logging.log_path.read_text())
    done = told.run("rollback", "base", "--yes")
    assert done.returncode == 0, done.stderr
    assert received(logging, since) == printed(dry.stdout)

    assert any("SET LOCAL lock_timeout = '100ms'" in text for text in bounds)


def test_the_lock_timeout_stands_before_each_lock_and_not_before_data(told: Workbench, logging: Server) -> None:
    assert logging.log_path is not None
    told.execute("create table a (id integer primary key, n integer)", "create table b (id integer)")
    told.revision(
        "aaa1",
        None,
        """
        op.add_column("a", sa.Column("x", sa.Integer))
        op.execute("update a set n = 1")
        op.execute("insert into b values (1)")
        op.add_column("b", sa.Column("x", sa.Integer))
        """,
    )
    since = len(logging.log_path.read_text())
    done = told.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    told_of = re.compile(
        r"(SET .*lock_timeout = '\w+'|ALTER TABLE \w+ ADD|update a|insert into b|alter (?:role|system).*)"
    )
    lines = [match[0] for _, _, text in logged(logging, since) if (match := told_of.search(text))]
    assert lines == [
        "SET LOCAL lock_timeout = '100ms'",
        "ALTER TABLE a ADD",
        "SET LOCAL lock_timeout = '0'",
        "update a",
        "insert into b",
        "SET LOCAL lock_timeout = '100ms'",
        "ALTER TABLE b ADD",
    ]


# No trace.

_CATALOGUES = (
    "pg_class pg_attribute pg_attrdef pg_constraint pg_index pg_type pg_enum pg_proc pg_namespace pg_description"
)


def rows_of(url: str) -> tuple[str, str]:
    """A digest of the catalogue and of every row, each with the transaction that wrote it; the next transaction."""
    with connect(url, autocommit=True) as conn:
        tables = [
            name
            for (name,) in conn.execute("select oid::regclass::text from pg_class where relkind = 'r' and oid > 16384")
        ]
        parts = [
            conn.execute(
                f"select count(*), md5(string_agg(concat(xmin, t), ',' order by ctid)) from {name} t"
            ).fetchone()
            for name in [*(f"pg_catalog.{name}" for name in _CATALOGUES.split()), *sorted(tables)]
        ]
        next_transaction = conn.execute("select pg_snapshot_xmax(pg_current_snapshot())::text").fetchone()
        assert next_transaction is not None
        return repr(parts), next_transaction[0]


def files_of(folder: Path) -> dict[str, str]:
    """Every file and folder below, with a digest of its bytes."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "folder"
        for path in folder.rglob("*")
    }


@pytest.mark.parametrize("ours", [False, True], ids=["without our tables", "with our tables"])
def test_a_dry_run_leaves_no_trace_on_postgresql(told: Workbench, tmp_path: Path, *, ours: bool) -> None:
    write(told, _ON_POSTGRESQL)
    if ours:
        assert told.run("apply", "aaa2", "--yes").returncode == 0
    else:
        told.execute("create table strangers (id integer); insert into strangers values (1)")
    files, rows = files_of(tmp_path), rows_of(told.url)
    for command in (["apply"], ["apply", "--verify"], ["rollback", "base"] if ours else ["apply", "aaa1"]):
        done = fresh(told, *command, "--dry-run")
        assert done.returncode in {0, 4}, done.stderr
    assert files_of(tmp_path) == files
    assert rows_of(told.url) == rows


def test_a_dry_run_needs_no_more_than_the_right_to_read(told: Workbench) -> None:
    write(told, _ON_POSTGRESQL)
    assert told.run("apply", "aaa1", "--yes").returncode == 0
    told.execute("create role reader login in role pg_read_all_data")
    theirs = told.url
    told.url = theirs.replace("postgres@", "reader@")
    done = told.run("apply", "--dry-run")
    told.url = theirs
    told.execute("drop role reader")
    assert done.returncode == 0, done.stderr
    assert "INSERT INTO teams" in done.stdout


@pytest.mark.parametrize("state", ["no file", "rollback journal", "WAL at rest", "WAL in use"])
def test_a_dry_run_leaves_no_trace_on_sqlite(lite_bench: Workbench, tmp_path: Path, state: str) -> None:
    write(lite_bench, _ON_SQLITE)
    file = tmp_path / "test.db"
    with closing(sqlite3.connect(file if state != "no file" else ":memory:")) as conn:
        if state.startswith("WAL"):
            conn.execute("pragma journal_mode = wal")
        conn.execute("create table strangers (id integer)")
        conn.commit()
        if state != "WAL in use":
            conn.close()
        if state != "no file":
            file.chmod(0o444)
        files = files_of(tmp_path)
        for command in (["apply"], ["apply", "--verify"], ["rollback", "base"]):
            done = fresh(lite_bench, *command, "--dry-run")
            assert done.returncode in {0, 4}, done.stderr
        found = files_of(tmp_path)
    if state == "WAL in use":  # its index of readers is memory of those who have it open
        files.pop("test.db-shm")
        found.pop("test.db-shm")
    assert found == files


# SQLite.


#: Loaded by every interpreter of the command: writes down what each connection to SQLite executes.
_TRACING = """
import os, sqlite3, sqlite3.dbapi2
opened = []
def connect(*arguments, _connect=sqlite3.connect, **options):
    conn = _connect(*arguments, **options)
    opened.append(conn)
    number = len(opened)
    def trace(sql):
        with open(os.environ["TRACE"], "a") as out:
            print(number, repr(sql), file=out)
    conn.set_trace_callback(trace)
    return conn
sqlite3.connect = sqlite3.dbapi2.connect = connect
"""

#: As on PostgreSQL; our tables are named handrail_*, settings and looks at the catalogue are pragmas and sqlite_schema.
_OURS_IN_SQLITE = re.compile(r"handrail_|pragma|sqlite_|^SELECT alembic_version\.version_num", re.IGNORECASE)


def test_what_is_printed_is_what_sqlite_gets_in_both_directions(lite_bench: Workbench, tmp_path: Path) -> None:
    write(lite_bench, _ON_SQLITE)
    for command in (("apply",), ("rollback", "base")):
        dry = lite_bench.run(*command, "--dry-run")
        assert dry.returncode == 0, dry.stderr
        done, sent = sent_to_sqlite(lite_bench, tmp_path, *command)
        assert done.returncode == 0, done.stderr
        assert sent == [sql for one in printed(dry.stdout) for sql in expanded(one)]


def sent_to_sqlite(
    bench: Workbench, tmp_path: Path, *command: str
) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run a command; return with it what the connection that migrates executed, without Handrail's own."""
    tracing, trace = tmp_path / "tracing", tmp_path / f"{command[0]}.trace"
    tracing.mkdir(exist_ok=True)
    tracing.joinpath("sitecustomize.py").write_text(_TRACING)
    done = fresh(bench, *command, "--yes", env={"PYTHONPATH": str(tracing), "TRACE": str(trace)})
    return done, traced(trace)


def expanded(sent: Sent) -> Iterator[str]:
    """Each execution with its values in the places they are sent for, as SQLite's trace shows it."""
    yield from [sent.sql] if not sent.values else []
    for values in sent.values:
        literals = (value if re.fullmatch(r"NULL|[\d.]+", value) else f"'{value}'" for value in values)
        yield re.sub(r"\?", lambda _: next(literals), sent.sql)  # noqa: B023 - used up before the next turn


def traced(trace: Path) -> list[str]:
    """What the connection that migrates executed, without Handrail's own."""
    lines = [line.partition(" ") for line in trace.read_text().splitlines()]
    executed = [(number, folded(ast.literal_eval(sql))) for number, _, sql in lines]
    writes = re.compile(r"(INSERT INTO|UPDATE|DELETE FROM) alembic_version")
    migrating = {number for number, sql in executed if writes.match(sql)}
    sent = [Sent(sql.replace("BEGIN IMMEDIATE", "BEGIN")) for number, sql in executed if number in migrating]
    return [one.sql for one in without_empty_transactions([s for s in sent if not _OURS_IN_SQLITE.search(s.sql)])]


# What depends on the data.


def test_what_depends_on_the_data_is_marked(bench: Workbench) -> None:
    bench.execute("create table users (id integer)")
    bench.revision(
        "aaa1",
        None,
        """
        op.add_column("users", sa.Column("first", sa.Integer))
        for row in op.get_bind().execute(sa.text("select id from users")):
            op.execute(f"update users set first = {row[0]}")
        op.add_column("users", sa.Column("second", sa.Integer))
        """,
    )
    text = bench.run("apply", "--dry-run").stdout
    assert "data-dependent: line 12: it reads the database: select id from users" in text
    lines = [line.strip() for line in text.splitlines()]
    assert "ALTER TABLE users ADD COLUMN first INTEGER;" in lines
    assert "ALTER TABLE users ADD COLUMN second INTEGER;  -- depends on the data" in lines
    document = bench.json("apply", "--dry-run")
    assert (document["schema"], document["kind"]) == (1, "dry-run")
    (step,) = document["plan"]["steps"]
    assert (step["reading"], step["direction"], step["transactions"]) == ("data-dependent", "upgrade", 1)
    exact = {s["sql"]: s["exact"] for s in step["statements"] if "ADD COLUMN" in s["sql"]}
    assert exact == {
        "ALTER TABLE users ADD COLUMN first INTEGER": True,
        "ALTER TABLE users ADD COLUMN second INTEGER": False,
    }
    added = next(s for s in step["statements"] if "first INTEGER" in s["sql"])
    (effect,) = added["effects"]
    assert (effect["relation"], effect["cost"], effect["created_here"]) == ("users", "instant", False)
    assert effect["lock"] in {"ACCESS EXCLUSIVE", "RESERVED"}
    assert added["kind"] == "schema"
    assert added["place"]["line"] == 11


def test_json_has_every_statement_with_its_effects_and_parameters(bench: Workbench) -> None:
    bench.revision("aaa1", None, _CREATE + _FILL)
    (step,) = bench.json("apply", "--dry-run")["plan"]["steps"]
    assert step["reading"] == "exact"
    keys = {
        "sql",
        "kind",
        "parameters",
        "operation",
        "place",
        "transaction",
        "autocommit",
        "exact",
        "origin",
        "effects",
    }
    assert all(set(statement) == keys for statement in step["statements"])
    (inserted,) = [s for s in step["statements"] if s["sql"].startswith("INSERT INTO teams")]
    assert inserted["parameters"] == [["1", "'it''s us'", "1.5"], ["2", "'50% of them'", "0.5"]]
    assert [s["parameters"] for s in step["statements"] if "INTO players" in s["sql"]] == [[["1", "NULL"]]]
    assert step["operations"][inserted["operation"]]["name"] == "bulk_insert"
    assert [s["origin"] for s in step["statements"]][-1] == "alembic"


def test_a_batch_recreate_is_read_exactly_also_after_other_changes_of_its_table(
    lite_bench: Workbench, tmp_path: Path
) -> None:
    lite_bench.execute(
        "create table users (id integer primary key, name varchar(20) collate nocase default 'it''s')",
        "create unique index ix_users_name on users (name)",
        "create table posts (id integer primary key, user_id integer references users (id) on delete cascade)",
        "insert into users values (1, 'ann')",
        "insert into posts values (1, 1)",
    )
    lite_bench.revision("aaa1", None, 'op.add_column("users", sa.Column("age", sa.Integer))')
    lite_bench.revision(
        "aaa2",
        "aaa1",
        """
        op.add_column("users", sa.Column("email", sa.String(50)))
        with op.batch_alter_table("users", recreate="always") as batch:
            batch.alter_column("name", nullable=False)
            batch.create_check_constraint("ck_users_age", "age > 0")
        with op.batch_alter_table("posts") as batch:
            batch.alter_column("user_id", nullable=False)
        """,
        """
        with op.batch_alter_table("users") as batch:
            batch.drop_constraint("ck_users_age", type_="check")
            batch.drop_column("email")
        """,
    )
    for command in (("apply",), ("rollback", "aaa1")):
        dry = lite_bench.run(*command, "--dry-run")
        assert "data-dependent" not in dry.stdout, dry.stdout
        assert "CREATE TABLE _alembic_tmp_users" in dry.stdout
        done, sent = sent_to_sqlite(lite_bench, tmp_path, *command)
        assert done.returncode == 0, done.stderr
        assert sent == [sql for one in printed(dry.stdout) for sql in expanded(one)]
    assert lite_bench.rows("select * from posts") == [(1, 1)]


def test_a_batch_recreate_after_a_look_at_the_data_says_what_it_needs(lite_bench: Workbench) -> None:
    lite_bench.execute("create table users (id integer primary key, name varchar(20))")
    lite_bench.revision(
        "aaa1",
        None,
        """
        op.get_bind().execute(sa.text("select name from users")).all()
        with op.batch_alter_table("users") as batch:
            batch.alter_column("name", nullable=False)
        """,
    )
    text = lite_bench.run("apply", "--dry-run").stdout
    assert "data-dependent: line 11: it reads the database: select name from users" in text


def test_a_batch_recreate_says_that_it_needs_the_live_table_where_no_copy_can_be_made(
    lite_bench: Workbench, tmp_path: Path
) -> None:
    with closing(sqlite3.connect(tmp_path / "test.db")) as conn:
        conn.create_function("odd", 1, lambda number: number % 2, deterministic=True)
        conn.execute("create table odds (id integer check (odd(id)))")
        conn.execute("create table users (id integer primary key, name varchar(20))")
    batch = 'with op.batch_alter_table("users") as batch:\n    batch.alter_column("name", nullable=False)'
    lite_bench.revision("aaa1", None, batch)
    text = lite_bench.run("apply", "--dry-run").stdout
    assert re.search(r"data-dependent: line \d+: needs the live table: batch recreate of users", text)

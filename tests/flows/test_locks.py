"""Nobody waits because of a migration: locks are looked at before they are asked for, and never waited for long."""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from textwrap import indent

import psycopg
import pytest
from load import DEADLINE_S, Writers, connect, holding, until
from sqlalchemy import make_url
from workbench import Workbench

from handrail.engines.base import Purpose, for_url
from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.sandbox import fresh_database
from handrail.engines.postgresql.servers.server import Server, start

READER_STAYS_S = 20.0
STALL_MS = 250.0

_ACCOUNTS = """
create table accounts (id integer primary key generated always as identity, owner text, balance integer);
insert into accounts (owner, balance) select 'owner ' || n, n from generate_series(1, 1000) n;
create table parted (id integer) partition by list (id);
create table part_1 partition of parted for values in (1);
create table child () inherits (accounts);
create table orders (id integer primary key, account_id integer references accounts (id));
"""
_ADD_COLUMN = 'op.add_column("accounts", sa.Column("email", sa.String(50)))'
#: True in the run itself, not where the revision is only read; asks the database nothing.
_FOR_REAL = 'type(op.get_bind().connection.dbapi_connection).__module__.startswith("psycopg")'


@pytest.fixture
def bench(pg_bench: Workbench) -> Workbench:
    """A project on a database whose tables exist already."""
    pg_bench.execute(_ACCOUNTS)
    return pg_bench


class Told:
    """The lines that a running command tells on stderr, as they come."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        self.text = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.text += line

    def until(self, words: str) -> None:
        until(lambda: words in self.text or self.process.poll() is not None, repr(words))
        assert words in self.text, self.text

    def ended(self) -> int:
        status = self.process.wait(DEADLINE_S)
        self._thread.join(DEADLINE_S)
        assert self.process.stdout is not None
        self.process.stdout.close()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


def columns(bench: Workbench, table: str) -> set[str]:
    rows = bench.rows(f"select attname from pg_attribute where attrelid = '{table}'::regclass and attnum > 0")
    return {row[0] for row in rows}


def dump(bench: Workbench) -> list[tuple[object, ...]]:
    """Every relation and column outside Handrail's own schema, and the version table's rows."""
    return bench.rows(
        "select n.nspname, c.relname, a.attname, c.relkind::text from pg_class c"
        " join pg_namespace n on n.oid = c.relnamespace left join pg_attribute a on a.attrelid = c.oid"
        " where n.nspname not in ('handrail', 'pg_catalog', 'information_schema', 'pg_toast') order by 1, 2, 3"
    )


@pytest.mark.timing
def test_add_column_waits_for_a_reader_of_20_s_without_stalling_a_writer(bench: Workbench) -> None:
    bench.revision("aaa1", None, _ADD_COLUMN)
    left_at = 0.0
    with Writers(bench.url) as writers:
        with holding(
            bench.url, "select count(*) from accounts where owner = 'canary'", application_name="report"
        ) as reader:
            pid = reader.info.backend_pid
            told = Told(bench.start("apply", "--yes"))
            told.until("waits, holding nothing")
            threading.Event().wait(READER_STAYS_S)  # the length of the report is the subject, not a wait for something
            assert told.process.poll() is None
            left_at = time.monotonic()
        until(lambda: "email" in columns(bench, "accounts"), "the column")
        entered_s = time.monotonic() - left_at
        assert told.ended() == 0, told.text
    print(f"with Handrail: worst wait of a writer {writers.worst_ms:.0f} ms, {len(writers.waits_s)} writes")  # noqa: T201 - a figure to read
    assert writers.errors == []
    assert len(writers.waits_s) > READER_STAYS_S * writers.per_second
    assert writers.worst_ms <= STALL_MS
    assert entered_s < 1.0
    assert f"pid {pid} holds ACCESS SHARE on accounts" in told.text
    assert "(user postgres, report, idle in transaction)" in told.text
    assert "owner = ?" in told.text
    assert "canary" not in told.text


@pytest.mark.timing
def test_the_same_column_added_under_a_plain_lock_timeout_of_5_s_stalls_the_writers(bench: Workbench) -> None:
    with Writers(bench.url) as writers, holding(bench.url, "select count(*) from accounts"):
        with connect(bench.url) as conn:
            conn.execute("set lock_timeout = '5s'")
            with pytest.raises(psycopg.errors.LockNotAvailable):
                conn.execute("alter table accounts add column email varchar(50)")
        until(lambda: bool(writers.waits_s) and writers.worst_ms > 1000, "a stall")
    print(f"plain lock_timeout of 5 s: worst wait of a writer {writers.worst_ms:.0f} ms")  # noqa: T201 - a figure to read
    assert writers.worst_ms > 4000


def _meeting(folder: Path, then: str) -> str:
    """The body of a revision that comes to the point between look and lock, says so, and waits to be sent on."""
    return (
        "import os, pathlib, time\n"
        f"meeting = pathlib.Path({str(folder)!r})\n"
        f"if {_FOR_REAL}:\n"
        '    meeting.joinpath("here").touch()\n'
        f"    ends = time.monotonic() + {DEADLINE_S}\n"
        '    while not meeting.joinpath("go").exists() and time.monotonic() < ends:\n'
        "        time.sleep(0.01)\n"
        f"{then}\n"
    )


def test_a_lock_missed_between_look_and_lock_is_rolled_back_and_tried_again(bench: Workbench, tmp_path: Path) -> None:
    before_it = 'op.create_table("first", sa.Column("id", sa.Integer))\n'
    bench.revision("aaa1", None, _meeting(tmp_path, before_it + _ADD_COLUMN))
    told = Told(bench.start("apply", "--yes"))
    until(tmp_path.joinpath("here").exists, "the meeting")
    with holding(bench.url, "select count(*) from accounts", application_name="report"):
        tmp_path.joinpath("go").touch()
        told.until("lock timeout in attempt 1, rolled back, again in")
        assert bench.rows("select to_regclass('first')") == [(None,)]
        told.until("waits, holding nothing")
    assert told.ended() == 0, told.text
    assert "(attempt 2)" in told.text
    assert "email" in columns(bench, "accounts")


def test_a_lock_missed_outside_a_transaction_is_tried_again_too(bench: Workbench, tmp_path: Path) -> None:
    body = _meeting(tmp_path, 'op.execute("alter table accounts add column email text")')
    bench.revision("aaa1", None, f"with op.get_context().autocommit_block():\n{indent(body, '    ')}")
    told = Told(bench.start("apply", "--yes"))
    until(tmp_path.joinpath("here").exists, "the meeting")
    with holding(bench.url, "select count(*) from accounts", application_name="report"):
        tmp_path.joinpath("go").touch()
        told.until("lock timeout in attempt 1, rolled back, again in")
    assert told.ended() == 0, told.text
    assert "email" in columns(bench, "accounts")
    assert bench.rows("select * from handrail.statement_log") == []


def test_a_spent_budget_names_the_blocker_and_leaves_the_database_as_it_was(bench: Workbench) -> None:
    bench.settings('lock = { budget = "1s" }')
    concurrently = 'op.create_index("ix_orders", "orders", ["account_id"], postgresql_concurrently=True)'
    bench.revision(
        "aaa1", None, f"with op.get_context().autocommit_block():\n{indent(concurrently, '    ')}\n{_ADD_COLUMN}"
    )
    before = dump(bench)
    with holding(bench.url, "select * from accounts where owner = 'canary'", application_name="report") as reader:
        pid = reader.info.backend_pid
        done = bench.run("apply", "--yes")
    assert done.returncode == 1, done.stderr
    assert "the database is as it was before this revision" in done.stderr
    assert f"pid {pid} holds ACCESS SHARE on accounts" in done.stderr
    assert "canary" not in done.stderr
    assert dump(bench) == before


def test_a_budget_spent_on_misses_leaves_the_database_as_it_was(bench: Workbench, tmp_path: Path) -> None:
    bench.settings('lock = { budget = "1s" }')
    bench.revision("aaa1", None, _meeting(tmp_path, 'op.create_table("first")\n' + _ADD_COLUMN))
    before = dump(bench)
    told = Told(bench.start("apply", "--yes"))
    until(tmp_path.joinpath("here").exists, "the meeting")
    with holding(bench.url, "select * from accounts", application_name="report"):
        tmp_path.joinpath("go").touch()
        assert told.ended() == 1, told.text
    assert "report" in told.text
    assert dump(bench) == before


@pytest.mark.parametrize(
    ("body", "held"),
    [
        pytest.param(
            'op.create_foreign_key("fk", "accounts", "orders", ["balance"], ["id"], postgresql_not_valid=True)',
            "update orders set id = 1 where id = 1",
            id="a foreign key waits for writers of the table it points to",
        ),
        pytest.param(
            'op.drop_table("orders")', "select * from accounts", id="a dropped table, for readers of its parent"
        ),
        pytest.param(
            'op.drop_constraint("orders_account_id_fkey", "orders")',
            "select * from accounts",
            id="a dropped foreign key, for readers of its parent",
        ),
        pytest.param(
            'op.drop_column("orders", "account_id")',
            "select * from accounts",
            id="a column with a foreign key, for readers of its parent",
        ),
        pytest.param('op.drop_table("part_1")', "select * from parted", id="a partition, for readers of its parent"),
        pytest.param(
            'op.add_column("parted", sa.Column("x", sa.Integer))',
            "select * from part_1",
            id="a partitioned table, for readers of a partition",
        ),
        pytest.param(_ADD_COLUMN, "select * from child", id="a table, for readers of an inheritance child"),
        pytest.param(
            'op.create_index("ix", "accounts", ["owner"])',
            "update accounts set balance = 0 where id = 1",
            id="an index, for writers of its table",
        ),
    ],
)  # fmt: skip - one line for each case where it fits
def test_a_holder_that_would_make_us_wait_is_waited_for(bench: Workbench, body: str, held: str) -> None:
    bench.revision("aaa1", None, body)
    with holding(bench.url, held, application_name="report"):
        told = Told(bench.start("apply", "--yes"))
        told.until("waits, holding nothing")
        assert "report" in told.text
    assert told.ended() == 0, told.text
    assert "attempt 2" not in told.text


@pytest.mark.parametrize(
    ("body", "held"),
    [
        pytest.param(
            'op.create_foreign_key("fk", "accounts", "orders", ["balance"], ["id"], postgresql_not_valid=True)',
            "select * from accounts, orders",
            id="a foreign key does not wait for readers",
        ),
        pytest.param(
            'op.create_index("ix", "accounts", ["owner"])', "select * from accounts", id="an index, for readers"
        ),
        pytest.param(
            'op.drop_column("orders", "account_id")',
            "select * from parted",
            id="a dropped column, for readers of another table",
        ),
        pytest.param(
            'op.add_column("orders", sa.Column("note", sa.Text))',
            "select * from accounts",
            id="an added column, for readers of the parent",
        ),
    ],
)
def test_a_holder_that_does_not_conflict_is_not_waited_for(bench: Workbench, body: str, held: str) -> None:
    bench.settings('lock = { budget = "1s" }')
    bench.revision("aaa1", None, body)
    with holding(bench.url, held):
        done = bench.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert "waits" not in done.stderr


@pytest.mark.usefixtures("prepared_transactions")
def test_a_prepared_transaction_is_named_by_its_gid(bench: Workbench) -> None:
    bench.settings('lock = { budget = "200ms" }')
    bench.revision("aaa1", None, _ADD_COLUMN)
    bench.execute("begin; update accounts set balance = 0 where id = 1; prepare transaction 'left-behind'")
    try:
        done = bench.run("apply", "--yes")
    finally:
        bench.execute("rollback prepared 'left-behind'")
    assert done.returncode == 1
    assert "prepared transaction left-behind holds ROW EXCLUSIVE on accounts" in done.stderr


@pytest.mark.parametrize(
    "long_work",
    [
        pytest.param(
            'op.execute("update accounts set balance = 1 where pg_sleep(0.01) is not null")', id="in a statement"
        ),
        pytest.param(f"import time\nif {_FOR_REAL}:\n    time.sleep(4)", id="between its statements"),
    ],
)  # fmt: skip - one line for each case where it fits
def test_a_strong_lock_is_not_held_longer_than_lock_hold(bench: Workbench, long_work: str) -> None:
    bench.settings('lock = { hold = "300ms" }')
    bench.revision("aaa1", None, f"{_ADD_COLUMN}\n{long_work}")
    before = dump(bench)
    told = Told(bench.start("apply", "--yes"))
    told.until("upgrade aaa1")
    until(lambda: told.process.poll() is not None or bool(bench.rows(_LOCKED)), "the lock")
    began = time.monotonic()
    bench.rows("select count(*) from accounts")
    assert time.monotonic() - began < 2.0
    assert told.ended() == 1, told.text
    assert "held longer than lock.hold" in told.text
    assert "ACCESS EXCLUSIVE on accounts for more than 0.3 s" in told.text
    assert "the database is as it was before this revision" in told.text
    assert dump(bench) == before


_LOCKED = "select 1 from pg_locks where relation = 'accounts'::regclass and granted and mode = 'AccessExclusiveLock'"


def test_an_index_is_built_concurrently_whatever_timeouts_the_role_has(bench: Workbench) -> None:
    name = make_url(bench.url).database
    bench.execute(
        "create role migrator superuser login",
        f"alter role migrator in database {name} set statement_timeout = '300ms'",
        f"alter role migrator in database {name} set lock_timeout = '100ms'",
    )
    concurrently = 'op.create_index("ix", "accounts", ["owner"], postgresql_concurrently=True)'
    bench.revision("aaa1", None, f"with op.get_context().autocommit_block():\n    {concurrently}")
    theirs = bench.url
    bench.url = str(make_url(theirs).set(username="migrator").render_as_string(hide_password=False)).replace("%2F", "/")
    idle: list[tuple[object, ...]] = []
    try:
        with (
            connect(theirs, autocommit=True) as look,
            holding(theirs, "set transaction isolation level repeatable read", "select * from orders"),
        ):
            told = Told(bench.start("apply", "--yes"))
            ends = time.monotonic() + DEADLINE_S
            while "waiting for" not in told.text and told.process.poll() is None and time.monotonic() < ends:
                idle += look.execute(
                    "select application_name, query from pg_stat_activity where application_name like 'handrail:%'"
                    " and state like 'idle in transaction%' and clock_timestamp() - state_change > interval '100 ms'"
                ).fetchall()
            told.until("waiting for old snapshots")
        assert told.ended() == 0, told.text
        assert idle == []
        assert bench.rows("select indisvalid from pg_index where indexrelid = 'ix'::regclass") == [(True,)]
    finally:
        bench.url = theirs
        bench.execute("drop owned by migrator", "drop role migrator")


def test_a_role_that_may_not_see_how_old_others_are_misses_once_and_then_waits(bench: Workbench) -> None:
    bench.execute(
        "create role nosy_not login",
        f"grant create on database {make_url(bench.url).database} to nosy_not",
        "grant create on schema public to nosy_not",
        "alter table accounts owner to nosy_not; alter table child owner to nosy_not",
    )
    bench.revision("aaa1", None, _ADD_COLUMN)
    theirs = bench.url
    bench.url = theirs.replace("postgres@", "nosy_not@")
    try:
        with holding(theirs, "select count(*) from accounts") as reader:
            told = Told(bench.start("apply", "--yes"))
            told.until("waits, holding nothing")
            assert f"pid {reader.info.backend_pid} holds ACCESS SHARE on accounts" in told.text
        assert told.ended() == 0, told.text
    finally:
        bench.url = theirs
        bench.execute("drop owned by nosy_not cascade", "drop role nosy_not")
    assert "(attempt 2)" in told.text
    assert "(attempt 3)" not in told.text


@pytest.fixture(scope="module")
def vacuuming() -> Iterator[Server]:
    """A server whose autovacuum comes at once and takes its time."""
    settings = {
        "autovacuum_naptime": "1s",
        "autovacuum_vacuum_cost_delay": "100ms",
        "autovacuum_vacuum_cost_limit": "1",
        "log_statement": "all",
    }
    with start(find_any(), settings=settings) as server:
        yield server


@pytest.fixture
def vacuumed(vacuuming: Server, tmp_path: Path) -> Iterator[Workbench]:
    """A project on a database in which autovacuum is busy with the table that shall be changed."""
    with fresh_database(vacuuming) as url:
        bench = Workbench(tmp_path / "project", url)
        bench.execute(
            _ACCOUNTS,
            "alter table accounts set (autovacuum_vacuum_threshold = 1, autovacuum_vacuum_scale_factor = 0)",
            "insert into accounts (owner, balance) select 'owner', n from generate_series(1, 20000) n",
            "update accounts set balance = balance + 1",
        )
        bench.revision("aaa1", None, _ADD_COLUMN)
        until(lambda: bool(bench.rows(_BUSY)), "autovacuum", 2 * DEADLINE_S)
        yield bench


_BUSY = """
select 1 from pg_locks l join pg_stat_activity a using (pid)
where a.backend_type = 'autovacuum worker' and l.relation = 'accounts'::regclass and l.granted
  and a.xact_start < clock_timestamp() - interval '300 ms'
"""


@pytest.mark.slow
def test_an_ordinary_autovacuum_is_cancelled(vacuumed: Workbench, vacuuming: Server) -> None:
    done = vacuumed.run("apply", "--yes")
    assert done.returncode == 0, done.stderr
    assert "tries once" not in done.stderr
    assert "autovacuum" in done.stderr
    assert "email" in columns(vacuumed, "accounts")


@pytest.mark.slow
def test_an_ordinary_autovacuum_that_we_may_not_cancel_is_ended_by_the_server_in_one_announced_try(
    vacuumed: Workbench,
) -> None:
    vacuumed.execute(
        "create role migrator login",
        "alter table accounts owner to migrator; alter table child owner to migrator",
        f"grant create on database {make_url(vacuumed.url).database} to migrator",
        "grant create on schema public to migrator",
    )
    theirs = vacuumed.url
    vacuumed.url = theirs.replace("postgres@", "migrator@")
    until(lambda: bool(vacuumed.rows(_HELD)), "autovacuum", 2 * DEADLINE_S)
    done = vacuumed.run("apply", "--yes")
    vacuumed.url = theirs
    assert done.returncode == 0, done.stderr
    assert "tries once, up to 1.1 s, so that the server ends autovacuum" in done.stderr
    assert "email" in columns(vacuumed, "accounts")


#: Takes some 100 000 transaction numbers.
_AGE = """
do $$ begin for n in 1..100100 loop perform pg_current_xact_id(); commit; end loop; end $$
"""


@pytest.mark.slow
def test_an_autovacuum_that_prevents_wraparound_is_left_alone(vacuuming: Server) -> None:
    with fresh_database(vacuuming) as url:
        engine = for_url(url)
        with engine.connect(Purpose.STATE) as conn:
            for sql in _ACCOUNTS.strip().split(";\n"):
                conn.exec_driver_sql(sql)
            conn.exec_driver_sql("insert into accounts (owner) select 'owner' from generate_series(1, 20000)")
            conn.exec_driver_sql("create role bystander")
            conn.exec_driver_sql("alter table accounts set (autovacuum_freeze_max_age = 100000)")
            conn.exec_driver_sql(_AGE)
            until(lambda: conn.exec_driver_sql(_BUSY).first() is not None, "autovacuum", 2 * DEADLINE_S)
            wanted = engine.effects.effects("alter table accounts add column x integer", server_major=18)
            for role in ("postgres", "bystander"):
                conn.exec_driver_sql(f"set role {role}")
                (blocker,) = engine.locks.blockers(conn, wanted, older_than_s=0.1)
                assert (blocker.application, blocker.autovacuum) == ("autovacuum", False)
                assert blocker.pid is not None
                assert not engine.locks.cancel_autovacuum(conn, blocker.pid)


_HELD = "select 1 from pg_locks where relation = 'accounts'::regclass and granted and mode = 'ShareUpdateExclusiveLock'"

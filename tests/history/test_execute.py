from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import psycopg
import pytest
from projects import Written, write, write_flask
from sqlalchemy import Connection, inspect, text

from handrail.engines.base import Engine, Purpose, for_url
from handrail.errors import FenceBreach, GateClosed, ProjectUnreadable
from handrail.history import execute
from handrail.history.env.env_py import EnvPy, capture
from handrail.history.fencing.guard import Raised
from handrail.history.recording.record import record
from handrail.history.recording.task import Basis
from handrail.model.operation import Origin, RecordedRevision
from handrail.model.revision import Direction


@dataclass
class Log:
    """Hooks that let everything pass and write it down."""

    sent: list[tuple[str, Origin, bool]] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    commits: int = 0

    def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:
        self.sent.append((sql, origin, autocommit))
        return True

    def after(self, sql: str, *, origin: Origin, autocommit: bool) -> None:  # noqa: ARG002 - the hooks' signature
        self.done.append(sql)

    def before_commit(self) -> None:
        self.commits += 1


class Database:
    """One database and the project that migrates it."""

    def __init__(self, written: Written, url: str) -> None:
        self.written = written
        self.url = url
        self.engine: Engine = for_url(url)

    @property
    def env(self) -> EnvPy:
        return capture(self.written.project, url=self.url, graph=self.written.graph)

    def record(self, direction: Direction = Direction.UPGRADE) -> tuple[RecordedRevision, ...]:
        with self.connect() as conn:
            standing = execute.heads(conn, self.env)
            exists = execute.version_rows(conn, self.env) is not None
        steps = self.written.steps(direction)
        project, graph = self.written.project, self.written.graph
        return record(
            Basis(project=project, graph=graph, env=self.env, engine=self.engine, server_major=18),
            steps,
            heads=standing,
            version_table_exists=exists,
        )

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        with self.engine.connect(Purpose.MIGRATE) as conn:
            yield conn

    def run(
        self,
        identity: str,
        direction: Direction = Direction.UPGRADE,
        *,
        hooks: Any = None,
        source: str | None = None,
        conn: Connection | None = None,
    ) -> Raised | None:
        if conn is None:
            with self.connect() as opened:
                return self.run(identity, direction, hooks=hooks, source=source, conn=opened)
        graph = self.written.graph
        revision = graph.revisions[identity]
        if source is not None:
            revision = replace(revision, source=source)
        self.engine.before_step(conn)
        try:
            driver = execute.Driver(conn, project=self.written.project, graph=graph, env=self.env)
            return driver.run(revision, direction, hooks=hooks if hooks is not None else Log())
        finally:
            self.engine.after_step(conn)

    def heads(self) -> tuple[str, ...]:
        with self.connect() as conn:
            return execute.heads(conn, self.env)

    def tables(self) -> set[str]:
        with self.connect() as conn:
            return set(inspect(conn).get_table_names())


@pytest.fixture
def database(tmp_path: Path, database_url: str) -> Database:
    return Database(write(tmp_path / "project"), database_url)


@pytest.fixture
def postgresql(tmp_path: Path, postgresql_url: str) -> Database:
    return Database(write(tmp_path / "project"), postgresql_url)


@pytest.fixture
def sqlite(tmp_path: Path, sqlite_url: str) -> Database:
    return Database(write(tmp_path / "project"), sqlite_url)


def _many(written: Written) -> None:
    written.revision(
        """
        op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(30)))
        op.create_table("c", sa.Column("id", sa.Integer, primary_key=True),
                        sa.Column("t_id", sa.Integer, sa.ForeignKey("t.id")))
        """,
        "op.drop_table('c')\nop.drop_table('t')",
    )
    written.revision(
        """
        op.add_column("t", sa.Column("x", sa.Integer, nullable=True))
        op.create_index("ix_x", "t", ["x"])
        op.execute("UPDATE t SET name = 'a%b' WHERE name LIKE '50%'")
        rows = sa.table("t", sa.column("id", sa.Integer), sa.column("name", sa.String))
        op.bulk_insert(rows, [{"id": 1, "name": "o'x"}, {"id": 2, "name": "50%"}])
        op.get_bind().execute(rows.insert(), {"id": 3, "name": "direct"})
        """,
        "op.drop_index('ix_x')\nop.drop_column('t', 'x')",
    )
    written.revision(
        """
        op.execute("INSERT INTO c (id) VALUES (1)")
        with op.get_context().autocommit_block():
            op.create_index("ix_name", "t", ["name"], postgresql_concurrently=True)
        op.execute("INSERT INTO c (id) VALUES (2)")
        """,
        "op.drop_index('ix_name', 't')",
    )
    written.revision(
        """
        with op.batch_alter_table("t") as batch:
            batch.add_column(sa.Column("y", sa.Integer))
            batch.create_index("ix_y", ["y"])
        """,
        "op.drop_index('ix_y')\nop.drop_column('t', 'y')",
    )


@contextmanager
def _wire(conn: Connection, sent: list[str]) -> Iterator[None]:
    """Collect the statements that cross the wire, as the driver's library tells them."""
    driver: Any = conn.connection.driver_connection
    if conn.dialect.name == "sqlite":
        driver.set_trace_callback(sent.append)
        yield
        driver.set_trace_callback(None)
        return
    with tempfile.TemporaryFile("w+") as trace:
        driver.pgconn.trace(trace.fileno())
        driver.pgconn.set_trace_flags(psycopg.pq.Trace.SUPPRESS_TIMESTAMPS)
        yield
        driver.pgconn.untrace()
        trace.seek(0)
        messages = re.split(r"^(?=[FB]\t)", trace.read(), flags=re.MULTILINE)
    for message in messages:
        found = re.fullmatch(r'F\t\d+\t(?:Query|Parse)\t(?: "\w*")? "(.*)"(?: \d+)*\s*', message, re.DOTALL)
        if found:
            sent.append(found[1])


_OF_THE_DRIVER = re.compile(
    r"\s*(begin|commit|rollback|--|select .*(pg_catalog|alembic_version|pragma_)|pragma|show )",
    re.IGNORECASE | re.DOTALL,
)


@pytest.mark.parametrize("direction", Direction)
def test_what_is_recorded_is_what_the_server_receives(database: Database, direction: Direction) -> None:
    _many(database.written)
    if direction is Direction.DOWNGRADE:
        for identity in database.written.ids:
            assert database.run(identity) is None
    readings = database.record(direction)
    with database.connect() as conn:
        for reading in readings:
            log, wire = Log(), []
            with _wire(conn, wire):
                assert database.run(reading.revision, direction, hooks=log, conn=conn) is None
            assert [(s.sql, s.origin, s.autocommit) for s in reading.statements] == log.sent
            assert log.done == [sql for sql, _, _ in log.sent]
            expected = [s for s in reading.statements for _ in s.parameters or [()]]
            received = [sql.strip() for sql in wire if not _OF_THE_DRIVER.match(sql)]
            if conn.dialect.name == "sqlite":  # its trace shows the values in place of the signs
                assert len(received) == len(expected)
                assert [sql for sql in received if "VALUES (" not in sql] == [
                    s.sql for s in expected if "VALUES (" not in s.sql
                ]
            else:
                assert received == [s.sql for s in expected]
            assert log.commits == 1


@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_what_is_recorded_is_what_runs_on_every_driver(driver: str, tmp_path: Path, postgresql_url: str) -> None:
    url = postgresql_url.replace("+psycopg:", f"+{driver}:")
    database = Database(write(tmp_path, template="async" if driver == "asyncpg" else "generic"), url)
    _many(database.written)
    for reading in database.record():
        log = Log()
        assert database.run(reading.revision, hooks=log) is None
        assert [(s.sql, s.origin, s.autocommit) for s in reading.statements] == log.sent


def test_revision_version_row_and_hook_commit_together(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')", "op.drop_table('t')")

    class Ours(Log):
        def before_commit(self) -> None:
            conn.execute(text("create table ours (id int)"))

    with database.connect() as conn:
        assert database.run("0001", hooks=Ours(), conn=conn) is None
        assert not conn.in_transaction()
    assert database.tables() == {"t", "ours", "alembic_version"}
    assert database.heads() == ("0001",)
    assert database.run("0001", Direction.DOWNGRADE) is None
    assert database.heads() == ()


def test_a_failing_revision_is_rolled_back_and_told_with_its_line(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')\nop.execute('create table t (id int)')")
    raised = database.run("0001")
    assert raised is not None
    assert raised.place is not None
    assert (Path(raised.place.file).name, raised.place.line) == ("0001_.py", 13)
    assert "already exists" in raised.summary
    assert database.tables() == set()


def test_the_error_of_a_hook_rolls_back_and_is_raised_even_when_swallowed(database: Database) -> None:
    database.written.revision(
        """
        op.execute("create table t (id int)")
        try:
            op.execute("create table u (id int)")
        except Exception:
            pass
        """
    )
    refusal = GateClosed(what="stop", why="budget spent", fix="wait")

    class Refusing(Log):
        def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:
            if "table u" in sql:
                raise refusal
            return super().before(sql, origin=origin, autocommit=autocommit)

    with database.connect() as conn:
        with pytest.raises(GateClosed) as caught:
            database.run("0001", hooks=Refusing(), conn=conn)
        assert not conn.in_transaction()
    assert caught.value is refusal
    assert database.tables() == set()


def test_the_error_of_before_commit_rolls_everything_back(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')")

    class Refusing(Log):
        def before_commit(self) -> None:
            raise GateClosed(what="stop", why="lease lost", fix="wait")

    with pytest.raises(GateClosed):
        database.run("0001", hooks=Refusing())
    assert database.tables() == set()


def test_a_statement_that_is_done_already_is_not_sent_again(database: Database) -> None:
    database.written.revision(
        """
        with op.get_context().autocommit_block():
            op.execute("create table done_before (id int)")
            op.execute("create table to_do (id int)")
        """
    )
    with database.connect() as conn, conn.begin():
        conn.execute(text("create table done_before (id int)"))

    class Resuming(Log):
        def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:
            return super().before(sql, origin=origin, autocommit=autocommit) and "done_before" not in sql

    log = Resuming()
    assert database.run("0001", hooks=log) is None
    assert {"done_before", "to_do"} <= database.tables()
    assert [autocommit for sql, origin, autocommit in log.sent if origin is Origin.REVISION] == [True, True]
    assert not any("done_before" in sql for sql in log.done)


def test_statements_of_the_hooks_are_not_reported_to_them(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')")

    class Busy(Log):
        def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:
            conn.execute(text("select 1"))
            return super().before(sql, origin=origin, autocommit=autocommit)

    log = Busy()
    with database.connect() as conn:
        assert database.run("0001", hooks=log, conn=conn) is None
    assert not any("select 1" in sql for sql, _, _ in log.sent)


def test_the_code_that_runs_is_the_source_given_not_the_file(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')", "op.drop_table('t')")
    deployed = database.written.graph.revisions["0001"].source
    assert database.run("0001") is None
    path = database.written.versions / "0001_.py"
    path.write_text(path.read_text().replace("op.drop_table('t')", "raise RuntimeError('edited')"))
    assert database.run("0001", Direction.DOWNGRADE, source=deployed) is None
    assert "t" not in database.tables()
    assert not list(database.written.root.rglob("*.pyc"))


def test_only_the_revision_that_runs_is_loaded(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')")
    database.written.revision("pass")
    path = database.written.versions / "0002_.py"
    path.write_text("import nowhere_to_be_found\n" + path.read_text())
    assert database.run("0001") is None
    raised = database.run("0002")
    assert raised is not None
    assert "nowhere_to_be_found" in raised.summary


@pytest.mark.parametrize("swallowed", [False, True])
def test_a_migration_that_opens_its_own_connection_is_refused(swallowed: bool, database: Database) -> None:  # noqa: FBT001
    opens = "sa.create_engine('sqlite://').connect()"
    if swallowed:
        opens = f"try:\n    {opens}\nexcept BaseException:\n    pass"
    database.written.revision(f"op.execute('create table t (id int)')\n{opens}")
    with database.connect() as conn:
        with pytest.raises(FenceBreach, match="connection of its own"):
            database.run("0001", conn=conn)
        assert not conn.in_transaction()
    assert database.tables() == set()


def test_sys_exit_in_a_migration_is_a_failure_of_it(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')\nraise SystemExit(0)")
    raised = database.run("0001")
    assert raised is not None
    assert raised.summary == "it called sys.exit(0)"
    assert database.tables() == set()


def test_the_users_interrupt_passes_after_the_rollback(database: Database) -> None:
    database.written.revision("op.execute('create table t (id int)')\nraise KeyboardInterrupt")
    with database.connect() as conn:
        with pytest.raises(KeyboardInterrupt):
            database.run("0001", conn=conn)
        assert not conn.in_transaction()
    assert database.tables() == set()


def test_the_projects_own_callbacks_are_called_before_ours(database: Database) -> None:
    env_py = database.written.env_py
    env_py.write_text(
        env_py.read_text().replace(
            "connection=connection, target_metadata=target_metadata",
            "connection=connection, target_metadata=target_metadata, on_version_apply=theirs",
        )
        + "\n"
    )
    env_py.write_text(
        "import json\n\ndef theirs(ctx, step, heads, run_args):\n"
        "    ctx.connection.exec_driver_sql(f'create table theirs_{step.up_revision_id} (id int)')\n"
        + env_py.read_text()
    )
    database.written.revision("pass")

    class Ours(Log):
        def before_commit(self) -> None:
            assert inspect(conn).has_table("theirs_0001")
            super().before_commit()

    with database.connect() as conn:
        log = Ours()
        assert database.run("0001", hooks=log, conn=conn) is None
    assert log.commits == 1


def test_the_options_of_env_py_reach_the_revision(postgresql: Database) -> None:
    env_py = postgresql.written.env_py
    env_py.write_text(
        env_py.read_text().replace(
            "target_metadata=target_metadata",
            "target_metadata=target_metadata, version_table='versions', version_table_schema='ops', my_own=42",
        )
    )
    with postgresql.connect() as conn, conn.begin():
        conn.execute(text("create schema ops"))
    postgresql.written.revision(
        "assert op.get_context().opts['my_own'] == 42\nfrom alembic import context\nassert context.config.cmd_opts.cmd"
    )
    (reading,) = postgresql.record()
    log = Log()
    assert postgresql.run("0001", hooks=log) is None
    assert postgresql.heads() == ("0001",)
    assert log.sent[0][0].startswith("CREATE TABLE ops.versions")
    assert [(s.sql, s.origin, s.autocommit) for s in reading.statements] == log.sent


def test_a_revision_finds_the_flask_application_of_its_env_py(tmp_path: Path, sqlite_url: str) -> None:
    database = Database(write_flask(tmp_path / "project", url=sqlite_url), sqlite_url)
    database.written.revision(
        """
        from flask import current_app
        assert "migrate" in current_app.extensions
        op.execute("create table t (id int)")
        """
    )
    assert database.run("0001") is None
    assert "t" in database.tables()


def test_merges_and_branches_move_the_version_rows_as_alembic_does(database: Database) -> None:
    written = database.written
    written.revision("pass", id="a")
    (written.versions / "b_.py").write_text((written.versions / "a_.py").read_text().replace("'a'", "'b'"))
    (written.versions / "m_.py").write_text(
        (written.versions / "a_.py").read_text().replace("= 'a'", "= 'm'").replace("= None", "= ('a', 'b')", 1)
    )
    for identity, standing in (("a", ("a",)), ("b", ("a", "b")), ("m", ("m",))):
        assert database.run(identity) is None
        assert database.heads() == standing
    assert database.run("m", Direction.DOWNGRADE) is None
    assert database.heads() == ("a", "b")


def test_revisions_of_several_version_locations_run(database: Database) -> None:
    written = database.written
    ini = written.root / "alembic.ini"
    ini.write_text(
        ini.read_text()
        + "path_separator = space\nversion_locations = %(here)s/migrations/versions %(here)s/plugin/versions\n"
    )
    written.revision("op.execute('create table a (id int)')")
    written.versions = written.root / "plugin" / "versions"
    written.versions.mkdir(parents=True)
    written.revision("op.execute('create table b (id int)')")
    assert [reading.reason for reading in database.record()] == ["", ""]
    assert [database.run(identity) for identity in written.ids] == [None, None]
    assert {"a", "b"} <= database.tables()


def test_children_survive_a_batch_recreate_of_their_parent(sqlite: Database) -> None:
    sqlite.written.revision(
        """
        op.create_table("p", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Integer))
        op.create_table("c", sa.Column("id", sa.Integer, primary_key=True),
                        sa.Column("p_id", sa.Integer, sa.ForeignKey("p.id", ondelete="CASCADE")))
        op.execute("insert into p values (1, 1)")
        op.execute("insert into c values (1, 1)")
        """
    )
    sqlite.written.revision("with op.batch_alter_table('p') as batch:\n    batch.alter_column('x', nullable=False)")
    assert sqlite.run("0001") is None
    log = Log()
    assert sqlite.run("0002", hooks=log) is None
    with sqlite.connect() as conn:
        assert conn.execute(text("select count(*) from c")).scalar() == 1
    assert any("_alembic_tmp_p" in sql for sql, _, _ in log.sent)


def test_an_env_py_that_drives_is_refused_before_anything_is_touched(database: Database) -> None:
    env_py = database.written.env_py
    env_py.write_text(
        env_py.read_text().replace(
            "context.configure(\n            connection",
            "connection.exec_driver_sql('SET x = 1')\n        context.configure(\n            connection",
        )
    )
    database.written.revision("op.execute('create table t (id int)')")
    with pytest.raises(ProjectUnreadable, match=r"env\.py does more than configure"):
        database.run("0001")
    assert database.tables() == set()


def test_heads_reads_and_leaves_nothing_behind(database: Database) -> None:
    with database.connect() as conn:
        assert execute.heads(conn, database.env) == ()
        assert execute.version_rows(conn, database.env) is None
        assert not conn.in_transaction()
    assert database.tables() == set()

from __future__ import annotations

from pathlib import Path

import pytest
from projects import Written, write

from handrail.engines.base import for_url
from handrail.history.env.env_py import capture
from handrail.history.recording import performing
from handrail.history.recording.record import record
from handrail.history.recording.task import Basis
from handrail.model.operation import Operation, Origin, Reading, RecordedRevision, StatementKind
from handrail.model.revision import Direction

POSTGRESQL = "postgresql+psycopg://u@127.0.0.1:1/x"
SQLITE = "sqlite:////nowhere/x.db"
TWO_ROWS = (("1", "'o''x'"), ("2", "NULL"))


def recorded(
    written: Written,
    url: str = POSTGRESQL,
    direction: Direction = Direction.UPGRADE,
    *,
    version_table_exists: bool = True,
    limit_s: float = 20.0,
) -> tuple[RecordedRevision, ...]:
    upgrading = direction is Direction.UPGRADE
    env = capture(written.project, url=url, graph=written.graph)
    basis = Basis(project=written.project, graph=written.graph, env=env, engine=for_url(url), server_major=18)
    return record(
        basis,
        written.steps(direction),
        heads=() if upgrading else (written.ids[-1],),
        version_table_exists=version_table_exists,
        limit_s=limit_s,
    )


def one(
    root: Path, upgrade: str, url: str = POSTGRESQL, *, version_table_exists: bool = True, limit_s: float = 20.0
) -> RecordedRevision:
    written = write(root, template="async" if "asyncpg" in url else "generic")
    written.revision(upgrade)
    (reading,) = recorded(written, url, version_table_exists=version_table_exists, limit_s=limit_s)
    return reading


def sent(reading: RecordedRevision, origin: Origin = Origin.REVISION) -> list[str]:
    return [" ".join(statement.sql.split()) for statement in reading.statements if statement.origin is origin]


def test_operations_have_alembics_names_and_the_line_of_the_file(tmp_path: Path) -> None:
    reading = one(
        tmp_path,
        """
        op.create_table("t", sa.Column("id", sa.Integer, primary_key=True), schema="app")
        op.add_column("t", sa.Column("x", sa.String(9), nullable=False, server_default="q"), schema="app")
        op.create_index("ix", "t", ["x"], schema="app", unique=True, postgresql_concurrently=False)
        op.create_foreign_key("fk", "t", "u", ["x"], ["id"], source_schema="app", ondelete="CASCADE")
        op.drop_constraint("fk", "t", schema="app", type_="foreignkey")
        op.alter_column("t", "x", nullable=True, schema="app")
        op.rename_table("t", "s", schema="app")
        op.execute("select_nothing")
        """,
    )
    path = str(tmp_path / "migrations" / "versions" / "0001_.py")
    assert [(o.name, o.table, o.subject) for o in reading.operations] == [
        ("create_table", "app.t", None),
        ("add_column", "app.t", "x"),
        ("create_index", "app.t", "ix"),
        ("create_foreign_key", "app.t", "fk"),
        ("drop_constraint", "app.t", "fk"),
        ("alter_column", "app.t", "x"),
        ("rename_table", "app.t", None),
        ("execute", None, None),
    ]
    assert [(o.place.file, o.place.line) for o in reading.operations if o.place] == [(path, 12 + n) for n in range(8)]
    assert dict(reading.operations[1].details) == {"type": "VARCHAR(9)", "nullable": "false", "server_default": "q"}
    assert dict(reading.operations[3].details)["referent_table"] == "u"
    assert dict(reading.operations[3].details)["ondelete"] == "CASCADE"
    assert dict(reading.operations[4].details) == {"constraint_type": "foreignkey"}
    assert dict(reading.operations[5].details)["modify_nullable"] == "true"
    assert reading.reading is Reading.EXACT
    assert reading.statements[1].operation == 1
    assert reading.statements[1].place == reading.operations[1].place


def test_the_first_revision_creates_the_version_table_in_its_own_transaction(tmp_path: Path) -> None:
    reading = one(tmp_path, "op.execute('create table t ()')", version_table_exists=False)
    assert [s.origin for s in reading.statements] == [Origin.ALEMBIC, Origin.REVISION, Origin.ALEMBIC]
    assert sent(reading, Origin.ALEMBIC)[0].startswith("CREATE TABLE alembic_version")
    assert sent(reading, Origin.ALEMBIC)[1].startswith("INSERT INTO alembic_version (version_num) VALUES ('0001')")
    assert reading.transactions == 1


def test_the_version_row_moves_with_every_step_and_back(tmp_path: Path) -> None:
    written = write(tmp_path)
    for name in "ab":
        written.revision(f"op.execute('create table {name} ()')", f"op.drop_table('{name}')")
    up = recorded(written)
    down = recorded(written, direction=Direction.DOWNGRADE)
    assert sent(up[1], Origin.ALEMBIC) == [
        "UPDATE alembic_version SET version_num='0002' WHERE alembic_version.version_num = '0001'"
    ]
    assert [(r.revision, r.direction) for r in down] == [
        ("0002", Direction.DOWNGRADE),
        ("0001", Direction.DOWNGRADE),
    ]
    assert sent(down[1], Origin.ALEMBIC) == ["DELETE FROM alembic_version WHERE alembic_version.version_num = '0001'"]


@pytest.mark.parametrize(
    ("url", "text", "values"),
    [
        (POSTGRESQL, "INSERT INTO t (id, name) VALUES ($1::INTEGER, $2::VARCHAR)", TWO_ROWS),
        ("postgresql+psycopg2://u@h/x", "INSERT INTO t (id, name) VALUES ($1, $2), ($3, $4)", (sum(TWO_ROWS, ()),)),
        ("postgresql+asyncpg://u@h/x", "INSERT INTO t (id, name) VALUES ($1::INTEGER, $2::VARCHAR)", TWO_ROWS),
        (SQLITE, "INSERT INTO t (id, name) VALUES (?, ?)", TWO_ROWS),
    ],
)
def test_statements_have_the_servers_placeholders_and_values_beside_them(
    url: str, text: str, values: tuple[tuple[str, ...], ...], tmp_path: Path
) -> None:
    reading = one(
        tmp_path,
        """
        t = sa.table("t", sa.column("id", sa.Integer), sa.column("name", sa.String))
        op.bulk_insert(t, [{"id": 1, "name": "o'x"}, {"id": 2, "name": None}])
        op.execute("UPDATE t SET name = 'a%b' WHERE name LIKE '50%'")
        bind = op.get_bind()
        percent = "%" if bind.dialect.name == "sqlite" else "%%"
        bind.exec_driver_sql(f"DELETE FROM t WHERE name LIKE '{percent}x'")
        """,
        url,
    )
    insert, update, delete = (s for s in reading.statements if s.origin is Origin.REVISION)
    assert insert.sql == text
    assert insert.parameters == values
    assert update.sql == "UPDATE t SET name = 'a%b' WHERE name LIKE '50%'"
    assert delete.sql == "DELETE FROM t WHERE name LIKE '%x'"
    assert delete.parameters == ()
    assert insert.kind is StatementKind.DATA


def test_an_autocommit_block_splits_the_revision_into_transactions(tmp_path: Path) -> None:
    reading = one(
        tmp_path,
        """
        op.execute("alter table t add a int")
        with op.get_context().autocommit_block():
            op.create_index("i", "t", ["a"], postgresql_concurrently=True)
            op.create_index("j", "t", ["a"], postgresql_concurrently=True)
        op.execute("alter table t add b int")
        op.execute("alter table t add c int")
        """,
    )
    assert [(s.transaction, s.autocommit) for s in reading.statements] == [
        (0, False),
        (1, True),
        (2, True),
        (3, False),
        (3, False),
        (3, False),
    ]
    assert reading.transactions == 4
    assert reading.reading is Reading.EXACT


def test_a_commit_in_the_text_begins_another_transaction(tmp_path: Path) -> None:
    reading = one(tmp_path, "op.execute('alter table t add a int')\nop.execute('COMMIT')\nop.execute('drop table u')")
    assert [s.transaction for s in reading.statements] == [0, 0, 1, 1]


@pytest.mark.parametrize(
    "look",
    [
        "op.get_bind().execute(sa.text('select count(*) from t')).scalar()",
        "op.get_bind().execute(sa.text('select next_shard()')).scalar()",
        "sa.inspect(op.get_bind()).has_table('t')",
    ],
)
def test_what_comes_after_a_look_into_the_database_is_not_exact(look: str, tmp_path: Path) -> None:
    reading = one(tmp_path, f"op.execute('create table a ()')\n{look}\nop.execute('create table b ()')")
    assert reading.reading is Reading.DATA_DEPENDENT
    assert reading.reason.startswith("line 13: it reads the database: ")
    after = [s.exact for s in reading.statements if s.sql.startswith(("create", "INSERT", "UPDATE"))]
    assert after == [True, False, False]


def test_a_revision_that_raises_on_an_empty_answer_is_data_dependent(tmp_path: Path) -> None:
    reading = one(tmp_path, "op.get_bind().execute(sa.text('select 1')).one()")
    assert reading.reading is Reading.DATA_DEPENDENT
    assert "on an empty answer line 12: NoResultFound" in reading.reason


def test_sql_past_sqlalchemy_is_seen_and_makes_the_reading_doubtful(tmp_path: Path) -> None:
    reading = one(tmp_path, "op.get_bind().connection.cursor().execute('drop table t')")
    assert sent(reading) == ["drop table t"]
    assert reading.reading is Reading.DATA_DEPENDENT
    assert reading.reason == "line 12: it sends SQL past SQLAlchemy, through the driver's own cursor"


def test_a_nameless_constraint_is_seen_before_it_fails(tmp_path: Path) -> None:
    reading = one(tmp_path, "op.execute('select_1')\nop.drop_constraint(None, 't', type_='unique')")
    assert reading.reading is Reading.FAILED
    assert reading.reason.startswith("line 13: CompileError: Can't emit DROP CONSTRAINT")
    assert (reading.operations[1].name, reading.operations[1].subject) == ("drop_constraint", None)
    assert sent(reading) == ["select_1"]


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("while True:\n    pass", "it did not come to an end within 4 s"),
        (
            "while True:\n    try:\n        op.execute('x')\n    except Exception:\n        pass",
            "more than 10,000 statements",
        ),
        ("raise SystemExit(1)", "line 12: it called sys.exit(1)"),
        ("import os\nos._exit(0)", "line 13: it called sys.exit(0)"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", "was ended by signal 9"),
        ("import ctypes\nctypes.CDLL(None)._exit(0)", "its code ended the process"),
        ("undefined_name", "line 12: NameError: name 'undefined_name' is not defined"),
        ("raise RuntimeError('at postgresql://u:canary-5@h/x')", "line 12: RuntimeError: at postgresql://u:***@h/x"),
        ("raise RuntimeError(f'{object()} is odd')", "line 12: RuntimeError: <object object> is odd"),
    ],
)
def test_one_bad_revision_is_failed_with_the_reason_and_the_others_are_read(
    code: str, reason: str, tmp_path: Path
) -> None:
    written = write(tmp_path)
    written.revision("op.execute('create table a ()')")
    written.revision(code)
    written.revision("op.execute('create table c ()')")
    first, bad, last = recorded(written, limit_s=4.0 if "did not" in reason else 20.0)
    assert bad.reading is Reading.FAILED
    assert reason in bad.reason
    assert (first.reading, last.reading) == (Reading.EXACT, Reading.EXACT)
    assert sent(last, Origin.ALEMBIC) == [
        "UPDATE alembic_version SET version_num='0003' WHERE alembic_version.version_num = '0002'"
    ]


@pytest.mark.parametrize("place", ["create_engine", "Recorder"], ids=["before it is ready", "at a revision"])
def test_a_bug_of_ours_in_the_reading_process_is_told_with_its_traceback(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_args: object, **_named: object) -> None:
        raise KeyError("what went wrong")

    monkeypatch.setattr(performing, place, broken)
    written = write(tmp_path)
    written.revision("pass")
    with pytest.raises(RuntimeError, match=r"(?s)own code.*performing.py.*in broken.*what went wrong"):
        recorded(written)


def test_a_file_whose_import_fails_is_one_failed_reading(tmp_path: Path) -> None:
    written = write(tmp_path)
    written.revision("pass")
    written.revision("pass")
    path = written.versions / "0001_.py"
    path.write_text("import nowhere_to_be_found\n" + path.read_text())
    bad, good = recorded(written)
    assert bad.reason == "line 1: ModuleNotFoundError: No module named 'nowhere_to_be_found'"
    assert good.reading is Reading.EXACT


def test_a_batch_on_postgresql_is_its_operations_each_with_its_statement(tmp_path: Path) -> None:
    reading = one(
        tmp_path,
        """
        with op.batch_alter_table("t", schema="app") as batch:
            batch.add_column(sa.Column("y", sa.Integer))
            batch.create_index("ix_y", ["y"])
            batch.drop_column("z")
        """,
    )
    assert [(o.name, o.table, o.subject) for o in reading.operations] == [
        ("add_column", "app.t", "y"),
        ("create_index", "app.t", "ix_y"),
        ("drop_column", "app.t", "z"),
    ]
    assert [(s.operation, s.sql) for s in reading.statements[:3]] == [
        (0, "ALTER TABLE app.t ADD COLUMN y INTEGER"),
        (1, "CREATE INDEX ix_y ON app.t (y)"),
        (2, "ALTER TABLE app.t DROP COLUMN z"),
    ]
    places = [(s.place, reading.operations[n].place) for n, s in enumerate(reading.statements[:3])]
    assert [
        (of_statement == of_operation, of_statement and of_statement.line) for of_statement, of_operation in places
    ] == [
        (True, 13),
        (True, 14),
        (True, 15),
    ]


def test_a_batch_recreate_on_sqlite_says_that_it_needs_the_live_table(tmp_path: Path) -> None:
    reading = one(
        tmp_path,
        """
        with op.batch_alter_table("t") as batch:
            batch.alter_column("x", nullable=False)
        op.execute("create table u (id int)")
        """,
        SQLITE,
    )
    assert reading.reading is Reading.DATA_DEPENDENT
    assert reading.reason == "line 12: needs the live table: batch recreate of t"
    assert [(o.name, o.table) for o in reading.operations] == [
        ("alter_column", "t"),
        ("batch_alter_table", "t"),
        ("execute", None),
    ]
    assert (reading.statements[0].exact, reading.statements[0].sql) == (False, "create table u (id int)")


def test_a_print_reaches_no_output(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    one(tmp_path, "print('hello')\nimport os\nos.system('echo from a shell')")
    assert capfd.readouterr() == ("", "")


def test_a_revision_that_opens_its_own_connection_is_failed_and_opens_nothing(tmp_path: Path) -> None:
    reading = one(tmp_path, "sa.create_engine('postgresql+psycopg://u@127.0.0.1:1/y').connect().close()")
    assert reading.reading is Reading.FAILED
    assert reading.reason == "line 12: it opens a connection of its own, which is refused when it runs"


def test_a_revision_that_uses_an_async_driver_by_itself_is_failed(tmp_path: Path) -> None:
    reading = one(tmp_path, "import asyncio, asyncpg\nasyncio.run(asyncpg.connect('postgresql://u@127.0.0.1:1/y'))")
    assert reading.reading is Reading.FAILED
    assert "line 13: FenceBreach: the project opens a database connection" in reading.reason


def test_reading_leaves_no_file_behind(tmp_path: Path) -> None:
    written = write(tmp_path)
    written.revision("pass")
    before = sorted(tmp_path.rglob("*"))
    recorded(written)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_third_partys_operation_keeps_its_name(tmp_path: Path) -> None:
    reading = one(
        tmp_path,
        """
        from alembic.operations import MigrateOperation, Operations
        class GrantEverythingOp(MigrateOperation):
            table_name = "t"
        @Operations.implementation_for(GrantEverythingOp)
        def grant(operations, operation):
            operations.execute("grant all on t to public")
        op.invoke(GrantEverythingOp())
        """,
    )
    assert [(o.name, o.table) for o in reading.operations] == [("grant_everything", "t"), ("execute", None)]
    assert isinstance(reading.operations[0], Operation)

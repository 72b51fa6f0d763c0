from __future__ import annotations

from pathlib import Path

import pytest

from handrail.history.recording.recognise import is_stamped
from handrail.model.operation import Operation, Origin, Reading, RecordedRevision, Statement, StatementKind
from handrail.model.revision import Direction, Header, Revision


def revision(name: str) -> Revision:
    return Revision(
        id=name,
        parents=(),
        depends_on=(),
        branch_labels=(),
        path=Path(f"{name}.py"),
        code=b"",
        source="",
        digest="",
        header=Header(),
        upgrade_line=1,
        downgrade_line=2,
    )


def operation(name: str, table: str | None, **details: str) -> Operation:
    return Operation(name=name, table=table, subject=None, details=tuple(details.items()))


def recorded(
    name: str, *operations: Operation, reading: Reading = Reading.EXACT, statements: tuple[Statement, ...] = ()
) -> tuple[Revision, RecordedRevision]:
    return revision(name), RecordedRevision(
        revision=name,
        direction=Direction.UPGRADE,
        reading=reading,
        reason="" if reading is Reading.EXACT else "it looked",
        operations=operations,
        statements=statements,
    )


def raw(sql: str, index: int | None = None, *, kind: StatementKind = StatementKind.SCHEMA) -> Statement:
    return Statement(sql=sql, kind=kind, operation=index)


ADD_EMAIL = operation("add_column", "users")


def test_a_history_that_creates_what_it_alters_is_not_stamped() -> None:
    assert is_stamped([recorded("a", operation("create_table", "users")), recorded("b", ADD_EMAIL)]) is None


def test_a_history_that_begins_with_an_unknown_table_is_stamped() -> None:
    stamped = is_stamped([recorded("a", operation("create_table", "roles")), recorded("b", ADD_EMAIL)])
    assert stamped is not None
    assert (stamped.revision.id, stamped.operation, stamped.table) == ("b", ADD_EMAIL, "users")


def test_an_empty_history_is_not_stamped() -> None:
    assert is_stamped([]) is None


def test_a_renamed_table_is_known_by_its_new_name() -> None:
    renamed = operation("rename_table", "app.players", new_table_name="users")
    history = [recorded("a", operation("create_table", "app.players"), renamed), recorded("b", ADD_EMAIL)]
    assert is_stamped(history) is None


def test_a_rename_that_does_not_tell_its_new_name_leaves_it_unknown() -> None:
    history = [recorded("a", operation("create_table", "players"), operation("rename_table", "players"))]
    assert is_stamped([*history, recorded("b", ADD_EMAIL)]) is None


@pytest.mark.parametrize("table", ["public.users", "users"])
def test_a_name_without_its_schema_may_be_in_any(table: str) -> None:
    other = "users" if table == "public.users" else "public.users"
    history = [recorded("a", operation("create_table", table), operation("add_column", other))]
    assert is_stamped(history) is None


def test_the_same_name_in_another_schema_is_another_table() -> None:
    history = [recorded("a", operation("create_table", "core.users"), operation("add_column", "tenant.users"))]
    assert is_stamped(history) is not None


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE UNLOGGED TABLE users (id int)",
        "SELECT * INTO users FROM old",
        "DO $$ BEGIN PERFORM make_tables(); END $$",
        "ALTER TABLE players RENAME TO users",
    ],
)
def test_raw_sql_that_may_create_tables_leaves_the_kind_unknown(sql: str) -> None:
    for index, operations in ((None, ()), (0, (operation("execute", None),))):
        first = recorded("a", *operations, statements=(raw(sql, index),))
        assert is_stamped([first, recorded("b", ADD_EMAIL)]) is None


def test_raw_sql_that_creates_no_table_changes_nothing() -> None:
    extension = raw("CREATE EXTENSION pgcrypto")
    rows = raw("INSERT INTO roles VALUES (1)", kind=StatementKind.DATA)
    version = Statement(sql="CREATE TABLE alembic_version ()", kind=StatementKind.SCHEMA, origin=Origin.ALEMBIC)
    assert is_stamped([recorded("a", ADD_EMAIL, statements=(extension, rows, version))]) is not None


@pytest.mark.parametrize("reading", [Reading.DATA_DEPENDENT, Reading.FAILED])
def test_after_a_revision_that_was_not_read_exactly_nothing_is_sure(reading: Reading) -> None:
    assert is_stamped([recorded("a", reading=reading), recorded("b", ADD_EMAIL)]) is None


def test_what_a_revision_did_before_it_looked_is_sure() -> None:
    first = recorded("a", ADD_EMAIL, reading=Reading.FAILED)
    assert is_stamped([first]) is not None
    inexact = Statement(sql="ALTER TABLE users ADD email text", kind=StatementKind.SCHEMA, operation=0, exact=False)
    assert is_stamped([recorded("a", ADD_EMAIL, reading=Reading.DATA_DEPENDENT, statements=(inexact,))]) is None

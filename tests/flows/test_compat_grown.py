"""What versions meet in histories that have grown: wider keys, guarded columns, revisions that look first."""

from __future__ import annotations

import json
from textwrap import dedent
from typing import Any

from workbench import Workbench

_BASE = """
from sqlalchemy import ForeignKey, ForeignKeyConstraint, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass
"""
_BOOKS = """
class Book(Base):
    __tablename__ = "books"
    title: Mapped[str] = mapped_column(String(40), primary_key=True)


class Edition(Base):
    __tablename__ = "editions"
    title: Mapped[str] = mapped_column(ForeignKey("books.title"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)


class Remark(Base):
    __tablename__ = "remarks"
    word: Mapped[str] = mapped_column(String(40), primary_key=True)
    title: Mapped[str] = mapped_column(primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    __table_args__ = (ForeignKeyConstraint(["title", "number"], ["editions.title", "editions.number"]),)
"""
_TABLES = ("books", "editions", "remarks")
_SHELVES = (
    "create table books (title varchar(40) constraint books_key primary key)",
    """create table editions (
        title varchar(40) constraint editions_book references books, number int,
        constraint editions_key primary key (title, number)
    )""",
    """create table remarks (
        word varchar(40), title varchar(40), number int,
        constraint remarks_key primary key (word, title, number),
        constraint remarks_edition foreign key (title, number) references editions
    )""",
)
#: Everything belongs to a library from now on, to the first one where nobody says otherwise.
_LIBRARIES = (
    "alter table remarks drop constraint remarks_edition",
    "alter table editions drop constraint editions_book",
    *(f"alter table {name} add library varchar(20) not null default 'main'" for name in _TABLES),
    *(f"alter table {name} drop constraint {name}_key" for name in _TABLES),
    "alter table books add constraint books_key primary key (library, title)",
    "alter table editions add constraint editions_key primary key (library, title, number)",
    "alter table remarks add constraint remarks_key primary key (library, word, title, number)",
    "alter table editions add constraint editions_book foreign key (library, title) references books",
    "alter table remarks add constraint remarks_edition foreign key (library, title, number) references editions",
)
_SECRETS = """
class Secret(Base):
    __tablename__ = "secrets"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    value: Mapped[str] = mapped_column(String(40))
"""
_FUNCTION = "create or replace function sealed() returns trigger language plpgsql as $$ begin {} return new; end $$"
_SEALED = (
    "create table secrets (id serial primary key, name varchar(40) not null, value varchar(40) not null)",
    _FUNCTION.format("if old.name <> new.name then raise exception 'the name is sealed'; end if;"),
    "create trigger sealed before update on secrets for each row execute function sealed()",
)


def _body(statements: tuple[str, ...]) -> str:
    return "\n".join(f"op.execute({sql!r})" for sql in statements)


def _cells(bench: Workbench, models: str, *revisions: str) -> list[dict[str, Any]]:
    """Return the cells of a version that was written for the first of those revisions."""
    (bench.root / "app.py").write_text(_BASE + models)
    for number, body in enumerate(revisions):
        bench.revision(f"r{number:03}", f"r{number - 1:03}" if number else None, body)
    done = bench.run("versions", "register", "v1", "--models", "app:Base", "--at", "r000")
    assert done.returncode == 0, done.stderr
    rows = json.loads(bench.run("compat", "--format", "json").stdout)["matrix"]["rows"]
    return [row["cells"][0] for row in rows]


def test_a_key_that_is_widened_by_a_column_with_a_default_works_for_a_version_that_does_not_know_it(
    pg_bench: Workbench,
) -> None:
    cells = _cells(pg_bench, _BOOKS, _body(_SHELVES), _body(_LIBRARIES))

    assert [(c["result"], c["troubles"]) for c in cells] == [("works", [])] * 2


def test_a_widened_key_without_a_row_of_that_default_fails_the_write(pg_bench: Workbench) -> None:
    other = _body((*_LIBRARIES, "alter table editions alter library set default 'branch'"))

    cells = _cells(pg_bench, _BOOKS, _body(_SHELVES), other)

    found = {(t["trial"]["table"], t["trial"]["result"]) for t in cells[1]["troubles"]}
    assert ("editions", "write fails") in found
    assert {t["operation"].partition(" at ")[0] for t in cells[1]["troubles"]} == {
        "execute alter table editions alter library set default 'branch'"
    }


def test_an_update_that_a_trigger_refuses_at_home_is_none_that_the_version_sends(pg_bench: Workbench) -> None:
    more = _FUNCTION.format("raise exception 'all is sealed';")

    cells = _cells(pg_bench, _SECRETS, _body(_SEALED), _body(("select 1",)), _body((more,)))

    assert [c["result"] for c in cells] == ["works", "works", "write fails"]
    assert [t["trial"]["message"] for t in cells[2]["troubles"]] == ["all is sealed"]


def test_the_operation_is_found_in_a_revision_that_looks_at_the_schema_first(pg_bench: Workbench) -> None:
    first = "create table secrets (id serial primary key, name varchar(40) not null unique, value varchar(40) not null)"
    looks = dedent("""
        found = sa.inspect(op.get_bind()).get_unique_constraints("secrets")[0]["name"]
        op.drop_constraint(found, "secrets")
        op.alter_column("secrets", "value", type_=sa.String(10))
        op.create_index("secrets_name", "secrets", ["name"])
    """)

    cells = _cells(pg_bench, _SECRETS, _body((first,)), looks)

    assert [c["result"] for c in cells] == ["works", "write fails"]
    assert ["VARCHAR(10)" in t["operation"] for t in cells[1]["troubles"]] == [True], cells[1]["troubles"]


def test_rows_that_cannot_be_deleted_at_home_are_none_that_the_version_deletes(pg_bench: Workbench) -> None:
    never = _FUNCTION.format("raise exception 'rows are for ever';")
    lasting = "create trigger lasting before delete on secrets for each row execute function sealed()"

    cells = _cells(pg_bench, _SECRETS, _body((_SEALED[0], never, lasting)), _body(("select 1",)))

    assert [c["result"] for c in cells] == ["works"] * 2


def test_a_long_text_that_becomes_shorter_fails_the_write(pg_bench: Workbench) -> None:
    wide = "String(8000))".join(_SECRETS.rsplit("String(40))", 1))
    first = "create table secrets (id serial primary key, name varchar(40) not null, value varchar(8000) not null)"

    cells = _cells(pg_bench, wide, _body((first,)), _body(("alter table secrets alter value type varchar(7990)",)))

    assert [c["result"] for c in cells] == ["works", "write fails"]


def test_a_limit_that_moves_and_stays_too_narrow_is_one_break(pg_bench: Workbench) -> None:
    narrow = (f"alter table secrets alter value type varchar({limit})" for limit in (10, 20, 40))

    cells = _cells(pg_bench, _SECRETS, _body(_SEALED[:1]), *(_body((sql,)) for sql in narrow))

    assert [c["result"] for c in cells] == ["works", "write fails", "write fails", "works"]
    (first,), (second,) = cells[1]["troubles"], cells[2]["troubles"]
    assert ["(10)" in first["trial"]["message"], "(20)" in second["trial"]["message"]] == [True, True]
    assert {(t["since"], t["healed_by"], t["operation"].partition(" at ")[0]) for t in (first, second)} == {
        ("r001", "r003", "execute alter table secrets alter value type varchar(10)")
    }


def test_what_began_while_it_was_hidden_is_laid_to_the_operation_that_says_most_of_it(pg_bench: Workbench) -> None:
    hidden = (
        "create table uses (id serial primary key, secret int not null)",
        "alter table uses add constraint uses_secret foreign key (secret) references secrets",
        "alter table secrets rename value to content",
    )
    seen = ("alter table secrets rename content to value", "alter table uses add at date")

    cells = _cells(pg_bench, _SECRETS, _body(_SEALED[:1]), _body(hidden), _body(seen))

    assert [c["result"] for c in cells] == ["works", "read fails", "delete fails"]
    (trouble,) = cells[2]["troubles"]
    assert trouble["since"] == "r001"
    assert trouble["operation"].startswith("execute alter table uses add constraint uses_secret")


def test_a_column_of_the_same_name_in_another_table_is_not_the_cause(pg_bench: Workbench) -> None:
    (pg_bench.root / "app.py").write_text(_BASE + _SECRETS)
    others = 'op.create_table("others", sa.Column("id", sa.Integer), sa.Column("value", sa.String(40)))'
    secrets = 'op.create_table("secrets", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))'
    index = 'op.create_index("ix_secrets_name", "secrets", ["name"])'
    pg_bench.revision("r000", None, others)
    pg_bench.revision("r001", "r000", f"{secrets}\n{index}")
    pg_bench.revision("r002", "r001", 'op.add_column("secrets", sa.Column("value", sa.String(40)))')
    assert pg_bench.run("versions", "register", "v1", "--models", "app:Base", "--at", "r002").returncode == 0

    rows = json.loads(pg_bench.run("compat", "--all", "--format", "json").stdout)["matrix"]["rows"]

    (trouble,) = rows[1]["cells"][0]["troubles"]
    assert (trouble["trial"]["column"], trouble["since"]) == ("value", "r001")
    assert trouble["operation"].startswith("create_table secrets")


def test_an_operation_that_only_shares_a_table_with_the_message_is_not_named_for_what_was_hidden(
    pg_bench: Workbench,
) -> None:
    first = (
        *_SEALED[:1],
        "create table uses (id serial primary key, secret int not null)",
        """create function tie() returns void language sql as
        'alter table uses add constraint uses_secret foreign key (secret) references secrets'""",
    )
    hide = ("alter table secrets rename value to content", "select tie()")
    column = 'op.add_column("uses", sa.Column("at", sa.Date))'
    show = ("alter table secrets rename content to value",)

    cells = _cells(pg_bench, _SECRETS, _body(first), _body(hide), column, _body(show))

    assert [c["result"] for c in cells] == ["works", "read fails", "read fails", "delete fails"]
    assert [t["since"] for t in cells[3]["troubles"]] == ["r003"]


def test_a_text_without_a_limit_that_gets_one_fails_the_write(pg_bench: Workbench) -> None:
    unlimited = "Text)".join(_SECRETS.rsplit("String(40))", 1))
    first = "create table secrets (id serial primary key, name varchar(40) not null, value text not null)"
    limit = "alter table secrets add constraint brief check (length(value) <= 5000)"

    cells = _cells(pg_bench, unlimited, _body((first,)), _body((limit,)))

    assert [c["result"] for c in cells] == ["works", "write fails"]


def test_rows_around_a_version_that_only_their_parents_tell_apart_have_parents_of_their_own(
    pg_bench: Workbench,
) -> None:
    member = """
class Member(Base):
    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    first: Mapped[int] = mapped_column()
    second: Mapped[int] = mapped_column()
"""
    tables = (
        "create table clubs (id serial primary key)",
        """create table teams (
            id serial primary key, club int not null references clubs, kind varchar(20) not null check (kind = 'men'),
            unique (club, kind)
        )""",
        """create table members (
            id serial primary key, first int not null references teams, second int not null references teams
        )""",
    )

    cells = _cells(pg_bench, member, _body(tables), _body(("alter table members add at date",)))

    assert [(c["result"], c["troubles"]) for c in cells] == [("works", [])] * 2

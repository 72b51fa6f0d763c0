"""What versions send where nothing is set or two keys name one table: JSON columns, rows that refer to two others."""

from __future__ import annotations

import json

import pytest
from test_compat_grown import _BASE, _body, _cells
from workbench import Workbench

_NOTES = """
from sqlalchemy import JSON
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.types import TypeDecorator


class Wrapped(TypeDecorator):
    impl = JSON
    cache_ok = True


class Note(Base):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)
    plain: Mapped[dict | None] = mapped_column(JSONB)
    sql_null: Mapped[dict | None] = mapped_column(JSONB(none_as_null=True))
    wrapped: Mapped[dict | None] = mapped_column(Wrapped)
"""
_NOTES_TABLE = "create table notes (id serial primary key, plain jsonb, sql_null jsonb, wrapped json)"
_LINKS = """
class Page(Base):
    __tablename__ = "pages"
    id: Mapped[int] = mapped_column(primary_key=True)


class Link(Base):
    __tablename__ = "links"
    id: Mapped[int] = mapped_column(primary_key=True)
    source: Mapped[int] = mapped_column(ForeignKey("pages.id"))
    target: Mapped[int] = mapped_column(ForeignKey("pages.id"))


class Click(Base):
    __tablename__ = "clicks"
    id: Mapped[int] = mapped_column(primary_key=True)
    link: Mapped[int] = mapped_column(ForeignKey("links.id"))
"""
_LINKS_TABLES = (
    "create table pages (id serial primary key)",
    """create table links (
        id serial primary key, source int not null references pages, target int not null references pages
    )""",
    "create table clicks (id serial primary key, link int not null references links)",
)


@pytest.mark.parametrize(
    ("column", "result"),
    [("plain", "minimal insert fails"), ("sql_null", "minimal insert fails"), ("wrapped", "works")],
)
def test_a_document_that_is_not_set_is_what_its_mapper_sends(pg_bench: Workbench, column: str, result: str) -> None:
    cells = _cells(pg_bench, _NOTES, _body((_NOTES_TABLE,)), _body((f"alter table notes alter {column} set not null",)))

    assert [c["result"] for c in cells] == ["works", result]


def test_a_document_that_is_not_set_takes_the_default_of_the_server(pg_bench: Workbench) -> None:
    filled = "alter table notes alter plain set default '{}', alter plain set not null"

    cells = _cells(pg_bench, _NOTES, _body((_NOTES_TABLE,)), _body((filled,)))

    assert [c["result"] for c in cells] == ["works", "works"]


def test_rows_that_may_not_name_one_row_twice_name_two(pg_bench: Workbench) -> None:
    cells = _cells(
        pg_bench,
        _LINKS,
        _body(_LINKS_TABLES),
        _body(("alter table links add constraint apart check (source <> target)",)),
    )

    assert [(c["result"], c["troubles"]) for c in cells] == [("works", [])] * 2


def test_the_contract_says_what_is_sent_for_a_document_that_is_not_set(pg_bench: Workbench) -> None:
    (pg_bench.root / "app.py").write_text(_BASE + _NOTES)
    pg_bench.revision("r000", None, _body((_NOTES_TABLE,)))
    assert pg_bench.run("versions", "register", "v1", "--models", "app:Base", "--at", "r000").returncode == 0

    table = json.loads(pg_bench.run("versions", "show", "v1", "--format", "json").stdout)["contract"]["tables"][0]

    told = {c["name"]: (c["left_out"], c["type"]["null_is_value"]) for c in table["columns"]}
    assert told == {"id": (False, False), "plain": (True, True), "sql_null": (False, False), "wrapped": (False, True)}

"""Headers: computed from operations, and written into the docstring that a template made."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.history.files.docstring import with_header
from handrail.history.files.header import parse
from handrail.model.hazards.header_claims import risk_level
from handrail.model.operation import Operation
from handrail.model.revision import Header
from handrail.reports.header import impact, rollback


def _operation(name: str, table: str, subject: str | None = None, **details: str) -> Operation:
    return Operation(name=name, table=table, subject=subject, details=tuple(details.items()))


def test_each_table_gets_one_sentence() -> None:
    told = impact(
        [
            _operation("create_table", "teams"),
            _operation("create_index", "teams", "ix_teams_name"),
            _operation("add_column", "users", "email", nullable="true"),
            _operation("add_column", "users", "team_id", nullable="false"),
            _operation("create_foreign_key", "users", "fk_users_team"),
            _operation("alter_column", "users", "name", modify_type="VARCHAR(80)", modify_nullable="false"),
            _operation("drop_column", "app.votes", "old"),
            _operation("something_of_a_plug_in", "votes"),
        ]
    )
    assert told == (
        "Teams table is new. Users table gains email (nullable), gains team_id (NOT NULL), gains foreign key "
        "fk_users_team and changes name: type VARCHAR(80), NOT NULL. App.votes table loses old. "
        "Votes table something of a plug in."
    )


@pytest.mark.parametrize(
    ("upgrade", "downgrade", "told"),
    [
        ([_operation("add_column", "t", "a")], [_operation("drop_column", "t", "a")], "Simple - drop what was added"),
        ([_operation("drop_column", "t", "a")], [_operation("add_column", "t", "a")], "Complex - downgrade() makes"),
        ([_operation("drop_table", "t")], [], "Requires manual"),
        (
            [_operation("create_unique_constraint", "t")],
            [_operation("drop_constraint", "t")],
            "Requires manual intervention - downgrade() drops a constraint without its name",
        ),
        (
            [_operation("alter_column", "t", "a", modify_type="INTEGER")],
            [_operation("alter_column", "t", "a", modify_type="TEXT")],
            "Complex - the values written since",
        ),
    ],
)
def test_what_a_downgrade_brings_back(upgrade: list[Operation], downgrade: list[Operation], told: str) -> None:
    assert rollback(upgrade, downgrade).startswith(told)


COMPUTED = Header(
    purpose="Add email", impact="Users table gains email.", risk="Low - additive.", rollback="Simple - x."
)


@pytest.mark.parametrize(
    "source",
    [
        '"""Add email\n\nRevision ID: 1\nRevises: 2\n\n"""\nx = 1\n',
        '"""Add email"""\nx = 1\n',
        '"""\nAdd email\n"""\nx = 1\n',
        "r'''Add email.\n\nImpact: <what>\nRisk: <Low | High> - <why>\n'''\nx = 1\n",
        '# coding: utf-8\n"""Add émail → x\n\nTesting: <what was verified>\n"""\nx = 1\n',
        "x = 1\n",
        "'Add email'\nx = 1\n",
        "",
    ],
)
def test_the_fields_come_into_whatever_docstring_there_is(source: str) -> None:
    written = with_header(source, COMPUTED)
    tree = ast.parse(written)
    header = parse(ast.get_docstring(tree, clean=False) or "")
    assert header.purpose.startswith("Add ")
    assert (header.impact, header.risk, header.rollback) == (COMPUTED.impact, COMPUTED.risk, COMPUTED.rollback)
    assert header.testing == "<what was verified>"
    assert risk_level(header) is not None
    assert ("x = 1" in source) is written.endswith("x = 1\n")
    assert with_header(written, COMPUTED) == written


def test_what_somebody_has_written_stays_and_no_name_ends_the_docstring() -> None:
    source = '"""Add email\n\nRisk: High - we know better.\n"""\n'
    odd = Header(purpose="x", impact='Table a"""b\\N table is new.', risk="Low - additive.")
    written = with_header(source, odd)
    header = parse(ast.get_docstring(ast.parse(written), clean=False) or "")
    assert header.risk == "High - we know better."
    assert header.impact == "Table a'''b\\N table is new."


FIELDS = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), min_size=1).map(str.strip).filter(bool)


@given(FIELDS, FIELDS, FIELDS, FIELDS)
def test_a_header_that_is_written_is_read_back(impact: str, risk: str, rollback: str, testing: str) -> None:
    header = Header(impact=impact, risk=risk, rollback=rollback, testing=testing)
    source = with_header('"""Add a column.\n"""\n', header)
    read = parse(ast.get_docstring(ast.parse(source)) or "")
    assert read.purpose == "Add a column."
    for name in ("impact", "risk", "rollback", "testing"):
        assert getattr(read, name) == getattr(header, name).replace('"""', "'''")

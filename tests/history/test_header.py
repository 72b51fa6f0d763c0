from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handrail.history.files.header import parse
from handrail.model.hazards.header_claims import Risk, risk_level
from handrail.model.revision import Header

EXAMPLE = """Add email field to users table for notifications.

Impact: Users table gains email column (nullable).
Risk: Low - additive change, backward compatible.
Rollback: Simple - drop column.
Testing: Verified with 100 test users, data integrity checked.
"""


def test_the_guide_s_example_is_read_field_by_field() -> None:
    header = parse(EXAMPLE)
    assert header.purpose == "Add email field to users table for notifications."
    assert header.impact == "Users table gains email column (nullable)."
    assert header.risk == "Low - additive change, backward compatible."
    assert header.rollback == "Simple - drop column."
    assert header.testing == "Verified with 100 test users, data integrity checked."
    assert risk_level(header) is Risk.LOW


def test_the_guide_s_list_of_fields_is_read_with_its_bullets_and_bold_names() -> None:
    header = parse(
        """
        - **Purpose**: Why this change was needed
        - **Impact**: What changes for users/applications
        - **Risk Level**: Low (additive) / Medium (data-dependent) / High (breaking)
        - **Rollback**: Simple / Complex / Requires manual intervention
        - **Testing**: What was verified
        """
    )
    assert header.purpose == "Why this change was needed"
    assert header.risk == "Low (additive) / Medium (data-dependent) / High (breaking)"
    assert header.testing == "What was verified"
    assert risk_level(header) is None


def test_alembic_s_own_lines_are_fields_and_leak_into_no_value() -> None:
    header = parse(
        """Add email

        Testing: on staging
        Revision ID: 1975ea83b712
        Revises: ae1027a6acf
        Create Date: 2026-11-22 12:00:00.000000

        A closing remark.
        """
    )
    assert header.purpose == "Add email"
    assert header.testing == "on staging"
    assert dict(header.fields) == {
        "Testing": "on staging",
        "Revision ID": "1975ea83b712",
        "Revises": "ae1027a6acf",
        "Create Date": "2026-11-22 12:00:00.000000",
    }


def test_a_value_goes_on_until_the_next_field() -> None:
    header = parse(
        """Split name.

        Impact: Readers of name
          must read both columns.

          See http://example.org/split for more.
        risk level: HIGH - breaking
        """
    )
    assert header.impact == "Readers of name\nmust read both columns.\n\nSee http://example.org/split for more."
    assert risk_level(header) is Risk.HIGH


def test_unknown_fields_are_kept_as_written() -> None:
    header = parse("Title\n\nChanges:\n  - add a\n  - Note: b\nImpact: none")
    assert header.fields == (("Changes", "- add a\n- Note: b"), ("Impact", "none"))


def test_a_wrapped_title_is_one_purpose() -> None:
    assert (
        parse("Add email to users\nfor notifications.\n\nImpact: x").purpose == "Add email to users for notifications."
    )


def test_an_explicit_purpose_wins_over_the_title() -> None:
    assert parse("add email\n\nPurpose: Notify players").purpose == "Notify players"


def test_prose_after_the_title_is_no_purpose() -> None:
    assert parse("Add email\n\nSome prose about it.").purpose == "Add email"


@pytest.mark.parametrize("docstring", ["", "   ", "\n\n"])
def test_an_empty_docstring_is_an_empty_header(docstring: str) -> None:
    assert parse(docstring) == Header()


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("Low", Risk.LOW),
        ("low - nothing", Risk.LOW),
        ("**Medium** (data-dependent)", Risk.MEDIUM),
        ("HIGH: breaking", Risk.HIGH),
        ("Low/Medium/High", None),
        ("low to medium", None),
        ("lowest", None),
        ("none known, low", None),
        ("", None),
    ],
)
def test_the_risk_level_is_what_the_field_begins_with(text: str, level: Risk | None) -> None:
    assert risk_level(Header(risk=text)) is level


@given(st.text())
def test_any_text_is_read_without_an_error(docstring: str) -> None:
    header = parse(docstring)
    risk_level(header)
    assert all(name for name, _ in header.fields)

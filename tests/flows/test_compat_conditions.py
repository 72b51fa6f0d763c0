"""Which CHECKs a prediction understands: a list of constants or a range of numbers, about one column."""

from __future__ import annotations

import pytest

from handrail.compat.conditions import condition

_COLUMNS = ("status", "n", "odd name")


@pytest.mark.parametrize(
    ("definition", "column", "values"),
    [
        (
            "CHECK (((status)::text = ANY ((ARRAY['A'::character varying, 'B'::character varying])::text[])))",
            "status",
            "A B",
        ),
        ("CHECK (((status)::text = ANY (ARRAY[('A'::character varying)::text])))", "status", "A"),
        ("CHECK (((status)::text = 'A'::text))", "status", "A"),
        ("status IN ('A', 'B')", "status", "A B"),
        ("CHECK (((n = 1) OR (n = 2)))", "n", "1 2"),
        ("CHECK (\"odd name\" IN ('A'))", "odd name", "A"),
        ("CHECK (status IN ('A')) NOT VALID", "status", "A"),
    ],
)
def test_a_list_of_constants_is_understood(definition: str, column: str, values: str) -> None:
    found = condition(definition, _COLUMNS)
    assert found is not None
    assert (found.column, found.values) == (column, frozenset(values.split()))


@pytest.mark.parametrize(
    "definition", ["CHECK ((n > 0))", "CHECK (((n >= 0) AND (n <= (5)::numeric)))", "n BETWEEN 1 AND 3"]
)
def test_a_range_of_numbers_is_understood(definition: str) -> None:
    found = condition(definition, _COLUMNS)
    assert found is not None
    assert (found.column, found.values) == ("n", None)


@pytest.mark.parametrize(
    "definition",
    [
        "CHECK ((length((status)::text) > 3))",
        "CHECK (((status)::text ~ '^a'::text))",
        "CHECK ((n <> 3))",
        "CHECK ((n < '-1'::integer))",
        "CHECK ((status IS NOT NULL))",
        "CHECK ((NOT (status IN ('A'))))",
        "CHECK (((status = 'A'::text) OR (n = 1)))",
        "CHECK (((status = 'A'::text) AND (status = 'B'::text)))",
        "CHECK ((n % 7) = 6)",
        "CHECK (true)",
        "CHECK ((status > 'A'::text))",
        "CHECK ((other IN ('A')))",
        "CHECK ((status = 'A",
    ],
)
def test_what_is_more_than_that_is_not_understood(definition: str) -> None:
    assert condition(definition, _COLUMNS) is None

"""What the model says of a type change is what the server does: a rewritten table has another file."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, create_engine, text

from handrail.model.hazards.table_rewrite import rewrites

_CHANGES = (
    ("character varying(10)", "character varying(20)"),
    ("character varying(20)", "character varying(10)"),
    ("character varying(10)", "character varying"),
    ("character varying", "character varying(10)"),
    ("character varying(10)", "text"),
    ("text", "character varying"),
    ("text", "character varying(10)"),
    ("character(5)", "character(9)"),
    ("character(5)", "text"),
    ("numeric(8,2)", "numeric(10,2)"),
    ("numeric(8,2)", "numeric(10,4)"),
    ("numeric(8,2)", "numeric(6,2)"),
    ("numeric(8,2)", "numeric"),
    ("numeric", "numeric(8,2)"),
    ("numeric(8)", "numeric(9)"),
    ("integer", "bigint"),
    ("integer", "smallint"),
    ("integer", "text"),
    ("integer", "numeric"),
    ("real", "double precision"),
    ("bit varying(4)", "bit varying(8)"),
    ("bit varying(8)", "bit varying(4)"),
    ("timestamp(3) without time zone", "timestamp(5) without time zone"),
    ("timestamp(3) without time zone", "timestamp without time zone"),
    ("timestamp without time zone", "timestamp(3) without time zone"),
    ("timestamp without time zone", "timestamp with time zone"),
    ("timestamp without time zone", "date"),
    ("time(2) without time zone", "time(4) without time zone"),
    ("cidr", "inet"),
    ("json", "jsonb"),
    ("boolean", "text"),
)


@pytest.mark.parametrize(("old", "new"), _CHANGES)
def test_a_type_change_writes_the_table_anew_as_the_model_says(postgresql_url: URL, old: str, new: str) -> None:
    engine = create_engine(postgresql_url)
    with engine.begin() as conn:
        conn.execute(text("SET LOCAL timezone = 'Europe/Berlin'"))  # in UTC the server knows that nothing changes
        conn.execute(text(f"CREATE TABLE typed (value {old})"))
        file = text("SELECT pg_relation_filenode('typed')")
        before = conn.execute(file).scalar_one()
        conn.execute(text(f"ALTER TABLE typed ALTER value TYPE {new}"))
        assert (conn.execute(file).scalar_one() != before) is rewrites(old, new)
        conn.rollback()
    engine.dispose()

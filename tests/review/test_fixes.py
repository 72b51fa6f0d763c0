"""What a finding says to write instead holds the user's names as they have to be written."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail.flows.ports import review_ports
from handrail.flows.review import ReviewRequest, review
from handrail.model.finding import Finding

_REVISION = """\"\"\"{title}.\"\"\"
from alembic import op
import sqlalchemy as sa

revision = "{id}"
down_revision = {parent!r}


def upgrade():
    {body}


def downgrade():
    pass
"""
_SCENE = """op.create_table("Order Items", sa.Column("Id", sa.Integer, primary_key=True),
        sa.Column("Unit Price", sa.Numeric(12, 4)), sa.Column("Code", sa.String(50)), schema="Sales")
    op.create_table("Orders", sa.Column("Id", sa.Integer, primary_key=True), schema="Sales")"""
_ON = '"Order Items", "Unit Price"'
_FOREIGN_KEY = """op.create_foreign_key("Of Order", "Order Items", "Orders", ["Id"], ["Id"],
        source_schema="Sales", referent_schema="Sales")"""
_BODIES = (
    f'op.drop_column({_ON}, schema="Sales")',
    'op.drop_table("Order Items", schema="Sales")',
    f'op.alter_column({_ON}, nullable=False, schema="Sales")',
    f'op.alter_column({_ON}, type_=sa.Numeric(8, 2), schema="Sales")',
    f'op.alter_column({_ON}, new_column_name="Price", schema="Sales")',
    'op.alter_column("Order Items", "Code", type_=sa.Integer(), schema="Sales")',
    'op.rename_table("Order Items", "Lines", schema="Sales")',
    'op.add_column("Order Items", sa.Column("Order Id", sa.Integer, nullable=False), schema="Sales")',
    'op.add_column("Order Items", sa.Column("Key", sa.Float, server_default=sa.text("random()")), schema="Sales")',
    'op.add_column("Order Items", sa.Column("No", sa.Integer, sa.Identity()), schema="Sales")',
    """op.add_column("Order Items", sa.Column("Twice", sa.Numeric, sa.Computed('"Unit Price" * 2')), schema="Sales")""",
    'op.create_index("Price Index", "Order Items", ["Unit Price"], schema="Sales")',
    'op.create_unique_constraint("One Code", "Order Items", ["Code"], schema="Sales")',
    'op.create_check_constraint("Price Check", "Order Items", \'"Unit Price" > 0\', schema="Sales")',
    _FOREIGN_KEY,
    """op.execute('UPDATE "Sales"."Order Items" SET "Unit Price" = 0')""",
    """op.execute('DELETE FROM "Sales"."Order Items"')""",
    """op.execute('TRUNCATE "Sales"."Order Items"')""",
)
_WORDS = re.compile(r"\b(?:Sales|Order|Orders|Items|Unit|Price|Code|Lines)\b")
_SENT = re.compile(r"""(?:op\.execute|sa\.text)\(('(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")\)""")
_QUERY = re.compile(r"(?:SELECT|CREATE TABLE) [^\n]*")


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> list[Finding]:
    folder = tmp_path_factory.mktemp("names")
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "migrations" / "env.py").write_text("from alembic import context\ncontext.run_migrations()\n")
    url = "postgresql+psycopg://app@db/app"
    (folder / "alembic.ini").write_text(f"[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = {url}\n")
    _write(versions, "s0", None, _SCENE)
    for number, body in enumerate(_BODIES):
        _write(versions, f"c{number:02}", "s0", body)
    return [f for f in review(review_ports(folder), ReviewRequest(everything=True)).findings if f.revision != "s0"]


def _write(versions: Path, id_: str, parent: str | None, body: str) -> None:
    text = _REVISION.format(title=f"Change order items, {id_}", id=id_, parent=parent, body=body)
    (versions / f"{id_}_change_order_items.py").write_text(text)


def _statements(fix: str) -> Iterator[str]:
    """Yield the SQL of a fix: what op.execute() is given, and queries that stand in the text."""
    yield from (str(ast.literal_eval(found[1])) for found in _SENT.finditer(fix))
    yield from _QUERY.findall(_SENT.sub("", fix))


def test_sql_quotes_names_that_need_it(said: list[Finding]) -> None:
    sql = [(f.rule, text) for f in said for text in _statements(f.fix)]
    assert len({rule for rule, _ in sql}) > 12
    assert [(rule, text) for rule, text in sql if _WORDS.search(re.sub(r'"[^"]*"', "", text))] == []


def test_operations_are_given_the_schema_by_its_own_argument(said: list[Finding]) -> None:
    lines = [(f.rule, line) for f in said for line in f.fix.splitlines()]
    calls = [(rule, line) for rule, line in lines if re.search(r"op\.(?!execute|get_)\w+\(", line)]
    assert len({rule for rule, _ in calls}) > 8
    assert [(rule, line) for rule, line in calls if '"Sales.' in line or 'schema="Sales"' not in line] == []


def test_a_trigger_for_a_generated_column_reads_the_new_row(said: list[Finding]) -> None:
    [found] = [f for f in said if f.rule == "rewrite-generated"]
    assert 'sets NEW."Twice" := NEW."Unit Price" * ' in found.fix


def test_lines_that_are_calls_are_python(said: list[Finding]) -> None:
    calls = [line.strip() for f in said for line in f.fix.splitlines() if re.fullmatch(r" *op\.\w+\(.*\)", line)]
    assert len(calls) > 25
    for line in calls:
        ast.parse(line)

"""A batch on SQLite drops a CHECK constraint that has no name.

What happens: the batch reads the table, makes it anew and leaves out its CHECK constraints without a name. From then
on rows are accepted that were refused.

Why: Alembic cannot tell an unnamed CHECK from one that belongs to a type (Boolean, Enum), and passes over them.

The safe way: state it again in `table_args` of the batch, with a name.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.batch_recreate import recreated
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each unnamed CHECK of a table that a batch makes anew."""
    for step in revision.steps:
        for operation, table in recreated(step):
            for constraint in table.constraints:
                if (
                    constraint.kind is not ConstraintKind.CHECK
                    or constraint.name
                    or "table_args" in revision.revision.source
                ):
                    continue
                yield RULE.at(
                    step,
                    operation,
                    what=f"the batch on {table.name} drops its CHECK ({constraint.expression}), which has no name",
                    why="Alembic passes over CHECK constraints without a name when it makes the table anew",
                    fix=f'with op.batch_alter_table("{table.name}", table_args=(sa.CheckConstraint('
                    f'"{constraint.expression}", name="ck_{table.name}"),)) as batch:',
                )


_GIVEN = (
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",
    "CREATE TABLE teams (id integer PRIMARY KEY)",
)
_BATCH = """
with op.batch_alter_table("users"{}) as batch:
    batch.alter_column("name", type_=sa.Text)
"""
_UNNAMED = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20), CHECK (length(name) > 2))",)
_NAMED = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20), CONSTRAINT ck_name CHECK (length(name) > 2))",)


RULE = Rule(
    name="sqlite-batch-unnamed-check",
    severity=Severity.WARNING,
    engines=frozenset({"sqlite"}),
    source="https://alembic.sqlalchemy.org/en/latest/batch.html",
    findings=findings,
    examples=(
        Example(given=_UNNAMED, body=_BATCH.format(""), flagged=True, not_run="Alembic warns of it itself"),
        Example(given=_NAMED, body=_BATCH.format(""), flagged=False),
        Example(
            given=_UNNAMED,
            body=_BATCH.format(', table_args=(sa.CheckConstraint("length(name) > 2", name="ck_name"),)'),
            flagged=False,
        ),
        Example(given=_GIVEN, body=_BATCH.format(""), flagged=False),
    ),
)

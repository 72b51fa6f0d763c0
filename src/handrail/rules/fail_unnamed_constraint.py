"""A constraint is dropped without its name.

What happens: `op.drop_constraint(None, ...)` cannot be compiled: the revision fails when it runs. Autogenerate writes
such a line into `downgrade()` for every constraint that has no name in the models, so the mistake is met on the day of
a rollback.

Why: a DROP CONSTRAINT statement needs a name, and only the database knows the one it made up.

The safe way: name the constraint, in `upgrade()` where it is made and in the drop; a `naming_convention` on the
metadata names all of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each constraint that is dropped without a name."""
    for step in revision.steps:
        for operation in step.operations:
            if operation.name == "drop_constraint" and operation.subject is None:
                table = operation.table or "the table"
                yield RULE.at(
                    step,
                    operation,
                    what=f"a constraint of {table} is dropped without its name; {step.direction.value}() fails here",
                    why="DROP CONSTRAINT needs a name, and none is given",
                    fix=f'op.drop_constraint("<name of the constraint>", "{table}") with the name the database shows',
                )


RULE = Rule(
    name="fail-unnamed-constraint",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/naming.html",
    findings=findings,
    examples=(
        Example(
            given=("CREATE TABLE teams (id integer, CONSTRAINT uq_teams_id UNIQUE (id))",),
            body='op.drop_constraint(None, "teams", type_="unique")',
            flagged=True,
            fails=True,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            given=("CREATE TABLE teams (id integer, CONSTRAINT uq_teams_id UNIQUE (id))",),
            body='op.drop_constraint(None, "teams", type_="unique")',
            flagged=True,
            engines=frozenset({"mysql"}),
            not_run="Alembic fails with an AssertionError that says nothing",
        ),
        Example(
            given=("CREATE TABLE teams (id integer, CONSTRAINT uq_teams_id UNIQUE (id))",),
            body="""
            with op.batch_alter_table("teams") as batch:
                batch.drop_constraint(None, type_="unique")
            """,
            flagged=True,
            fails=True,
            engines=frozenset({"sqlite"}),
        ),
        Example(
            given=("CREATE TABLE teams (id integer, CONSTRAINT uq_teams_id UNIQUE (id))",),
            body="""
            with op.batch_alter_table("teams") as batch:
                batch.drop_constraint("uq_teams_id", type_="unique")
            """,
            flagged=False,
        ),
    ),
)

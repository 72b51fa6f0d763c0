"""A constraint is dropped without its name.

What happens: `op.drop_constraint(None, ...)` cannot be compiled: the revision fails when it runs. Autogenerate writes
such a line into `downgrade()` for every constraint that has no name in the models, so the mistake is met on the day of
a rollback.

Why: a DROP CONSTRAINT statement needs a name, and only the database knows the one it made up.

The safe way: name the constraint, in `upgrade()` where it is made and in the drop; a `naming_convention` on the
metadata names all of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import constraint_name
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_MAKES = re.compile(r"create_(?:unique_constraint|check_constraint|foreign_key|primary_key|exclude_constraint)")


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each constraint that is dropped without a name."""
    for step in revision.steps:
        for operation in step.operations:
            if operation.name == "drop_constraint" and operation.subject is None:
                table = operation.table or "the table"
                made, named = _made(revision, table), _to_name(revision, table)
                name = made or named or "<its name in the database>"
                line = f'op.drop_constraint("{name}", "{table}")'
                if facts.engine == "sqlite":
                    line = f'with op.batch_alter_table("{table}") as batch:\n    batch.drop_constraint("{name}")'
                yield RULE.at(
                    step,
                    operation,
                    what=f"a constraint of {table} is dropped without its name; {step.direction.value}() fails here",
                    why="DROP CONSTRAINT needs a name, and none is given",
                    fix=line + ("\nand give it that name in upgrade()" if named and not made else ""),
                )


def _made(revision: ReviewedRevision, table: str) -> str:
    """Return the name of the one constraint that upgrade gives that table, '' where there is none or several."""
    operations = revision.upgrade.operations if revision.upgrade else ()
    names = [o.subject for o in operations if o.table == table and o.subject and _MAKES.fullmatch(o.name)]
    return names[0] if len(names) == 1 else ""


def _to_name(revision: ReviewedRevision, table: str) -> str:
    """Return a name for the one constraint that upgrade makes on that table without any, '' for none or several."""
    actions = [action for _, action in revision.upgrade.actions()] if revision.upgrade else []
    made = [a.constraint for a in actions if isinstance(a, AddConstraint) and bare(a.table) == bare(table)]
    return constraint_name(table, made[0]) if len(made) == 1 else ""


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

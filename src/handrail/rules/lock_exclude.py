"""An EXCLUDE constraint is added to a table that is in use.

What happens: ADD CONSTRAINT ... EXCLUDE holds ACCESS EXCLUSIVE while its index is built and all rows are compared:
nobody reads or writes the table for that long.

Why: an EXCLUDE constraint can neither be NOT VALID nor adopt an index that was built before.

The safe way: make a new table that has the constraint from the start, copy the rows in batches, and change over.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import revisions, send, sql_name
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each EXCLUDE that is added to a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AddConstraint) or action.constraint.kind is not ConstraintKind.EXCLUDE:
                continue
            if not others_wait(statement, action.table, facts):
                continue
            table = action.table
            name = sql_name(action.constraint.name) if action.constraint.name else "its name"
            yield RULE.at(
                step,
                statement,
                what=f"the EXCLUDE constraint {action.constraint.name} is built while everybody waits for {table}",
                why="ADD CONSTRAINT ... EXCLUDE holds ACCESS EXCLUSIVE while its index is built; it has no NOT VALID"
                + counted(table, facts),
                fix=revisions(
                    send(f"CREATE TABLE {sql_name(table + '_new')} (LIKE {sql_name(table)} INCLUDING ALL)")
                    + f"\nand add {name} to {table}_new, which is empty; a trigger on {table} copies what is written",
                    f"copy the rows in batches, then rename {table}_new to {table}",
                ),
                severity=weight(step, RULE.severity),
            )


_ROOMS = "CREATE TABLE stays (id integer PRIMARY KEY, during tsrange)"

RULE = Rule(
    name="lock-exclude",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-createtable.html#SQL-CREATETABLE-EXCLUDE",
    findings=findings,
    examples=(
        Example(
            given=(_ROOMS,),
            body='op.create_exclude_constraint("ex_stays", "stays", ("during", "&&"), using="gist")',
            flagged=True,
            rewrite=(
                """
                op.execute("CREATE TABLE stays_new (LIKE stays INCLUDING ALL)")
                op.create_exclude_constraint("ex_stays", "stays_new", ("during", "&&"), using="gist")
                """,
            ),
            leaves_out="the rows are copied in batches, and the tables are renamed, in later revisions",
        ),
        Example(
            given=(_ROOMS,),
            body='op.execute("ALTER TABLE stays ADD CONSTRAINT ex EXCLUDE USING gist (during WITH &&)")',
            flagged=True,
        ),
        Example(
            body="""
            op.create_table("stays", sa.Column("id", sa.Integer), sa.Column("during", sa.dialects.postgresql.TSRANGE))
            op.create_exclude_constraint("ex_stays", "stays", ("during", "&&"), using="gist")
            """,
            flagged=False,
        ),
        Example(
            given=(_ROOMS,),
            body='op.create_exclude_constraint("ex_stays", "stays", ("during", "&&"), using="gist")',
            sizes={"stays": 40},
            flagged=False,
        ),
    ),
)

"""A table is put in the order of an index while everybody waits.

What happens: CLUSTER writes the table and its indexes anew under ACCESS EXCLUSIVE: nobody reads or writes the table for
that long, and twice the space is needed.

Why: the rows get new places, and no one may see them half moved.

The safe way: pg_repack with --order-by, run as maintenance beside the migrations. ALTER TABLE ... CLUSTER ON only notes
the index, and keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each CLUSTER of a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, Other) or action.what != "CLUSTER":
                continue
            if action.table and not others_wait(statement, action.table, facts):
                continue
            table = action.table or "every table that was clustered before"
            yield RULE.at(
                step,
                statement,
                what=f"CLUSTER writes {table} anew while everybody waits",
                why="CLUSTER holds ACCESS EXCLUSIVE until the new copy is finished" + counted(action.table, facts),
                fix=f"outside of migrations: pg_repack --table={action.table or '<table>'} --order-by=<columns>",
                severity=weight(step, RULE.severity),
            )


_USERS = ("CREATE TABLE users (id integer PRIMARY KEY, email text)", "CREATE INDEX ix_email ON users (email)")

RULE = Rule(
    name="lock-cluster",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-cluster.html",
    findings=findings,
    examples=(
        Example(
            given=_USERS,
            body='op.execute("CLUSTER users USING ix_email")',
            flagged=True,
            rewrite=('op.execute("ALTER TABLE users CLUSTER ON ix_email")',),
            leaves_out="the rows are put in order by pg_repack, beside the migrations",
        ),
        Example(given=_USERS, body='op.execute("ALTER TABLE users CLUSTER ON ix_email")', flagged=False),
        Example(given=_USERS, body='op.execute("CLUSTER users USING ix_email")', sizes={"users": 9}, flagged=False),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))
            op.execute("CLUSTER teams USING teams_pkey")
            """,
            flagged=False,
        ),
    ),
)

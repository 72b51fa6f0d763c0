"""A table is packed by VACUUM FULL while everybody waits.

What happens: VACUUM FULL writes the table and its indexes anew under ACCESS EXCLUSIVE: nobody reads or writes the table
for that long, and twice the space is needed.

Why: the rows get new places, and no one may see them half moved.

The safe way: pg_repack, run as maintenance beside the migrations; or plain VACUUM, which keeps nobody waiting.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import alone, send, sql_name
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each VACUUM FULL of a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, Other) or action.what != "VACUUM FULL":
                continue
            if action.table and not others_wait(statement, action.table, facts):
                continue
            table = action.table or "every table"
            yield RULE.at(
                step,
                statement,
                what=f"VACUUM FULL writes {table} anew while everybody waits",
                why="VACUUM FULL holds ACCESS EXCLUSIVE until the new copy is finished" + counted(table, facts),
                fix=f"outside of migrations: pg_repack --table={table}\nor, where the space may stay with the table:\n"
                + alone(send(f"VACUUM {sql_name(action.table)}".strip())),
                severity=weight(step, RULE.severity),
            )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"

RULE = Rule(
    name="lock-vacuum-full",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-vacuum.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("VACUUM FULL users")
            """,
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.execute("VACUUM users")
                """,
            ),
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("VACUUM (FULL, ANALYZE) users")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("VACUUM (ANALYZE) users")
            """,
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.execute("ANALYZE users")', flagged=False),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("VACUUM FULL users")
            """,
            sizes={"users": 10},
            flagged=False,
        ),
    ),
)

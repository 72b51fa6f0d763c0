"""An index is built anew while others wait.

What happens: REINDEX keeps writes to the table waiting, and reads that would use the index, for as long as the build
takes.

Why: without CONCURRENTLY the server wants a table that stands still, and takes ACCESS EXCLUSIVE on the index itself.

The safe way: REINDEX ... CONCURRENTLY (12+), outside a transaction, alone in its revision. Better still: do it as
maintenance, and not in a migration.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Reindex
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_wait, weight
from handrail.model.hazards.spelling import alone, send, sql_name
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each REINDEX without CONCURRENTLY of what others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, Reindex) or action.concurrently:
                continue
            owner = statement.before.table_of_index(action.name) if action.kind == "index" else None
            table = owner.name if owner else action.name
            if action.kind in {"index", "table"} and not others_wait(statement, table, facts):
                continue
            kind = action.kind.upper()
            yield RULE.at(
                step,
                statement,
                what=f"REINDEX {kind} {action.name} builds anew while others wait",
                why="without CONCURRENTLY writes wait, and reads that use the index, until it is built",
                fix=alone(send(f"REINDEX {kind} CONCURRENTLY {sql_name(action.name)}")),
                severity=weight(step, RULE.severity),
            )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_INDEX = "CREATE INDEX ix_users_email ON users (email)"

RULE = Rule(
    name="lock-reindex",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-reindex.html#SQL-REINDEX-CONCURRENTLY",
    findings=findings,
    examples=(
        Example(
            given=(_USERS, _INDEX),
            body='op.execute("REINDEX INDEX ix_users_email")',
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.execute("REINDEX INDEX CONCURRENTLY ix_users_email")
                """,
            ),
        ),
        Example(given=(_USERS,), body='op.execute("REINDEX TABLE users")', flagged=True),
        Example(
            given=(_USERS,),
            body='op.execute("REINDEX SCHEMA public")',
            flagged=True,
            not_run="it rebuilds the indexes of a whole schema, outside a transaction only",
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("REINDEX (VERBOSE) TABLE CONCURRENTLY users")
            """,
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))
            op.execute("REINDEX TABLE teams")
            """,
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.execute("REINDEX TABLE users")', sizes={"users": 10}, flagged=False),
    ),
)

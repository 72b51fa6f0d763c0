"""An index is built while writes to its table wait.

What happens: CREATE INDEX holds a SHARE lock on the table until the transaction ends: reads go on, every INSERT, UPDATE
and DELETE waits for as long as the build takes, which grows with the table.

Why: without CONCURRENTLY the server wants a table that stands still. `index=True` on a column that is added sends the
same statement.

The safe way: build it with CONCURRENTLY, outside a transaction, alone in its revision. A table that the same revision
creates is empty and nobody's yet: there an ordinary CREATE INDEX is right.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import CreateIndex
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.index_spelling import concurrently
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each index that is built on a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, CreateIndex) or action.concurrently or _empty(statement, action):
                continue
            if not others_wait(statement, action.table, facts):
                continue
            yield RULE.at(
                step,
                statement,
                what=f"index {action.index.name} is built while writes to {action.table} wait",
                why="CREATE INDEX without CONCURRENTLY holds a SHARE lock until the transaction ends"
                + counted(action.table, facts),
                fix=concurrently(statement, action),
                severity=weight(step, RULE.severity),
            )


def _empty(statement: ReviewedStatement, action: CreateIndex) -> bool:
    """Return whether it is ON ONLY a partitioned table, which has no rows."""
    known = statement.before.table(action.table)
    return action.only and known is not None and bool(known.partition_by)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"

RULE = Rule(
    name="lock-index-create",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.create_index("ix_users_email", "users", ["email"])',
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.create_index("ix_users_email", "users", ["email"], postgresql_concurrently=True)
                """,
            ),
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("name", sa.String(50), index=True))',
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.execute("CREATE INDEX ix ON users (lower(email))")', flagged=True),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
            op.create_index("ix_teams_name", "teams", ["name"])
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY ix ON users (email)")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.create_index("ix_users_email", "users", ["email"])',
            sizes={"users": 12},
            flagged=False,
        ),
        Example(
            given=("CREATE TABLE logs (day date NOT NULL) PARTITION BY RANGE (day)",),
            body='op.execute("CREATE INDEX ix_logs_day ON ONLY logs (day)")',
            flagged=False,
        ),
        Example(
            body="""
            op.execute("CREATE TABLE teams (id integer, name text); CREATE INDEX ix_teams_name ON public.teams (name)")
            """,
            flagged=False,
            not_run="it names the schema public",
        ),
    ),
)

"""An index is dropped while reads and writes of its table wait.

What happens: DROP INDEX takes ACCESS EXCLUSIVE on the table: it waits for every transaction that has read the table,
and everybody who comes after it waits behind it.

Why: dropping itself takes a moment; the queue for the lock does not. With CONCURRENTLY the server waits without
keeping others out.

The safe way: drop it with CONCURRENTLY, outside a transaction, alone in its revision.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import DropIndex
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_wait, weight
from handrail.model.hazards.spelling import alone, table_words
from handrail.model.replayed import Replayed
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.revision import Direction
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each index that is dropped from a table others go on to use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, DropIndex) or action.concurrently:
                continue
            owner = statement.before.table_of_index(action.name)
            table = action.table or (owner.name if owner else "")
            if (table and not others_wait(statement, table, facts)) or _leaves(step, table):
                continue
            if _made_here(step.before, statement.before, action.name) or _undone(revision, step, action.name):
                continue
            index, schema = table_words(action.name)
            of = f" of {table}" if table else ""
            yield RULE.at(
                step,
                statement,
                what=f"index {action.name}{of} is dropped while everybody waits",
                why="DROP INDEX without CONCURRENTLY takes ACCESS EXCLUSIVE on the table: others queue up behind it",
                fix=alone(
                    f'op.drop_index({index}, table_name="{table or "<its table>"}"{schema},'
                    " postgresql_concurrently=True, if_exists=True)"
                ),
                severity=weight(step, RULE.severity),
            )


def _leaves(step: ReviewedStep, table: str) -> bool:
    """Return whether the step drops the table too."""
    return bool(table) and step.before.table(table) is not None and step.after.table(table) is None


def _made_here(before_step: Replayed, before: Replayed, index: str) -> bool:
    return before_step.table_of_index(index) is None and before.table_of_index(index) is not None


def _undone(revision: ReviewedRevision, step: ReviewedStep, index: str) -> bool:
    """Return whether a downgrade drops what its upgrade made."""
    up = revision.upgrade
    return step.direction is Direction.DOWNGRADE and up is not None and _made_here(up.before, up.after, index)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_INDEX = "CREATE INDEX ix_users_email ON users (email)"

RULE = Rule(
    name="lock-index-drop",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-dropindex.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS, _INDEX),
            body='op.drop_index("ix_users_email", table_name="users")',
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.drop_index(
                        "ix_users_email", table_name="users", postgresql_concurrently=True, if_exists=True
                    )
                """,
            ),
        ),
        Example(given=(_USERS, _INDEX), body='op.execute("DROP INDEX IF EXISTS ix_users_email")', flagged=True),
        Example(
            given=(_USERS, _INDEX),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.drop_index("ix_users_email")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS, _INDEX),
            body="""
            with op.get_context().autocommit_block():
                op.execute("DROP INDEX CONCURRENTLY ix_users_email")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, _INDEX),
            body="""
            op.drop_index("ix_users_email", table_name="users")
            op.drop_table("users")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.create_index("ix_users_email", "users", ["email"], postgresql_concurrently=True)
            """,
            downgrade='op.drop_index("ix_users_email", table_name="users")',
            flagged=False,
        ),
        Example(
            given=(_USERS, _INDEX),
            body='op.drop_index("ix_users_email", table_name="users")',
            sizes={"users": 10},
            flagged=False,
        ),
    ),
)

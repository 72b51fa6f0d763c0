"""A sequence begins again with a number that rows have already.

What happens: the next rows get 1, 2, 3 and fail on the primary key, one after the other, until the sequence has passed
the highest number there is. Without a key they are there twice.

Why: a sequence does not look at the table. ALTER SEQUENCE ... RESTART acts at once for every session.

The safe way: leave it where it is, gaps harm nobody; or set it past what is there:
SELECT setval('users_id_seq', (SELECT max(id) FROM users)).
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Other, Verb, WriteRows
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import send
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each sequence that the upgrade restarts at its beginning while rows may have its numbers."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not isinstance(action, Other) or action.what != "RESTART SEQUENCE" or _unused(step, statement, action.table):
            continue
        owner = _owner(statement, action.table)
        table, column = owner or ("<table>", "<column>")
        yield RULE.at(
            step,
            statement,
            what=f"{action.table} begins again with numbers that rows{f' of {table}' if owner else ''} may have",
            why="a sequence does not look at the rows: the next INSERT fails on the key, or doubles it",
            fix=send(f"SELECT setval('{action.table}', (SELECT max({column}) FROM {table}))"),
        )


def _owner(statement: ReviewedStatement, sequence: str) -> tuple[str, str] | None:
    """Return table and column that a serial or identity column's sequence is named after, None for another."""
    for table in statement.before.tables.values():
        for column in table.columns:
            if bare(sequence) == f"{table.name}_{column.name}_seq":
                return table.name, column.name
    return None


def _unused(step: ReviewedStep, statement: ReviewedStatement, sequence: str) -> bool:
    """Return whether this step made the sequence or its table, or took all rows out of that."""
    key = ("sequence", bare(sequence))
    if key in statement.before.objects and key not in step.before.objects:
        return True
    owner = _owner(statement, sequence)
    emptied = {
        bare(action.table)
        for _, action in step.actions()
        if isinstance(action, WriteRows) and not action.where and action.verb in {Verb.TRUNCATE, Verb.DELETE}
    }
    return owner is not None and (statement.creates(owner[0]) or owner[0] in emptied)


_USERS = "CREATE TABLE users (id serial PRIMARY KEY, email text)"

RULE = Rule(
    name="fail-sequence-restart",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altersequence.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.execute("ALTER SEQUENCE users_id_seq RESTART WITH 1")',
            flagged=True,
            rewrite=("op.execute(\"SELECT setval('users_id_seq', (SELECT max(id) FROM users))\")",),
        ),
        Example(given=(_USERS,), body='op.execute("ALTER SEQUENCE users_id_seq RESTART")', flagged=True),
        Example(given=(_USERS,), body='op.execute("ALTER SEQUENCE users_id_seq RESTART WITH 500000")', flagged=False),
        Example(given=(_USERS,), body='op.execute("ALTER SEQUENCE users_id_seq INCREMENT BY 10")', flagged=False),
        Example(
            given=(_USERS,),
            body='op.execute("DELETE FROM users")\nop.execute("ALTER SEQUENCE users_id_seq RESTART")',
            flagged=False,
        ),
    ),
)

"""A value is added to an enum inside a transaction.

What happens: the value cannot be used until the transaction has ended: a revision that writes it, or sets it as a
default, fails with "unsafe use of new value". Where all revisions run in one transaction, that holds for the next
revisions too. Before version 12 the statement itself is refused.

Why: other sessions could meet a value in an index that a rollback takes away again.

The safe way: ALTER TYPE ... ADD VALUE IF NOT EXISTS in `autocommit_block()`, alone in its revision; what uses the value
goes into a later one.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddEnumValue, CreateEnum
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import alone, send, sql_name
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each value that is added inside a transaction to an enum that was there before."""
    for step in revision.steps:
        made: set[str] = set()
        for number, statement in enumerate(step.statements):
            made |= {bare(action.name) for action in statement.actions if isinstance(action, CreateEnum)}
            for action in statement.actions:
                if not isinstance(action, AddEnumValue) or statement.statement.autocommit or bare(action.name) in made:
                    continue
                used = _used(step, number, action.value)
                yield RULE.at(
                    step,
                    statement if used is None else used,
                    what=f"'{action.value}' of {action.name} is used in the transaction that adds it;"
                    f" {step.direction.value}() fails here"
                    if used is not None
                    else f"'{action.value}' is added to {action.name} in a transaction, where it cannot be used yet",
                    why="a new value of an enum can be used once the transaction that adds it has ended",
                    fix=alone(send(f"ALTER TYPE {sql_name(action.name)} ADD VALUE IF NOT EXISTS '{action.value}'")),
                    severity=Severity.ERROR if used is not None else Severity.WARNING,
                )


def _used(step: ReviewedStep, number: int, value: str) -> ReviewedStatement | None:
    """Return the first later statement of the same transaction that names the value."""
    literal = "'" + value.replace("'", "''") + "'"
    transaction = step.statements[number].statement.transaction
    for later in step.statements[number + 1 :]:
        sent = later.statement
        adds = any(isinstance(action, AddEnumValue) for action in later.actions)
        named = literal in sent.sql or any(literal in row for row in sent.parameters)
        if sent.transaction == transaction and named and not adds:
            return later
    return None


_GIVEN = (
    "CREATE TYPE mood AS ENUM ('sad', 'glad')",
    "CREATE TABLE users (id integer PRIMARY KEY, mood mood)",
    "INSERT INTO users VALUES (1, 'sad')",
)
_ALONE = """
with op.get_context().autocommit_block():
    op.execute("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm'")
"""

RULE = Rule(
    name="txn-enum-add",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertype.html#SQL-ALTERTYPE-NOTES",
    findings=findings,
    examples=(
        Example(
            given=_GIVEN,
            body="""op.execute("ALTER TYPE mood ADD VALUE 'calm'")""",
            flagged=True,
            rewrite=(_ALONE,),
        ),
        Example(
            given=_GIVEN,
            body="""
            op.execute("ALTER TYPE mood ADD VALUE 'calm'")
            op.execute("UPDATE users SET mood = 'calm'")
            """,
            flagged=True,
            fails=True,
            rewrite=(_ALONE, """op.execute("UPDATE users SET mood = 'calm' WHERE id < 1000")"""),
        ),
        Example(
            given=_GIVEN,
            body="""
            for value in ("calm", "wild"):
                op.execute(f"ALTER TYPE mood ADD VALUE IF NOT EXISTS '{value}' AFTER 'sad'")
            op.alter_column("users", "mood", server_default="calm")
            """,
            flagged=True,
            fails=True,
        ),
        Example(given=_GIVEN, body=_ALONE, flagged=False),
        Example(
            body="""
            op.execute("CREATE TYPE colour AS ENUM ('red')")
            op.execute("ALTER TYPE colour ADD VALUE 'blue'")
            """,
            flagged=False,
        ),
        Example(given=_GIVEN, body="""op.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'low'")""", flagged=False),
    ),
)

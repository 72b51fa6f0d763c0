"""A batch on SQLite drops the triggers of its table.

What happens: the batch makes the table anew and drops the old one, and its triggers with it. Nothing makes them
again.

Why: a trigger belongs to its table, and Alembic does not read triggers.

The safe way: make them again after the batch, in the same revision.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.batch_recreate import recreated
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each trigger of a table that a batch makes anew, unless the revision makes it again."""
    for step in revision.steps:
        for operation, table in recreated(step):
            for trigger in step.before.triggers_on(table.name):
                again = any(
                    getattr(action, "kind", "") == "trigger" and bare(getattr(action, "name", "")) == bare(trigger.name)
                    for _, action in step.actions()
                )
                if again:
                    continue
                yield RULE.at(
                    step,
                    operation,
                    what=f"the batch on {table.name} drops its trigger {trigger.name}",
                    why="it drops the old table, and a trigger goes with its table",
                    fix=f'op.execute("CREATE TRIGGER {trigger.name} ...") after the batch',
                )


_GIVEN = (
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",
    "CREATE TABLE log (u integer)",
    "CREATE TRIGGER users_log AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.id); END",
)
_BATCH = """
with op.batch_alter_table("users"{}) as batch:
    batch.alter_column("name", type_=sa.Text)
"""
_AGAIN = 'op.execute("CREATE TRIGGER users_log AFTER INSERT ON users BEGIN INSERT INTO log VALUES (new.id); END")'


RULE = Rule(
    name="sqlite-batch-trigger",
    severity=Severity.ERROR,
    engines=frozenset({"sqlite"}),
    source="https://alembic.sqlalchemy.org/en/latest/batch.html",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_BATCH.format(""), flagged=True),
        Example(given=_GIVEN, body=f"{_BATCH.format('')}{_AGAIN}", flagged=False),
        Example(given=_GIVEN[:2], body=_BATCH.format(""), flagged=False),
    ),
)

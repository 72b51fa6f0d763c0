"""A batch on SQLite fails because of a view on its table.

What happens: the batch drops the old table and renames the new one. At that moment a view names a table that is not
there, and SQLite refuses the renaming: `error in view ...: no such table`.

Why: since 3.26 SQLite checks all views and triggers when a table is renamed.

The safe way: drop the view before the batch and make it again after it, in the same revision.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.batch_recreate import recreated
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each view on a table that a batch makes anew, unless the revision drops the view first."""
    for step in revision.steps:
        dropped = {bare(a.name) for _, a in step.actions() if isinstance(a, act.DropObject) and "view" in a.kind}
        for operation, table in recreated(step):
            for view in step.before.views_on(table.name):
                if bare(view.name) in dropped:
                    continue
                yield RULE.at(
                    step,
                    operation,
                    what=f"the batch on {table.name} fails because of the view {view.name}",
                    why="SQLite checks all views when the new table takes the old one's name, and the old one is gone",
                    fix=f'op.execute("DROP VIEW {view.name}") before the batch, and make it again after it',
                )


_GIVEN = (
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",
    "CREATE VIEW names AS SELECT name FROM users",
)
_BATCH = """
with op.batch_alter_table("users"{}) as batch:
    batch.alter_column("name", type_=sa.Text)
"""
_DROP = 'op.execute("DROP VIEW names")'
_AGAIN = 'op.execute("CREATE VIEW names AS SELECT name FROM users")'


RULE = Rule(
    name="sqlite-batch-view",
    severity=Severity.ERROR,
    engines=frozenset({"sqlite"}),
    source="https://www.sqlite.org/lang_altertable.html",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_BATCH.format(""), flagged=True, fails=True),
        Example(given=_GIVEN, body=f"{_DROP}{_BATCH.format('')}{_AGAIN}", flagged=False),
        Example(given=_GIVEN[:1], body=_BATCH.format(""), flagged=False),
    ),
)

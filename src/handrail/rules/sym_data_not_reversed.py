"""`upgrade()` rewrites rows, and `downgrade()` does not write them back.

What happens: the schema is undone and the rows stay as upgrade made them: rows that it inserted are inserted twice
when it is applied again, values that it changed stay changed.

Why: only the schema part was undone. The version that is rolled back to meets values it does not know.

The safe way: undo the rows too; or say in the header that they stay: `Rollback: Complex - the names stay in lower
case`. Filling a column that the same revision adds needs no undoing. Where rows or values were only added, `Rollback:
Simple - nothing to undo` is enough; where some were overwritten or deleted, a comment in `downgrade()` has to say why
that is harmless.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.header_claims import Rollback, owns_up, rollback_way
from handrail.model.hazards.reversal import owed
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table whose rows upgrade changes and downgrade does not write."""
    up, down = revision.upgrade, revision.downgrade
    if up is None or down is None or not (up.read and down.read) or not down.statements:
        return
    if owns_up(revision.revision.header):
        return
    written = {bare(a.table) for _, a in down.actions() if isinstance(a, act.WriteRows)}
    told: set[str] = set()
    for statement, action in owed(revision, up):
        table = bare(action.table)
        if table in written or table in told or table in up.after.gone or table in down.after.gone:
            continue
        told.add(table)
        simple = rollback_way(revision.revision.header) is Rollback.SIMPLE
        yield RULE.at(
            up,
            statement,
            what=f"upgrade() changes rows of {table} ({action.verb.value}), and downgrade() does not write them back"
            + (", though the header calls it simple" if simple else ""),
            why="the schema is undone and the rows are not: the earlier version meets values it does not know",
            fix=f"undo the {action.verb.value} of {table} in downgrade(), or say in the header\n"
            "Rollback: Complex - what stays changed",
        )


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'
_NOTHING = "Tidy users.\n\nImpact: users.\nRisk: Medium.\nRollback: Simple - nothing to undo.\nTesting: By hand.\n"


def _lines(*lines: str) -> str:
    return "\n".join(lines)


RULE = Rule(
    name="sym-data-not-reversed",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, 'op.execute("UPDATE users SET name = lower(name)")'),
            downgrade=_NO_EMAIL,
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, "op.execute(\"INSERT INTO users (id, name) VALUES (1, 'root')\")"),
            downgrade=_NO_EMAIL,
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, "op.execute(\"DELETE FROM users WHERE name = 'gone'\")"),
            downgrade=_NO_EMAIL,
            docstring=_NOTHING,
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, "op.execute(\"INSERT INTO users (id, name) VALUES (1, 'root')\")"),
            downgrade=_NO_EMAIL,
            docstring=_NOTHING,
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, 'op.execute("UPDATE users SET email = name")'),
            downgrade=_NO_EMAIL,
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, "op.execute(\"INSERT INTO users (id, name) VALUES (1, 'root')\")"),
            downgrade=_lines('op.execute("DELETE FROM users WHERE id = 1")', _NO_EMAIL),
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, 'op.execute("UPDATE users SET name = lower(name)")'),
            downgrade=_NO_EMAIL,
            docstring="Lower.\n\nImpact: users.\nRisk: Medium.\nRollback: Complex - names stay.\nTesting: By hand.\n",
            flagged=False,
        ),
    ),
)

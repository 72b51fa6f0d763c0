"""The header says that undoing is simple, and `downgrade()` does not do it.

What happens: the field Rollback begins with Simple (or Easy, Reversible, Run the downgrade), and `downgrade()` raises,
is empty or missing, or brings tables and columns back without what was in them.

Why: in an emergency somebody trusts the word and runs the downgrade. Then it fails, or pretends to have worked, or
the loss becomes final.

The safe way: write a downgrade that does what the header says, or say what is true: `Rollback: Complex - the column
comes back empty; restore it from the backup`, `Rollback: Requires manual intervention - ...`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.downgrade_text import raises_on_purpose
from handrail.model.hazards.header_claims import Rollback, first_words, line_of, rollback_way
from handrail.model.hazards.reversal import (
    changes_schema,
    only_adds_enum_values,
    owed,
)
from handrail.model.hazards.row_loss import lost
from handrail.model.hazards.touched import does_nothing
from handrail.model.operation import Reading
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where Rollback is Simple and the downgrade is not."""
    if rollback_way(revision.revision.header) is not Rollback.SIMPLE:
        return
    told = _contradiction(revision)
    if told:
        yield RULE.in_file(
            revision,
            line=line_of(revision.revision, "rollback"),
            what=f"the header says Rollback: {first_words(revision.revision.header.rollback)}, and {told}",
            why="in an emergency somebody runs the downgrade because of this word",
            fix="write the downgrade that the header promises, or\n"
            f"Rollback: Requires manual intervention - {told.partition(' (')[0]}; restore the backup",
        )


def _contradiction(revision: ReviewedRevision) -> str:
    up, down = revision.upgrade, revision.downgrade
    if raises_on_purpose(revision):
        return "downgrade() raises"
    if down is not None and down.reading is Reading.FAILED and revision.revision.downgrade_line is not None:
        return f"downgrade() fails ({down.reason})" if up is not None and up.read else ""
    if up is not None and not does_nothing(up) and (does_nothing(down) or down is None):
        if changes_schema(up) or any(True for _ in owed(revision, up)):
            return "" if only_adds_enum_values(up) else "downgrade() does nothing"
        return ""
    losses = [loss for loss in lost(revision) if not loss.refused]
    return losses[0].what if losses else ""


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))"


def _simple(body: str, downgrade: str, *, flagged: bool, rollback: str = "Simple", back_fails: bool = False) -> Example:
    docstring = f"Change users.\n\nImpact: users change.\nRisk: High.\nRollback: {rollback}.\nTesting: By hand.\n"
    return Example(
        given=(_USERS,), body=body, downgrade=downgrade, docstring=docstring, flagged=flagged, back_fails=back_fails
    )


_DROP, _ADD = 'op.drop_column("users", "name")', 'op.add_column("users", sa.Column("name", sa.String(20)))'
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'

RULE = Rule(
    name="hdr-rollback-mismatch",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    baseline=True,
    examples=(
        _simple(_DROP, 'raise NotImplementedError("no way back")', flagged=True, back_fails=True),
        _simple(_EMAIL, "pass", flagged=True),
        _simple(_DROP, _ADD, flagged=True, rollback="Simple - add the column again"),
        _simple(_DROP, _ADD, flagged=True, rollback="Fully reversible, alembic downgrade -1"),
        _simple(
            'op.drop_table("users")',
            'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))',
            flagged=True,
        ),
        _simple('op.execute("UPDATE users SET name = lower(name)")', "pass", flagged=True),
        _simple(_EMAIL, 'op.drop_column("users", "email")', flagged=False, rollback="Simple - drop column"),
        _simple(_DROP, _ADD, flagged=False, rollback="Complex - the names are in the backup"),
        _simple(
            _DROP,
            "raise RuntimeError('restore the backup')",
            flagged=False,
            rollback="Requires manual intervention",
            back_fails=True,
        ),
        _simple(
            'op.execute("UPDATE users SET name = lower(name)")',
            "pass",
            flagged=True,
            rollback="Simple - nothing to undo",
        ),
        _simple(
            "op.execute(\"DELETE FROM users WHERE name = 'gone'\")",
            "pass",
            flagged=True,
            rollback="Simple - nothing to do",
        ),
        _simple(
            'op.execute("UPDATE users SET name = lower(name)")',
            "pass  # nothing to undo: the old code reads both",
            flagged=False,
            rollback="Simple - nothing to undo",
        ),
        _simple(
            "op.execute(\"UPDATE users SET name = '-' WHERE name IS NULL\")",
            "pass",
            flagged=False,
            rollback="Simple - nothing to undo",
        ),
        _simple("pass", "pass", flagged=False),
    ),
)

"""The rollback is none of Simple, Complex and Requires manual intervention.

What happens: the field Rollback does not begin with one of the three ways.

Why: the way decides what an emergency begins with: Simple is `alembic downgrade`, Complex is that and something by
hand, Requires manual intervention is no downgrade at all. `Easy` or `Possible` decides nothing, for a person and for a
gate.

The safe way: begin with one of them, then say how: `Rollback: Simple - drop the column`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.header_claims import is_placeholder, line_of
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_ONE_OF_THREE = re.compile(r"\W*(?:simple|complex|(?:requires\s+)?manual)\b", re.IGNORECASE)


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for a rollback that begins with none of the three ways."""
    rollback = revision.revision.header.rollback
    if not rollback or is_placeholder(rollback) or _ONE_OF_THREE.match(rollback):
        return
    yield RULE.in_file(
        revision,
        line=line_of(revision.revision, "rollback"),
        what="the rollback begins with none of Simple, Complex and Requires manual intervention: "
        + rollback.splitlines()[0],
        why="one of them decides whether an emergency begins with the downgrade, with more than that, or without it",
        fix="Rollback: Simple, Complex or Requires manual intervention - and how",
    )


def _rollback(text: str, *, flagged: bool) -> Example:
    docstring = f"Add email.\n\nImpact: users gain email.\nRisk: Low - additive.\nRollback: {text}\nTesting: By hand.\n"
    return Example(body="pass", docstring=docstring, flagged=flagged)


RULE = Rule(
    name="hdr-bad-rollback",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    baseline=True,
    examples=(
        _rollback("Easy.", flagged=True),
        _rollback("run the downgrade", flagged=True),
        _rollback("Irreversible", flagged=True),
        _rollback("not so simple", flagged=True),
        _rollback("Simple - drop the column.", flagged=False),
        _rollback("SIMPLE. Run the downgrade, then restart.", flagged=False),
        _rollback("**Complex** (names stay)", flagged=False),
        _rollback("requires manual intervention: restore the backup", flagged=False),
        _rollback("Manual - restore the backup", flagged=False),
    ),
)

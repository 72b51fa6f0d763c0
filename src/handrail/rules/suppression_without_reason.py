"""A suppression gives no reason.

What happens: the comment hides nothing until it says why the finding does not matter here.

Why: the next reader has to know whether the reason still holds.

The safe way: `# handrail: ignore[rule-name] the table has 12 rows`, with `, until 2027-01-31` where it is for a time.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each suppression without a reason."""
    for mark in revision.suppressions:
        if mark.rules and not mark.malformed and not mark.reason:
            yield RULE.in_file(
                revision,
                line=mark.line,
                what=f"the suppression of {', '.join(mark.rules)} gives no reason; it hides nothing",
                why="the next reader has to know whether it still holds",
                fix=f"# handrail: ignore[{', '.join(mark.rules)}] why it does not matter here",
            )


RULE = Rule(
    name="suppression-without-reason",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    after_suppression=True,
    examples=(
        Example(body="# handrail: ignore[not-reviewed]\npass", flagged=True),
        Example(body="# handrail: ignore[not-reviewed] seen by two people\npass", flagged=False),
    ),
)

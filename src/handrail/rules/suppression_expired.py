"""A suppression has expired.

What happens: the date behind `until` has passed: the comment hides nothing any more.

Why: it was meant for a time, and that time is over.

The safe way: do what was put off, or give another date and say why.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each suppression whose date has passed."""
    for mark in revision.suppressions:
        if mark.until is not None and mark.until < facts.today:
            yield RULE.in_file(
                revision,
                line=mark.line,
                what=f"the suppression of {', '.join(mark.rules)} expired on {mark.until}; it hides nothing",
                why="it was meant for a time, and that time is over",
                fix="do what was put off, or give another date and say why",
            )


RULE = Rule(
    name="suppression-expired",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    after_suppression=True,
    examples=(
        Example(body="# handrail: ignore[not-reviewed] for now, until 2020-01-31\npass", flagged=True),
        Example(body="# handrail: ignore[not-reviewed] for now, until 2999-01-31\npass", flagged=False),
    ),
)

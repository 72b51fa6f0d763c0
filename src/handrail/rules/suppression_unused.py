"""A suppression hides nothing.

What happens: no finding of that rule is at the line that the comment stands for.

Why: the code has changed, or the comment stands at another line than the finding. Left there, it would hide the next
finding unseen.

The safe way: remove it, or move it to the line of the finding, the line above, or the file's top.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each suppression that is valid and hid nothing."""
    for mark in revision.suppressions:
        valid = mark.reason and not mark.malformed and (mark.until is None or mark.until >= facts.today)
        if valid and not mark.used and facts.rules.issuperset(mark.rules):
            yield RULE.in_file(
                revision,
                line=mark.line,
                what=f"the suppression of {', '.join(mark.rules)} hides nothing",
                why="no such finding is at the line it stands for",
                fix="remove it, or move it to the line of the finding",
            )


RULE = Rule(
    name="suppression-unused",
    severity=Severity.NOTE,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    after_suppression=True,
    examples=(
        Example(body="# handrail: ignore[not-reviewed] nothing to hide\npass", flagged=True),
        Example(body="raise RuntimeError(1)  # handrail: ignore[not-reviewed] on purpose", flagged=True, fails=True),
        Example(
            body="""
            op.drop_constraint(None, "teams", type_="unique")  # handrail: ignore[fail-unnamed-constraint] on purpose
            """,
            flagged=False,
            fails=True,
            engines=frozenset({"postgresql"}),
        ),
    ),
)

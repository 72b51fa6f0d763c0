"""A suppression names a rule that there is not, or is not understood.

What happens: the comment hides nothing: a typo never widens.

Why: the rule was renamed, or the name is misspelt; `# handrail:` is followed by `ignore[rule-name] reason`.

The safe way: correct the name (`handrail explain` lists the rules), or remove the comment.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each name that is no rule, and for each comment that is not understood."""
    for mark in revision.suppressions:
        for name in mark.rules:
            if name not in facts.rules:
                near = get_close_matches(name, facts.rules, n=1)
                yield RULE.in_file(
                    revision,
                    line=mark.line,
                    what=f"the suppression names {name}, which is no rule; it hides nothing",
                    why="a name that is not known is not guessed",
                    fix=f"did you mean {near[0]}?" if near else "handrail explain lists the rules",
                )
        if mark.malformed:
            yield RULE.in_file(
                revision,
                line=mark.line,
                what=f"the suppression is not understood: {mark.malformed}; it hides nothing",
                why="it is written `# handrail: ignore[rule-name] reason, until 2027-01-31`",
                fix="correct or remove it",
            )


RULE = Rule(
    name="suppression-unknown",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    after_suppression=True,
    examples=(
        Example(body="# handrail: ignore[data-dorp-table] typo\npass", flagged=True),
        Example(body="# handrail: ignroe[not-reviewed] typo\npass", flagged=True),
        Example(body="# handrail: ignore[not-reviewed] a known rule\npass", flagged=False),
    ),
)

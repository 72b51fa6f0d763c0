"""The header of a revision lacks some of its fields.

What happens: the docstring has a header, but not all of purpose (its first line), Impact, Risk, Rollback and
Testing.

Why: the field that is left out is the one its author had no answer to. Who applies the revision needs it.

The safe way: fill in all five. Where there is nothing to say, say why: `Testing: not run; only a comment changes`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.touched import only_joins
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_ASKS = {
    "Purpose": "the first line of the docstring: what changes",
    "Impact": "Impact: which tables change, and who notices",
    "Risk": "Risk: Low, Medium or High - and why",
    "Rollback": "Rollback: Simple, Complex or Requires manual intervention - and how",
    "Testing": "Testing: what was run, on which data",
}


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for a header that lacks fields; a file without any is `hdr-missing`."""
    header = revision.revision.header
    if not header.is_there or only_joins(revision):
        return
    missing = [name for name in _ASKS if not getattr(header, name.lower())]
    if not missing:
        return
    yield RULE.in_file(
        revision,
        what=f"the header does not say {' and '.join(missing)}",
        why="who applies the revision, or has to decide whether to undo it, has only this to go by",
        fix="add to the docstring\n" + "\n".join(_ASKS[name] for name in missing),
    )


_FULL = """Add email field to users table for notifications.

Impact: Users table gains email column (nullable).
Risk: Low - additive change, backward compatible.
Rollback: Simple - drop column.
Testing: Verified with 100 test users, data integrity checked.
"""
_OTHER_SPELLING = """**Purpose**: Add email field to users.

- **Impact**: Users table gains email column (nullable).
- **Risk Level**: Low (additive)
- **Rollback**: Simple
- **Testing**: Verified with 100 test users.
"""

RULE = Rule(
    name="hdr-incomplete",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        Example(
            body="pass", docstring="Add email.\n\nImpact: users gain email.\nRisk: Low - additive.\n", flagged=True
        ),
        Example(body="pass", docstring=_FULL.replace("Rollback: Simple - drop column.\n", ""), flagged=True),
        Example(
            body="pass",
            docstring=_FULL.replace("Verified with 100 test users, data integrity checked.", ""),
            flagged=True,
        ),
        Example(
            body="pass", docstring=_FULL.replace("Add email field to users table for notifications.", ""), flagged=True
        ),
        Example(body="pass", docstring=_FULL, flagged=False),
        Example(body="pass", docstring=_OTHER_SPELLING, flagged=False),
        Example(body="pass", docstring="Add email.", flagged=False),
    ),
)

"""A revision says nothing about impact, risk, rollback and testing.

What happens: the docstring of the revision file has none of the fields Impact, Risk, Rollback and Testing.

Why: whoever runs it at night, or has to decide whether to undo it, reads this header first. What the author knew is
not written down anywhere else.

The safe way: fill in the header, as `handrail new` writes it. A revision that only joins branches, and an empty
first one, need none. Revisions up to `rules_from` are left alone. In a project without
settings of Handrail's it is a note until a revision before it has a header: nobody has agreed to write them yet.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.touched import only_joins
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding where the file has no header at all; a header that lacks some fields is `hdr-incomplete`."""
    header = revision.revision.header
    if header.is_there or only_joins(revision):
        return
    yield RULE.in_file(
        revision,
        what="the revision has no header: nothing is said of impact, risk, rollback and testing",
        why="who applies it, or has to decide whether to undo it, reads the header first",
        fix=f"begin the docstring with\n{header.purpose or 'Purpose in one line.'}\n\n"
        "Impact: which tables change, and who notices\nRisk: Low, Medium or High - and why\n"
        "Rollback: Simple, Complex or Requires manual intervention - and how\nTesting: what was run, on which data",
        severity=None if facts.settled or _agreed(revision, facts) else Severity.NOTE,
    )


def _agreed(revision: ReviewedRevision, facts: RuleFacts) -> bool:
    """Return whether a revision below it has a header: then this one was left without."""
    return any(step.revision in facts.headed for step in revision.earlier)


_HEADER = """Add the teams.

Impact: a new table teams; nothing else changes.
Risk: Low. Nobody uses the table yet.
Rollback: Simple: drop the table.
Testing: upgraded and downgraded on a copy of production.
"""
_ALEMBIC = """add teams

Revision ID: e1
Revises: s0
Create Date: 2026-01-31 10:00:00.000000

"""
_BRANCH = '''"""Another branch."""

revision = "b1"
down_revision = "s0"


def upgrade():
    pass


def downgrade():
    pass
'''

RULE = Rule(
    name="hdr-missing",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        Example(body="pass", docstring="Add the teams.", flagged=True),
        Example(body="pass", docstring=_ALEMBIC, flagged=True),
        Example(body="pass", docstring="", flagged=True),
        Example(body="pass", docstring=_HEADER, flagged=False),
        Example(
            body="pass",
            docstring="Join the branches.",
            flagged=False,
            others=(("b1_another_branch.py", _BRANCH),),
            merges=("b1",),
        ),
    ),
)

"""`downgrade()` only raises, and the header does not say so.

What happens: a rollback stops at this revision with a traceback.

Why: that there is no way back is right for some revisions. It has to be known before the revision is applied, not in
the emergency.

The safe way: say it in the header, `Rollback: Requires manual intervention - restore the backup`, or write the
downgrade.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.downgrade_text import raises_on_purpose
from handrail.model.hazards.header_claims import Rollback, owns_up, rollback_way
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for a downgrade that raises and is not declared; one called simple is `hdr-rollback-mismatch`."""
    header = revision.revision.header
    if not raises_on_purpose(revision) or owns_up(header) or rollback_way(header) is Rollback.SIMPLE:
        return
    yield RULE.in_file(
        revision,
        line=revision.revision.downgrade_line or 1,
        what="downgrade() raises, and the header does not say that there is no way back",
        why="it is found out in the emergency that needs the rollback",
        fix="Rollback: Requires manual intervention - how, in the header; or a downgrade() that undoes upgrade()",
    )


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'
_DECLARED = "Add email.\n\nImpact: users.\nRisk: Low.\nRollback: {}.\nTesting: By hand.\n"
_RAISE = 'raise NotImplementedError("no way back")'


RULE = Rule(
    name="sym-downgrade-raises",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_EMAIL, downgrade=_RAISE, flagged=True, back_fails=True),
        Example(
            given=_GIVEN,
            body=_EMAIL,
            downgrade=_RAISE,
            docstring=_DECLARED.format("Requires manual intervention - restore the backup"),
            flagged=False,
            back_fails=True,
        ),
        Example(
            given=_GIVEN,
            body=_EMAIL,
            downgrade=_RAISE,
            docstring=_DECLARED.format("Irreversible"),
            flagged=False,
            back_fails=True,
        ),
        Example(given=_GIVEN, body=_EMAIL, downgrade=_NO_EMAIL, flagged=False),
    ),
)

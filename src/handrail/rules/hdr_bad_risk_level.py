"""The risk is none of Low, Medium and High.

What happens: the field Risk does not begin with one of the three levels, or leaves several to choose from.

Why: the level decides how careful the rest has to be: Low is additive, Medium depends on the data, High breaks
something. `Moderate` or `Low to High` decides nothing, for a person and for a gate.

The safe way: begin with one level, then say why: `Risk: Medium - fails where emails are not unique`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.header_claims import is_placeholder, line_of, risk_level
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for a risk that names no single level."""
    header = revision.revision.header
    if not header.risk or is_placeholder(header.risk) or risk_level(header) is not None:
        return
    yield RULE.in_file(
        revision,
        line=line_of(revision.revision, "risk"),
        what=f"the risk begins with none of Low, Medium and High: {header.risk.splitlines()[0]}",
        why="Low is additive, Medium depends on the data, High breaks something; one of them decides what is needed",
        fix="Risk: Low, Medium or High - and why",
    )


def _risk(text: str, *, flagged: bool) -> Example:
    docstring = (
        f"Add email.\n\nImpact: users gain email.\nRisk: {text}\nRollback: Simple - drop it.\nTesting: By hand.\n"
    )
    return Example(body="pass", docstring=docstring, flagged=flagged)


RULE = Rule(
    name="hdr-bad-risk-level",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        _risk("Moderate - locks the table.", flagged=True),
        _risk("Low to medium, depends.", flagged=True),
        _risk("Low (additive) / Medium (data-dependent) / High (breaking)", flagged=True),
        _risk("Low-Medium", flagged=True),
        _risk("none", flagged=True),
        _risk("additive change, backward compatible", flagged=True),
        _risk("3", flagged=True),
        _risk("Low - additive change, backward compatible.", flagged=False),
        _risk("MEDIUM: fails where emails are not unique", flagged=False),
        _risk("**High** (breaking)", flagged=False),
        _risk("Low. High load was tried.", flagged=False),
        _risk("Low - non-high tables only.", flagged=False),
    ),
)

"""The database stands at the revision it is expected at.

What happens: the rows of Alembic's version table are compared with the heads of the project's files, or with the
revision asked for.

Why: a deployed application expects the schema of its revision; a database behind it fails at the first query.

The safe way: `handrail apply`, or `handrail verify --at REVISION` when an older revision is meant.
"""

from __future__ import annotations

from handrail.model.check import Check, CheckFacts
from handrail.model.run import Judgement
from handrail.model.verdict import Unsupported, Verdict


def judge(facts: CheckFacts) -> Judgement:
    """PASS when the version table holds exactly the expected rows, UNKNOWN when it may not be read."""
    if isinstance(facts.heads, Unsupported):
        return Judgement(name=CHECK.name, verdict=Verdict.UNKNOWN, reason=facts.heads.reason)
    at, expected = _names(facts.heads), _names(facts.expected_heads)
    if set(facts.heads) == set(facts.expected_heads):
        return Judgement(name=CHECK.name, verdict=Verdict.PASS, reason=f"at {at}")
    return Judgement(name=CHECK.name, verdict=Verdict.FAIL, reason=f"at {at}, expected {expected}")


def _names(heads: tuple[str, ...]) -> str:
    return ", ".join(heads) or "base"


CHECK = Check(name="revision-at-head", judge=judge, drift=True, looks_at=frozenset())

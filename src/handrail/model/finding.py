"""What a rule reports about one revision."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.model.operation import Place
from handrail.model.revision import Direction
from handrail.model.verdict import Confidence, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One hazard: what would happen, why, and what to write instead, filled with the user's own names.

    `revision` is '' for what is wrong with the whole history, `direction` None for what is about the whole file.
    """

    rule: str
    severity: Severity
    confidence: Confidence
    revision: str
    direction: Direction | None
    place: Place | None
    what: str
    why: str
    fix: str

"""What a rule reports about one revision."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handrail.model.estimate import Estimate
from handrail.model.operation import Place
from handrail.model.revision import Direction
from handrail.model.verdict import Confidence, Severity
from handrail.model.violation import Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One hazard: what would happen, why, and what to write instead, filled with the user's own names.

    `revision` is '' for what is wrong with the whole history, `direction` None for what is about the whole file.
    `statement` is the number of the statement in its step, None for what is about none; `subject` table and columns
    whose rows decide whether the finding is right.

    What a database adds: `counted` says which rows break it, `estimate` how long others would wait, `dependants` what
    CASCADE would take, None where that was not looked up.
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
    statement: int | None = None
    subject: tuple[str, ...] = ()
    counted: tuple[Counted, ...] = ()
    estimate: Estimate | None = None
    dependants: tuple[str, ...] | None = None

    def with_counted(self, counted: Counted) -> Finding:
        """Return the finding with the rows that it is about."""
        return replace(self, counted=(counted,))

"""All that was found out about versions and revisions: the matrix, statements that were replayed, tests that ran."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.model.matrix import Matrix
from handrail.model.query import QueryAnswers
from handrail.model.suite import SuiteRun
from handrail.model.verdict import Verdict

_WORST_FIRST = (Verdict.FAIL, Verdict.UNKNOWN, Verdict.WARN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Compatibility:
    """What was asked for; what was not is None, or empty."""

    matrix: Matrix | None = None
    queries: QueryAnswers | None = None
    suites: tuple[SuiteRun, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """The worst of them, PASS where there is nothing else."""
        parts = [part.verdict for part in (self.matrix, self.queries, *self.suites) if part is not None]
        return next((verdict for verdict in _WORST_FIRST if verdict in parts), Verdict.PASS)

"""The times in which a version does not work: from the revision that breaks it until the one that heals it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

from handrail.model.matrix import Cell, Matrix, Result, Trial, worst


@dataclass(frozen=True, slots=True, kw_only=True)
class Break:
    """What one operation of the revision `since` takes from a version, `until` the one that heals it ('' for none)."""

    version: str
    since: str
    until: str
    operation: str
    trials: tuple[Trial, ...]

    @property
    def result(self) -> Result:
        """The worst of them."""
        return worst(trial.result for trial in self.trials)


def breaks(matrix: Matrix) -> tuple[Break, ...]:
    """Return every break, in the order in which they begin; what is unknown is one too."""
    found: dict[tuple[str, str, str, str], dict[Trial, None]] = {}
    for cell in matrix.cells():
        for trouble in cell.troubles:
            key = (cell.version, trouble.since, trouble.healed_by, trouble.operation)
            found.setdefault(key, {})[trouble.trial] = None
    return tuple(
        Break(version=version, since=since, until=until, operation=operation, trials=_ordered(trials))
        for (version, since, until, operation), trials in found.items()
    )


def opening(matrix: Matrix) -> frozenset[tuple[str, str]]:
    """Return the cells, as version and revision, at which a break begins."""
    return frozenset((c.version, c.revision) for c in matrix.cells() if any(t.since == c.revision for t in c.troubles))


def closing(matrix: Matrix) -> frozenset[tuple[str, str]]:
    """Return the cells at which a break of the row above is over."""
    pairs = (pair for above, row in pairwise(matrix.rows) for pair in zip(above.cells, row.cells, strict=True))
    return frozenset((now.version, now.revision) for above, now in pairs if _closes(above, now))


def _closes(above: Cell, now: Cell) -> bool:
    return now.judged and any(t.healed_by == now.revision for t in above.troubles)


def _ordered(trials: dict[Trial, None]) -> tuple[Trial, ...]:
    return tuple(sorted(trials, key=lambda trial: trial.result.place))

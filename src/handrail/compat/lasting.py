"""How long something does not work: where it began, what hid it for a while, and where it is over."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from handrail.model.matrix import Trial


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A trial of a version, the place in what was seen at which it began, and whether it may have been hidden there.

    `trial` is what was seen at that place; later the limits in its message may be others.
    """

    version: str
    trial: Trial
    place: int
    hidden_before: bool = False


class Failing:
    """What does not work at one revision with one version, in an order that is asked quickly."""

    def __init__(self, trials: Sequence[Trial]) -> None:
        self.trials = tuple(trials)
        self.unmeasured = tuple(trial.unmeasured for trial in trials)
        self._all = frozenset(self.unmeasured)
        self._by_table: dict[str, list[Trial]] = {}
        for trial in self.unmeasured:
            self._by_table.setdefault(trial.table, []).append(trial)

    def hides(self, trial: Trial) -> bool:
        """Return whether something else about the same table keeps that unmeasured trial from being seen."""
        return any(
            other != trial
            and (other.result.place < trial.result.place or (other.result is trial.result and not other.column))
            for other in self._by_table.get(trial.table, ())
        )

    def without(self, trial: Trial) -> bool:
        """Return whether that unmeasured trial is over here: neither seen nor hidden."""
        return trial not in self._all and not self.hides(trial)


def beginnings(version: str, rows: Sequence[Failing]) -> list[tuple[Beginning, ...]]:
    """Return at each revision what does not work there, with where each began.

    What worse trouble of the same table hides for a while goes on meanwhile.
    """
    result: list[tuple[Beginning, ...]] = []
    since: dict[Trial, Beginning] = {}
    before = Failing(())
    for place, now in enumerate(rows):
        since = {trial: begun for trial, begun in since.items() if not now.without(trial)}
        for trial, bare in zip(now.trials, now.unmeasured, strict=True):
            if bare not in since:
                since[bare] = Beginning(version=version, trial=trial, place=place, hidden_before=before.hides(bare))
        result.append(tuple(since[bare] for bare in now.unmeasured))
        before = now
    return result


def endings(rows: Sequence[Failing]) -> list[tuple[int | None, ...]]:
    """Return at each revision, for each trial there, the next place at which it is over, None where there is none."""
    return list(_endings(rows))[::-1]


def _endings(rows: Sequence[Failing]) -> Iterator[tuple[int | None, ...]]:
    """Yield them from the last revision to the first, so that each is looked at once."""
    known = {bare for row in rows for bare in row.unmeasured}
    over: dict[Trial, int] = {}
    for place in range(len(rows) - 1, -1, -1):
        yield tuple(over.get(bare) for bare in rows[place].unmeasured)
        over.update(dict.fromkeys((bare for bare in known if rows[place].without(bare)), place))

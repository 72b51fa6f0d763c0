"""Puts what was seen together as a matrix: since when something fails, why, and what heals it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from handrail.compat.board import Seen
from handrail.compat.cause import Certainty, operation, operation_of
from handrail.compat.tracing import Looks
from handrail.model.contract import AppVersion
from handrail.model.matrix import Cell, Matrix, Result, Row, Trial, Trouble, worst
from handrail.model.operation import Reading, RecordedRevision, Statement

Recorded = Callable[[str], RecordedRevision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """A trial of a version, the place in what was seen at which it began, and whether it may have been hidden there.

    `trial` is what was seen at that place; later the limits in its message may be others.
    """

    version: str
    trial: Trial
    place: int
    hidden_before: bool = False


@dataclass(slots=True, kw_only=True)
class Assembly:
    """What was seen, revision by revision, with what revisions do and the looks between their statements.

    `causes` are the revision and operation of what began at a place, for a version; those that are known already stay.
    """

    versions: tuple[AppVersion, ...]
    seen: tuple[Seen, ...]
    recorded: Recorded
    looks: Looks = field(default_factory=dict)
    causes: dict[tuple[str, Trial, int], tuple[str, str]] = field(default_factory=dict)

    def unclear(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """Return the tables of each version to look at between the statements of each revision with several."""
        found: dict[str, dict[str, set[str]]] = {}
        for version in self.versions:
            for begun in {each for row in self._begun(version.name) for each in row}:
                revision = self.seen[begun.place].revision.id
                known = (version.name, begun.trial, begun.place) in self.causes
                if not known and not begun.hidden_before and _only(self.recorded(revision)) is None:
                    tables = found.setdefault(revision, {}).setdefault(version.name, set())
                    tables.add(begun.trial.table)
        return {r: {v: frozenset(tables) for v, tables in by.items()} for r, by in found.items()}

    def matrix(self) -> Matrix:
        """Return the matrix."""
        columns = {version.name: self._troubles(version.name) for version in self.versions}
        rows = tuple(
            Row(
                revision=each.revision.id,
                title=each.revision.title,
                cells=tuple(_cell(v.name, each, columns[v.name][place]) for v in self.versions),
            )
            for place, each in enumerate(self.seen)
        )
        return Matrix(
            versions=tuple(v.name for v in self.versions),
            rows=rows,
            alike=_alike(self.versions),
            exercised=sum(each.exercised for each in self.seen),
        )

    def _troubles(self, version: str) -> list[tuple[Trouble, ...]]:
        """Return the troubles of a version at each revision."""
        return [
            tuple(
                self._trouble(begun, trial, place)
                for begun, trial in zip(row, each.trials.get(version, ()), strict=True)
            )
            for place, (row, each) in enumerate(zip(self._begun(version), self.seen, strict=True))
        ]

    def _begun(self, version: str) -> list[tuple[Beginning, ...]]:
        """Return at each revision what does not work there, with where each began.

        What worse trouble of the same table hides for a while goes on meanwhile.
        """
        result: list[tuple[Beginning, ...]] = []
        since: dict[Trial, Beginning] = {}
        before: tuple[Trial, ...] = ()
        for place, each in enumerate(self.seen):
            now = each.trials.get(version, ())
            since = {t: b for t, b in since.items() if not _over(now, t)}
            for trial in now:
                if trial.unmeasured not in since:
                    since[trial.unmeasured] = Beginning(
                        version=version, trial=trial, place=place, hidden_before=hides(before, trial)
                    )
            result.append(tuple(since[trial.unmeasured] for trial in now))
            before = now
        return result

    def _trouble(self, begun: Beginning, trial: Trial, place: int) -> Trouble:
        later = self.seen[place + 1 :]
        over = (each for each in later if _over(each.trials.get(begun.version, ()), trial))
        healed = next((each.revision.id for each in over), "")
        key = (begun.version, begun.trial, begun.place)
        if key not in self.causes:
            self.causes[key] = self._cause(begun)
        since, told = self.causes[key]
        return Trouble(trial=trial, since=since, operation=told, healed_by=healed)

    def _cause(self, begun: Beginning) -> tuple[str, str]:
        """Return the revision and the operation that made it stop working."""
        trial, since = begun.trial, self.seen[begun.place].revision.id
        if begun.hidden_before:
            place = begun.place
            while place >= 0 and (place == begun.place or hides(self._trials(begun.version, place), trial)):
                earlier = self.seen[place].revision.id
                told = operation(trial, self.recorded(earlier), Certainty.NAMED)
                if told:
                    return earlier, told
                place -= 1
        first = begun.place == 0 or begun.version not in self.seen[begun.place - 1].trials
        if first:
            return since, operation(trial, self.recorded(since), Certainty.NAMED)
        read = self.recorded(since)
        looks = self.looks.get(since, ())
        only = _only(read)
        if only is not None:
            return since, operation_of(read, only.sql, 0)
        if looks and all(look.seen for look in looks):
            last = len(looks)
            while last and trial in looks[last - 1].trials.get(begun.version, frozenset()):
                last -= 1
            if last < len(looks):
                return since, operation_of(read, looks[last].sql, last)
        return since, operation(trial, read, Certainty.LIKELY)

    def _trials(self, version: str, place: int) -> tuple[Trial, ...]:
        return self.seen[place].trials.get(version, ())


def _only(read: RecordedRevision) -> Statement | None:
    """Return the one statement that the revision sends, None where there are others or may be."""
    own = read.own_statements
    return own[0] if len(own) == 1 and read.reading is Reading.EXACT else None


def hides(now: tuple[Trial, ...], trial: Trial) -> bool:
    """Return whether something else about the same table keeps that trial from being seen."""
    return any(
        other.table == trial.table
        and other.unmeasured != trial.unmeasured
        and (other.result.place < trial.result.place or (other.result is trial.result and not other.column))
        for other in now
    )


def _over(now: tuple[Trial, ...], trial: Trial) -> bool:
    return all(other.unmeasured != trial.unmeasured for other in now) and not hides(now, trial)


def _cell(version: str, seen: Seen, troubles: tuple[Trouble, ...]) -> Cell:
    if version not in seen.trials:
        return Cell(version=version, revision=seen.revision.id, result=Result.UNKNOWN, judged=False)
    result = worst(t.trial.result for t in troubles)
    ordered = tuple(sorted(troubles, key=lambda t: t.trial.result.place))
    foreseen = worst(t.result for t in seen.foreseen.get(version, ()))
    return Cell(version=version, revision=seen.revision.id, result=result, troubles=ordered, predicted=foreseen)


def _alike(versions: tuple[AppVersion, ...]) -> tuple[tuple[str, ...], ...]:
    groups: dict[str, list[str]] = {}
    for version in versions:
        groups.setdefault(version.digest, []).append(version.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)

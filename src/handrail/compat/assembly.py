"""Puts what was seen together as a matrix: since when something fails, why, and what heals it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from handrail.compat.board import Seen
from handrail.compat.cause import Certainty, operation, operation_of, suspect
from handrail.compat.lasting import Beginning, Failing, beginnings, endings
from handrail.compat.tracing import Looks
from handrail.model.contract import AppVersion
from handrail.model.matrix import Cell, Matrix, Result, Row, Trial, Trouble, worst
from handrail.model.operation import Reading, RecordedRevision, Statement

Recorded = Callable[[str], RecordedRevision]


@dataclass(slots=True, kw_only=True)
class Assembly:
    """What was seen, revision by revision, with what revisions do and the looks between their statements.

    `causes` are the revision and operation of what began at a place, for a version; those that are known already stay.
    `failing` is what each version cannot do, revision by revision, once it was asked for.
    """

    versions: tuple[AppVersion, ...]
    seen: tuple[Seen, ...]
    recorded: Recorded
    looks: Looks = field(default_factory=dict)
    causes: dict[tuple[str, Trial, int], tuple[str, str]] = field(default_factory=dict)
    failing: dict[str, tuple[Failing, ...]] = field(default_factory=dict)

    def unclear(self) -> Mapping[str, Mapping[str, frozenset[str]]]:
        """Return the tables of each version to look at between the statements of each revision with several."""
        found: dict[str, dict[str, set[str]]] = {}
        for version in self.versions:
            for begun in {each for row in beginnings(version.name, self._failing(version.name)) for each in row}:
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

    def _failing(self, version: str) -> tuple[Failing, ...]:
        """Return what does not work with a version at each revision."""
        if version not in self.failing:
            self.failing[version] = tuple(Failing(each.trials.get(version, ())) for each in self.seen)
        return self.failing[version]

    def _troubles(self, version: str) -> list[tuple[Trouble, ...]]:
        """Return the troubles of a version at each revision."""
        rows = self._failing(version)
        return [
            tuple(self._trouble(*each) for each in zip(began, row.trials, ended, strict=True))
            for began, row, ended in zip(beginnings(version, rows), rows, endings(rows), strict=True)
        ]

    def _trouble(self, begun: Beginning, trial: Trial, ended: int | None) -> Trouble:
        key = (begun.version, begun.trial, begun.place)
        if key not in self.causes:
            self.causes[key] = self._cause(begun)
        since, told = self.causes[key]
        healed = "" if ended is None else self.seen[ended].revision.id
        return Trouble(trial=trial, since=since, operation=told, healed_by=healed)

    def _cause(self, begun: Beginning) -> tuple[str, str]:
        """Return the revision and the operation that made it stop working."""
        trial, since = begun.trial, self.seen[begun.place].revision.id
        if begun.hidden_before:
            score, earlier, told = max(self._suspects(begun), key=lambda each: each[0])  # of equals the last revision's
            if score >= Certainty.NAMED.value:
                return earlier, told
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

    def _suspects(self, begun: Beginning) -> Iterator[tuple[int, str, str]]:
        """Yield what may have made it stop working while it was hidden, from the last revision to the first."""
        rows, bare, place = self._failing(begun.version), begun.trial.unmeasured, begun.place
        while place >= 0 and (place == begun.place or rows[place].hides(bare)):
            revision = self.seen[place].revision.id
            score, told = suspect(begun.trial, self.recorded(revision))
            yield score, revision, told
            place -= 1


def _only(read: RecordedRevision) -> Statement | None:
    """Return the one statement that the revision sends, None where there are others or may be."""
    own = read.own_statements
    return own[0] if len(own) == 1 and read.reading is Reading.EXACT else None


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

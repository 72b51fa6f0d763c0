"""Puts what was seen together as a matrix: since when something fails, why, and what heals it."""

from __future__ import annotations

from collections.abc import Callable

from handrail.compat.board import Seen
from handrail.compat.cause import operation
from handrail.model.contract import AppVersion
from handrail.model.matrix import Cell, Matrix, Result, Row, Trial, Trouble, worst
from handrail.model.operation import RecordedRevision

Recorded = Callable[[str], RecordedRevision | None]


def matrix(versions: tuple[AppVersion, ...], seen: tuple[Seen, ...], recorded: Recorded) -> Matrix:
    """Return the matrix. `recorded` reads a revision; it is asked for those that began or ended something."""
    troubles = {version.name: _troubles(version.name, seen, recorded) for version in versions}
    rows = []
    for place, each in enumerate(seen):
        cells = tuple(_cell(v.name, each, troubles[v.name][place]) for v in versions)
        rows.append(Row(revision=each.revision.id, title=each.revision.title, cells=cells))
    return Matrix(
        versions=tuple(v.name for v in versions),
        rows=tuple(rows),
        alike=_alike(versions),
        exercised=sum(each.exercised for each in seen),
    )


def _cell(version: str, seen: Seen, troubles: tuple[Trouble, ...]) -> Cell:
    if version not in seen.trials:
        return Cell(version=version, revision=seen.revision.id, result=Result.UNKNOWN, judged=False)
    result = worst(t.trial.result for t in troubles)
    ordered = tuple(sorted(troubles, key=lambda t: t.trial.result.place))
    return Cell(version=version, revision=seen.revision.id, result=result, troubles=ordered)


def _troubles(version: str, seen: tuple[Seen, ...], recorded: Recorded) -> list[tuple[Trouble, ...]]:
    """Return the troubles of a version at each revision."""
    result: list[tuple[Trouble, ...]] = []
    since: dict[Trial, str] = {}
    for place, each in enumerate(seen):
        now = each.trials.get(version, ())
        since = {trial: since.get(trial, each.revision.id) for trial in now}
        result.append(tuple(_trouble(version, trial, since[trial], seen[place + 1 :], recorded) for trial in now))
    return result


def _trouble(version: str, trial: Trial, since: str, later: tuple[Seen, ...], recorded: Recorded) -> Trouble:
    healed = next((each.revision.id for each in later if trial not in each.trials.get(version, ())), "")
    read = recorded(since)
    return Trouble(trial=trial, since=since, operation=operation(trial, read) if read else "", healed_by=healed)


def _alike(versions: tuple[AppVersion, ...]) -> tuple[tuple[str, ...], ...]:
    groups: dict[str, list[str]] = {}
    for version in versions:
        groups.setdefault(version.digest, []).append(version.name)
    return tuple(tuple(names) for names in groups.values() if len(names) > 1)

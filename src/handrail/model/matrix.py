"""What becomes of each version of the application at each revision."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import Enum

from handrail.model.sighting import Deployment
from handrail.model.verdict import Verdict

_LIMIT = re.compile(r"\([\d, ]+\)")


class Result(Enum):
    """What a version can no longer do, or that it works; in this order the first one is a cell's."""

    READ_FAILS = "read fails"
    WRITE_FAILS = "write fails"
    MINIMAL_INSERT_FAILS = "minimal insert fails"
    DELETE_FAILS = "delete fails"
    UNKNOWN = "unknown"
    WORKS = "works"

    @property
    def broken(self) -> bool:
        """Whether the version fails."""
        return self not in {Result.UNKNOWN, Result.WORKS}

    @property
    def place(self) -> int:
        """Its place in the order, 0 for the worst."""
        return list(Result).index(self)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What exercising one table showed: the result, the server's message or the reason, and the column where known.

    `denied` is whether only a right was missing.
    """

    result: Result
    table: str
    column: str = ""
    message: str = ""
    denied: bool = False

    @property
    def unmeasured(self) -> Trial:
        """The trial without the limits that its message names: that one moves ends no trouble and begins no other."""
        bare = _LIMIT.sub("()", self.message) if "(" in self.message else self.message
        return self if bare == self.message else replace(self, message=bare)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """A trial that did not work, in the time it lasts.

    `since` is the revision at which it began; `operation` the operation of that revision which caused it. `healed_by`
    is the first revision at which it is over, '' where none is.
    """

    trial: Trial
    since: str
    operation: str = ""
    healed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One version at one revision. `judged` is False where the two never meet; nothing is known of that.

    `predicted` is what contract and schema alone say, UNKNOWN where they do not.
    """

    version: str
    revision: str
    result: Result = Result.WORKS
    troubles: tuple[Trouble, ...] = ()
    judged: bool = True
    predicted: Result = Result.UNKNOWN


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One revision with its cell for each version, in the order of the matrix's versions."""

    revision: str
    title: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """Version by revision. `alike` names versions whose contracts are equal; `exercised` counts what was executed.

    `executed` is False where all is prediction; `reason` says why it could not be executed, '' where nobody asked for
    it. `kept` counts the cells that were taken from the last time.
    """

    versions: tuple[str, ...]
    rows: tuple[Row, ...]
    alike: tuple[tuple[str, ...], ...] = ()
    exercised: int = 0
    executed: bool = True
    reason: str = ""
    kept: int = 0

    def cells(self) -> Iterator[Cell]:
        """Yield every cell that can occur, revision by revision."""
        for row in self.rows:
            yield from (cell for cell in row.cells if cell.judged)

    @property
    def verdict(self) -> Verdict:
        """FAIL where a version breaks, UNKNOWN where one could not be exercised or not as asked for, else PASS."""
        results = {cell.result for cell in self.cells()}
        if any(result.broken for result in results):
            return Verdict.FAIL
        return Verdict.UNKNOWN if Result.UNKNOWN in results or not results or self.reason else Verdict.PASS

    @property
    def decided(self) -> int:
        """How many cells are predicted."""
        return sum(cell.predicted is not Result.UNKNOWN for cell in self.cells())


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatFacts:
    """What the gate may know: the deployed versions, and the matrix of the plan's revisions, or why there is none.

    `deployments` tells of the versions that break who answers for them and when they were last seen.
    """

    versions: tuple[str, ...] = ()
    deployments: tuple[Deployment, ...] = ()
    matrix: Matrix | None = None
    reason: str = ""


def begun_in(matrix: Matrix, revisions: frozenset[str]) -> Matrix:
    """Return the rows of those revisions, with only what begins to fail at one of them."""
    rows = (row for row in matrix.rows if row.revision in revisions)
    begun = (replace(row, cells=tuple(_begun(cell, revisions) for cell in row.cells)) for row in rows)
    return replace(matrix, rows=tuple(begun))


def _begun(cell: Cell, revisions: frozenset[str]) -> Cell:
    troubles = tuple(t for t in cell.troubles if t.since in revisions)
    return replace(cell, troubles=troubles, result=worst(t.trial.result for t in troubles)) if cell.judged else cell


def worst(results: Iterable[Result]) -> Result:
    """Return the one that is a cell's; WORKS where there is none."""
    return min(results, key=lambda result: result.place, default=Result.WORKS)


def breaking(matrix: Matrix) -> tuple[str, ...]:
    """Return one line for each thing that breaks versions: them, table, column, operation and reason."""
    versions: dict[str, dict[str, None]] = {}
    for cell in matrix.cells():
        for trouble in cell.troubles:
            if trouble.trial.result is cell.result and cell.result is not Result.WORKS:
                versions.setdefault(_described(trouble), {})[cell.version] = None
    return tuple(f"{', '.join(names)}: {told}" for told, names in versions.items())


def _described(trouble: Trouble) -> str:
    trial = trouble.trial
    where = f"{trial.table}.{trial.column}" if trial.column else trial.table
    told = f"{trial.result.value} on {where} since {trouble.since}"
    if trouble.operation:
        told += f" ({trouble.operation})"
    if trouble.healed_by:
        told += f" until {trouble.healed_by}"
    return f"{told}: {trial.message}" if trial.message else told

"""The matrix of some versions, executed: the history is replayed with a watcher, as often as there is need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from typing import TypeVar

from handrail.compat import acting
from handrail.compat.assembly import Assembly
from handrail.compat.board import Board, Found, Learnt, Seen
from handrail.compat.kept_cells import BrokenBy, Kept, KeptCell
from handrail.compat.tracing import Tracer
from handrail.errors import HistoryBroken
from handrail.flows import expected, planning
from handrail.flows.ports import Ports
from handrail.history.recording import memory, record
from handrail.host.cache import Cache
from handrail.model.contract import AppVersion
from handrail.model.matrix import Matrix
from handrail.model.needs import Needs
from handrail.model.operation import RecordedRevision
from handrail.model.revision import Direction, Revision
from handrail.model.verdict import Unsupported

T = TypeVar("T")
Pair = tuple[AppVersion, str]


class Execution:
    """Replays of one history in sandboxes with those needs. `role` is the application's, '' where it is our own."""

    def __init__(self, ports: Ports, versions: tuple[AppVersion, ...], needs: Needs, role: str) -> None:
        self._ports, self._versions, self._role = ports, versions, role
        self._needs = acting.needing(needs, role)
        self._learnt = Learnt()
        self._order: tuple[Revision, ...] = ()
        with suppress(HistoryBroken):  # the replay says so
            self._order = tuple(r for r, _ in planning.way_up(ports.graph, (), ports.graph.heads)[0])

    def matrix(self, *, every_pair: bool, cache: Cache, since: bool) -> Matrix | Unsupported:
        """Return the matrix, or why it cannot be had.

        What was seen is kept in the cache; what was kept the last time and still holds is taken over with `since`.
        """
        kept = self._kept(cache)
        pairs = tuple(self._pairs(every_pair=every_pair))
        known = {(v.name, r): cell for v, r in pairs if since and (cell := kept.cell(v, r)) is not None}
        seen = self._seen(pairs, known, every_pair=every_pair)
        if isinstance(seen, Unsupported):
            return seen
        assembly = Assembly(versions=self._versions, seen=seen, recorded=_Reader(self._ports, self._needs).read)
        for place, each in enumerate(seen):
            for version in each.trials:
                for cause in known[version, each.revision.id].causes if (version, each.revision.id) in known else ():
                    assembly.causes[version, cause.trial, place] = (cause.since, cause.operation)
        unclear = assembly.unclear()
        if unclear:
            looks = self._replayed(lambda: self._tracer(unclear))
            assembly.looks = {} if isinstance(looks, Unsupported) else looks
        found = replace(assembly.matrix(), kept=len(known))
        kept.keep(self._cells(assembly))
        return found

    def _seen(
        self, pairs: tuple[Pair, ...], known: Mapping[tuple[str, str], KeptCell], *, every_pair: bool
    ) -> tuple[Seen, ...] | Unsupported:
        cells = {key: Found(trials=cell.trials, foreseen=cell.foreseen) for key, cell in known.items()}
        unfinished = frozenset(v.name for v, r in pairs if (v.name, r) not in known)
        if pairs and not unfinished:
            return tuple(self._remembered(pairs, known))
        seen = self._replayed(lambda: self._board(cells, unfinished, everywhere=False))
        if every_pair and not isinstance(seen, Unsupported):
            seen = self._replayed(lambda: self._board(cells, unfinished, everywhere=True))
        return seen

    def _remembered(self, pairs: tuple[Pair, ...], known: Mapping[tuple[str, str], KeptCell]) -> Iterator[Seen]:
        for revision in self._order:
            cells = {v.name: known[v.name, r] for v, r in pairs if r == revision.id}
            if cells:
                trials = {name: cell.trials for name, cell in cells.items()}
                yield Seen(
                    revision=revision, trials=trials, foreseen={name: cell.foreseen for name, cell in cells.items()}
                )

    def _pairs(self, *, every_pair: bool) -> Iterator[Pair]:
        """Yield what is judged: versions with the revisions that they can meet."""
        applied: set[str] = set()
        for revision in self._order:
            applied.add(revision.id)
            for version in self._versions:
                if every_pair or applied.issuperset(version.revisions):
                    yield version, revision.id

    def _kept(self, cache: Cache) -> Kept:
        met = list(self._pairs(every_pair=False))
        project = self._ports.project
        env_py = project.env_py.read_bytes().hex() if project.env_py.is_file() else ""
        return Kept(
            cache=cache,
            place=str(project.root),
            context=(
                *memory.tools(),
                self._ports.engine.url.drivername,
                repr(self._needs),
                self._role,
                self._ports.version_table,
                env_py,
            ),
            order=self._order,
            homes={version.name: revision for version, revision in reversed(met)},
        )

    def _cells(self, assembly: Assembly) -> dict[Pair, KeptCell]:
        versions = {version.name: version for version in self._versions}
        return {
            (versions[name], each.revision.id): KeptCell(
                trials=trials,
                foreseen=each.foreseen.get(name, ()),
                causes=tuple(
                    BrokenBy(trial=trial, since=since, operation=told)
                    for (version, trial, at), (since, told) in assembly.causes.items()
                    if version == name and at == place
                ),
            )
            for place, each in enumerate(assembly.seen)
            for name, trials in each.trials.items()
        }

    def _replayed(self, begin: Callable[[], expected.Watcher[T]]) -> T | Unsupported:
        return expected.replayed(self._ports, self._ports.graph.heads, needs=self._needs, begin=begin)

    def _board(self, cells: Mapping[tuple[str, str], Found], unfinished: frozenset[str], *, everywhere: bool) -> Board:
        return Board(
            versions=self._versions,
            applied=self._ports.graph.applied,
            version_table=self._ports.version_table,
            role=self._role,
            everywhere=everywhere,
            learnt=self._learnt,
            kept=cells,
            unfinished=unfinished,
        )

    def _tracer(self, wanted: Mapping[str, Mapping[str, frozenset[str]]]) -> Tracer:
        return Tracer(
            versions={version.name: version for version in self._versions},
            wanted=wanted,
            version_table=self._ports.version_table,
            role=self._role,
            learnt=self._learnt,
        )


class _Reader:
    """Records revisions when they are asked for, each once."""

    def __init__(self, ports: Ports, needs: Needs) -> None:
        self._ports, self._needs = ports, needs
        self._read: dict[str, RecordedRevision] = {}

    def read(self, revision: str) -> RecordedRevision:
        """Return what that revision does."""
        if revision not in self._read:
            [self._read[revision]] = record.record(
                planning.basis(self._ports, self._needs.server_major),
                [(self._ports.graph.revisions[revision], Direction.UPGRADE)],
            )
        return self._read[revision]

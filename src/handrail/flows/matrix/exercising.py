"""The matrix of some versions, executed: the history is replayed with a watcher, as often as there is need."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import TypeVar

from sqlalchemy import Connection, make_url

from handrail.compat import acting
from handrail.compat.assembly import Assembly
from handrail.compat.board import Board, Found, Learnt, Seen
from handrail.compat.kept_cells import BrokenBy, Kept, KeptCell
from handrail.compat.tracing import Tracer
from handrail.engines.base import Purpose
from handrail.errors import HistoryBroken
from handrail.flows.ports import Ports
from handrail.flows.standing import expected, planning
from handrail.history.recording import memory, record
from handrail.host.cache import NO_CACHE, Cache
from handrail.host.urls import resolve
from handrail.model.contract import AppVersion
from handrail.model.matrix import Matrix
from handrail.model.needs import Needs
from handrail.model.operation import RecordedRevision
from handrail.model.revision import Direction, Revision
from handrail.model.verdict import Unsupported

T = TypeVar("T")
Pair = tuple[AppVersion, str]

_NOTHING = Found(trials=())
_NO_TABLES: Mapping[str, frozenset[str]] = {}


def executed(
    ports: Ports,
    versions: tuple[AppVersion, ...],
    *,
    every_pair: bool = False,
    cache: Cache = NO_CACHE,
    since: bool = False,
    wanted: frozenset[str] | None = None,
) -> Matrix | Unsupported:
    """Return the matrix of those versions at the revisions `wanted`, None for all, or why it cannot be had.

    Reads the database once, to be like it. What was seen is kept in the cache; what was kept the last time and still
    holds is taken over with `since`.
    """
    with ports.engine.connect(Purpose.READ) as conn:
        needs = ports.engine.needs(conn)
        role = _application_role(ports, conn)
    return Execution(ports, versions, needs, role).matrix(
        every_pair=every_pair, cache=cache, since=since, wanted=wanted
    )


def _application_role(ports: Ports, conn: Connection) -> str:
    """Return the role that the application connects as, '' where it is the one that migrates, or a superuser."""
    environment = ports.environment
    if not environment.migration_url:
        return ""
    url = make_url(resolve(environment.url, environment=environment.name, root=ports.settings.root))
    name = url.username or ""
    return name if name != ports.engine.url.username and ports.engine.trials.ordinary(conn, name) else ""


class Execution:
    """Replays of one history in sandboxes with those needs. `role` is the application's, '' where it is our own."""

    def __init__(self, ports: Ports, versions: tuple[AppVersion, ...], needs: Needs, role: str) -> None:
        self._ports, self._versions, self._role = ports, versions, role
        self._needs = acting.needing(needs, role)
        self._learnt = Learnt()
        self._order: tuple[Revision, ...] = ()
        with suppress(HistoryBroken):  # the replay says so
            self._order = tuple(r for r, _ in planning.way_up(ports.graph, (), ports.graph.heads)[0])

    def matrix(
        self, *, every_pair: bool, cache: Cache, since: bool, wanted: frozenset[str] | None
    ) -> Matrix | Unsupported:
        """Return the rows of those revisions, all where None, or why they cannot be had.

        What was seen is kept in the cache; what was kept the last time and still holds is taken over with `since`.
        """
        kept = self._kept(cache)
        rows = None if since else wanted  # what is taken over was seen at every revision
        pairs = tuple(self._pairs(every_pair=every_pair, wanted=rows))
        known = {(v.name, r): cell for v, r in pairs if since and (cell := kept.cell(v, r)) is not None}
        seen = self._seen(pairs, known, every_pair=every_pair, wanted=rows)
        if not isinstance(seen, Unsupported) and (tables := self._at_the_edges(seen, rows)):
            seen = self._widened(seen, pairs, tables)
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
        kept.keep({pair: cell for pair, cell in self._cells(assembly).items() if rows is None or pair[1] in rows})
        return found

    def _seen(
        self,
        pairs: tuple[Pair, ...],
        known: Mapping[tuple[str, str], KeptCell],
        *,
        every_pair: bool,
        wanted: frozenset[str] | None,
    ) -> tuple[Seen, ...] | Unsupported:
        cells = {key: Found(trials=cell.trials, foreseen=cell.foreseen) for key, cell in known.items()}
        unfinished = frozenset(v.name for v, r in pairs if (v.name, r) not in known)
        if pairs and not unfinished:
            return tuple(self._remembered(pairs, known))
        board = partial(self._board, kept=cells, unfinished=unfinished)
        if not every_pair:
            return self._replayed(partial(board, wanted=wanted))
        settled = self._replayed(partial(board, wanted=frozenset()))
        if isinstance(settled, Unsupported):
            return settled
        return self._replayed(partial(board, wanted=wanted, everywhere=True))

    def _at_the_edges(self, seen: tuple[Seen, ...], wanted: frozenset[str] | None) -> dict[str, frozenset[str]]:
        """Return the tables of each version that fail beside a revision that nobody asked for, where the two can meet.

        What fails there may have begun before, or may be healed behind.
        """
        meet = {(version.name, revision) for version, revision in self._pairs(every_pair=False, wanted=wanted)}
        order = [revision.id for revision in self._order]
        edges = {a for a, b in (*pairwise(order), *pairwise(reversed(order))) if wanted is not None and b not in wanted}
        found: dict[str, frozenset[str]] = {}
        for each in seen:
            for version, trials in each.trials.items() if each.revision.id in edges else ():
                if trials and (version, each.revision.id) in meet:
                    found[version] = found.get(version, frozenset()) | {trial.table for trial in trials}
        return found

    def _widened(
        self, seen: tuple[Seen, ...], pairs: tuple[Pair, ...], tables: Mapping[str, frozenset[str]]
    ) -> tuple[Seen, ...] | Unsupported:
        """Return what was seen, with those tables at all other revisions too."""
        asked = {revision for _, revision in pairs}
        cells = {(name, each.revision.id): _NOTHING for each in seen for name in each.trials}
        board = partial(self._board, kept=cells, wanted=frozenset(), tables=tables)
        wider = self._replayed(board)
        if isinstance(wider, Unsupported):
            return wider
        others = {each.revision.id: each for each in wider if each.revision.id not in asked}
        known = {**others, **{each.revision.id: each for each in seen}}
        return tuple(known[revision.id] for revision in self._order if revision.id in known)

    def _remembered(self, pairs: tuple[Pair, ...], known: Mapping[tuple[str, str], KeptCell]) -> Iterator[Seen]:
        for revision in self._order:
            cells = {v.name: known[v.name, r] for v, r in pairs if r == revision.id}
            if cells:
                trials = {name: cell.trials for name, cell in cells.items()}
                yield Seen(
                    revision=revision, trials=trials, foreseen={name: cell.foreseen for name, cell in cells.items()}
                )

    def _pairs(self, *, every_pair: bool, wanted: frozenset[str] | None = None) -> Iterator[Pair]:
        """Yield what is judged: versions with the revisions that they can meet, of those `wanted`, None for all."""
        applied: set[str] = set()
        for revision in self._order:
            applied.add(revision.id)
            for version in self._versions if wanted is None or revision.id in wanted else ():
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

    def _board(
        self,
        *,
        kept: Mapping[tuple[str, str], Found],
        wanted: frozenset[str] | None,
        everywhere: bool = False,
        unfinished: frozenset[str] = frozenset(),
        tables: Mapping[str, frozenset[str]] = _NO_TABLES,
    ) -> Board:
        return Board(
            versions=self._versions,
            applied=self._ports.graph.applied,
            version_table=self._ports.version_table,
            role=self._role,
            everywhere=everywhere,
            learnt=self._learnt,
            kept=kept,
            unfinished=unfinished,
            wanted=wanted,
            tables=tables,
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

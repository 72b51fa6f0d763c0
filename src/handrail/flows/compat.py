"""`handrail compat`: each version of the application, exercised on the schema of each revision in a sandbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

from sqlalchemy import Connection, make_url

from handrail.compat import acting
from handrail.compat.assembly import Assembly
from handrail.compat.board import Board, Memory, Seen
from handrail.compat.tracing import Tracer
from handrail.engines.base import Purpose
from handrail.errors import Exit, NotVerified, UsageRefused
from handrail.flows import expected, observing, versions
from handrail.flows.ports import Ports
from handrail.history import record
from handrail.host.urls import resolve
from handrail.model.contract import AppVersion
from handrail.model.matrix import CompatFacts, Matrix, begun_in
from handrail.model.needs import Needs
from handrail.model.operation import RecordedRevision
from handrail.model.plan import Plan
from handrail.model.revision import Direction
from handrail.model.verdict import Unsupported, Verdict

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatRequest:
    """Which versions (none: all that are deployed), at which revisions (`a:b`, '' for all).

    `every_pair` judges a version also at revisions that are older than it.
    """

    versions: tuple[str, ...] = ()
    revisions: str = ""
    every_pair: bool = False


def compat(ports: Ports, request: CompatRequest) -> Matrix:
    """Return the matrix, executed. Reads the database once, to make one like it.

    Raises UsageRefused where no version is registered, NotVerified where no sandbox can be had or the history does not
    replay.
    """
    known = ports.journal.versions()
    chosen = tuple(versions.choose(known, name) for name in request.versions)
    chosen = chosen or tuple(version for version in known if version.deployed)
    if not chosen:
        raise UsageRefused(
            what="there is nothing to compare with; nothing was touched",
            why="no version of the application is registered as deployed",
            fix="handrail versions register NAME",
        )
    wanted = _range(ports, request.revisions)
    found = _executed(ports, chosen, every_pair=request.every_pair)
    if isinstance(found, Unsupported):
        raise NotVerified(
            what="compatibility cannot be known; nothing was touched",
            why="; ".join((found.reason, *found.details)),
            fix="make the sandbox like the database, or the history replayable: handrail verify says the same",
        )
    rows = tuple(row for row in found.rows if wanted is None or row.revision in wanted)
    return Matrix(versions=found.versions, rows=rows, alike=found.alike, exercised=found.exercised)


def for_plan(ports: Ports, plan: Plan) -> CompatFacts:
    """Return what becomes of the deployed versions at the revisions of a plan.

    What a version could not do before the plan is not held against it.
    """
    deployed = tuple(version for version in ports.journal.versions() if version.deployed)
    names = tuple(version.name for version in deployed)
    upgrades = {s.revision.id for s in plan.steps if s.direction is Direction.UPGRADE}
    if not deployed or not upgrades:
        return CompatFacts(versions=names, reason="" if deployed else "no version of the application is registered")
    found = _executed(ports, deployed, every_pair=False)
    if isinstance(found, Unsupported):
        return CompatFacts(versions=names, reason="; ".join((found.reason, *found.details)))
    begun = begun_in(found, frozenset(upgrades))
    return CompatFacts(versions=names, matrix=begun, deployments=observing.deployments_now(ports, deployed))


def status(matrix_: Matrix) -> Exit:
    """Return the exit status: 1 where a version breaks or something could not be exercised."""
    return Exit.DONE if matrix_.verdict is Verdict.PASS else Exit.FAILED_CLEAN


def _executed(ports: Ports, chosen: tuple[AppVersion, ...], *, every_pair: bool) -> Matrix | Unsupported:
    with ports.engine.connect(Purpose.READ) as conn:
        needs = ports.engine.needs(conn)
        role = _application_role(ports, conn)
    return _Execution(ports, chosen, acting.needing(needs, role), role).matrix(every_pair=every_pair)


def _application_role(ports: Ports, conn: Connection) -> str:
    """Return the role that the application connects as, '' where it is the one that migrates, or a superuser."""
    environment = ports.environment
    if not environment.migration_url:
        return ""
    url = make_url(resolve(environment.url, environment=environment.name, root=ports.settings.root))
    name = url.username or ""
    return name if name != ports.engine.url.username and ports.engine.trials.ordinary(conn, name) else ""


class _Execution:
    """Replays of one history, each with a watcher of its own."""

    def __init__(self, ports: Ports, versions: tuple[AppVersion, ...], needs: Needs, role: str) -> None:
        self._ports, self._versions, self._needs, self._role = ports, versions, needs, role
        self._memory = Memory()

    def matrix(self, *, every_pair: bool) -> Matrix | Unsupported:
        """Return the matrix, or why it cannot be had."""
        seen = self._replayed(lambda: self._board(everywhere=False))
        if every_pair and not isinstance(seen, Unsupported):
            seen = self._replayed(lambda: self._board(everywhere=True))
        if isinstance(seen, Unsupported):
            return seen
        assembly = Assembly(versions=self._versions, seen=seen, recorded=_Reader(self._ports, self._needs, seen).read)
        unclear = assembly.unclear()
        if unclear:
            looks = self._replayed(lambda: self._tracer(unclear))
            assembly.looks = {} if isinstance(looks, Unsupported) else looks
        return assembly.matrix()

    def _replayed(self, begin: Callable[[], expected.Watcher[T]]) -> T | Unsupported:
        return expected.replayed(self._ports, self._ports.graph.heads, needs=self._needs, begin=begin)

    def _board(self, *, everywhere: bool) -> Board:
        return Board(
            versions=self._versions,
            applied=self._ports.graph.applied,
            version_table=self._ports.version_table,
            role=self._role,
            everywhere=everywhere,
            memory=self._memory,
        )

    def _tracer(self, wanted: Mapping[str, Mapping[str, frozenset[str]]]) -> Tracer:
        return Tracer(
            versions={version.name: version for version in self._versions},
            wanted=wanted,
            version_table=self._ports.version_table,
            role=self._role,
            memory=self._memory,
        )


class _Reader:
    """Records revisions when they are asked for, each once."""

    def __init__(self, ports: Ports, needs: Needs, seen: tuple[Seen, ...]) -> None:
        self._ports, self._needs = ports, needs
        self._revisions = {each.revision.id: each.revision for each in seen}
        self._read: dict[str, RecordedRevision] = {}

    def read(self, revision: str) -> RecordedRevision:
        """Return what that revision does."""
        if revision not in self._read:
            [self._read[revision]] = record.record(
                self._ports.project,
                self._ports.graph,
                self._ports.env,
                [(self._revisions[revision], Direction.UPGRADE)],
                engine=self._ports.engine,
                server_major=self._needs.server_major,
            )
        return self._read[revision]


def _range(ports: Ports, text: str) -> frozenset[str] | None:
    """Return the revisions of `a:b`, both included, of `a` alone; None for all of them."""
    if not text:
        return None
    lower, colon, upper = text.partition(":")
    graph = ports.graph
    if not colon:
        return frozenset(graph.resolve(text, ()))
    last = graph.applied(graph.resolve(upper, ())) if upper else graph.applied(graph.heads)
    first = graph.resolve(lower, ()) if lower and lower != "base" else ()
    return last - (graph.applied(first) - frozenset(first))

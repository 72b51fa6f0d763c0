"""`handrail compat`: each version of the application, exercised on the schema of each revision in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.compat.assembly import matrix
from handrail.compat.board import Board, Seen
from handrail.engines.base import Purpose
from handrail.errors import Exit, NotVerified, UsageRefused
from handrail.flows import expected, observing, versions
from handrail.flows.ports import Ports
from handrail.history import record
from handrail.model.contract import AppVersion
from handrail.model.matrix import CompatFacts, Matrix, begun_in
from handrail.model.needs import Needs
from handrail.model.operation import RecordedRevision
from handrail.model.plan import Plan
from handrail.model.revision import Direction
from handrail.model.verdict import Unsupported, Verdict


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
    seen = expected.replayed(
        ports,
        ports.graph.heads,
        needs=needs,
        begin=lambda: Board(
            versions=chosen, applied=ports.graph.applied, version_table=ports.version_table, everywhere=every_pair
        ),
    )
    return seen if isinstance(seen, Unsupported) else matrix(chosen, seen, _Reader(ports, needs, seen).read)


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

"""The matrix without a server: what contracts and revisions alone say."""

from __future__ import annotations

from dataclasses import replace

from handrail.compat.assembly import Assembly
from handrail.compat.board import Seen
from handrail.compat.foresight import Foresight
from handrail.compat.known_schema import KnownSchema, of_replayed, readable
from handrail.flows.ports import Ports
from handrail.history.files import graph as graphs
from handrail.history.files.dialect import OLDEST
from handrail.history.files.graph import Graph
from handrail.history.recording import reading
from handrail.history.recording.reading import Read
from handrail.model.contract import AppVersion
from handrail.model.matrix import Matrix
from handrail.model.operation import RecordedRevision
from handrail.model.replayed import EMPTY
from handrail.model.reviewed import ReviewedStep


def foreseen(ports: Ports, chosen: tuple[AppVersion, ...], *, every_pair: bool, reason: str = "") -> Matrix:
    """Return the matrix as it is predicted; `reason` says why it is not executed, '' where nobody asked for that."""
    graph = graphs.whole(ports.graph)
    major = OLDEST[ports.engine.name]
    read = reading.read(ports.project, graph, engine=ports.engine, server_major=major, env=ports.env)
    schemas = _schemas(read, graph, ports.engine.name)
    sight, there = Foresight(), {v.name: frozenset(v.revisions) for v in chosen}
    order = [revision.id for revision in reversed(list(graph.walk()))]
    for place, revision in enumerate(order):
        applied = frozenset(order[: place + 1])
        for version in chosen:
            if there[version.name] <= applied:
                sight.settle(version, schemas[revision])
    seen = []
    for place, revision in enumerate(order):
        applied = frozenset(order[: place + 1])
        trials = {v.name: sight.trials(v, schemas[revision]) for v in chosen if every_pair or there[v.name] <= applied}
        if trials:
            seen.append(Seen(revision=graph.revisions[revision], trials=trials, foreseen=trials))
    recorded = {step.revision: _recorded(step) for step in read.upgrades.values()}
    assembly = Assembly(versions=chosen, seen=tuple(seen), recorded=recorded.__getitem__)
    return replace(assembly.matrix(), executed=False, reason=reason)


def _schemas(read: Read, graph: Graph, engine: str) -> dict[str, KnownSchema]:
    """Return the schema when all up to a revision are applied, those of other branches too, as a database has it.

    None is certain after one that could not be read to its end.
    """
    schemas: dict[str, KnownSchema] = {}
    state, certain = EMPTY, True
    for revision, step in read.upgrades.items():
        certain = certain and readable(step, graph.revisions[revision].source)
        state = reading.performed(step, state)
        schemas[revision] = of_replayed(state, certain=certain, engine=engine)
    return schemas


def _recorded(step: ReviewedStep) -> RecordedRevision:
    return RecordedRevision(
        revision=step.revision,
        direction=step.direction,
        reading=step.reading,
        reason=step.reason,
        operations=step.operations,
        statements=tuple(each.statement for each in step.statements),
    )

"""Reads every revision in both directions without settings, database or application: for review."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING

from handrail.engines import dialects
from handrail.history import record
from handrail.history.env_py import EnvPy, neutral
from handrail.history.graph import Graph
from handrail.history.memory import Memory
from handrail.history.project import Project
from handrail.model import redefining
from handrail.model.action import RedefineColumn
from handrail.model.operation import Origin, Reading, RecordedRevision
from handrail.model.replayed import EMPTY, Replayed, replayed
from handrail.model.reviewed import ReviewedStatement, ReviewedStep
from handrail.model.revision import Direction, Revision

if TYPE_CHECKING:
    from handrail.model.action import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The steps of a history by revision, as one engine would get them."""

    upgrades: Mapping[str, ReviewedStep]
    downgrades: Mapping[str, ReviewedStep]


def read(
    project: Project,
    graph: Graph,
    *,
    engine: dialects.Dialect,
    server_major: int,
    env: EnvPy | None = None,
    downgrades: Iterable[str] = (),
    memory: Memory | None = None,
) -> Read:
    """Return each upgrade of the graph, and those downgrades, with the schema around each statement.

    A graph with parents missing, or with circles, has to be made `graph.whole` before. What a revision imports and is
    not installed is stood in for. Nothing is connected to, nothing written; what the `memory` has is not read again,
    and the rest is remembered.
    """
    order = list(reversed(list(graph.walk())))
    settled = env or neutral(project, graph)
    up = [(revision, Direction.UPGRADE) for revision in order]
    wanted = frozenset(downgrades)
    down = [(revision, Direction.DOWNGRADE) for revision in reversed(order)]
    basis = record.Basis(project=project, graph=graph, env=settled, engine=engine, server_major=server_major)
    study = partial(record.study, basis)
    told = partial(step, engine=engine, server_major=server_major)
    trace = memory.trace() if memory else None
    recorded_up = study(up, shadow=engine.shadow(), known=_known(memory, up), trace=trace)
    upgrades: dict[str, ReviewedStep] = {}
    for revision, recorded in zip(order, recorded_up.recorded, strict=True):
        before = joined([upgrades[parent].after for parent in (*revision.parents, *revision.depends_on)])
        upgrades[revision.id] = told(recorded, before, maker=revision.id)
    recorded_down = study(
        down,
        heads=graph.heads,
        only=wanted,
        known=_known(memory, down, wanted),
        trace=trace,
        schemas={id_: upgraded.after for id_, upgraded in upgrades.items()},
    )
    if memory and trace and recorded_up.steady and recorded_down.steady:
        memory.keep_readings(trace, (*recorded_up.fresh, *recorded_down.fresh))
    undone = {
        recorded.revision: told(recorded, upgrades[recorded.revision].after, maker=f"downgrade of {recorded.revision}")
        for recorded in recorded_down.recorded
    }
    return Read(upgrades=MappingProxyType(upgrades), downgrades=MappingProxyType(undone))


def _known(
    memory: Memory | None, steps: Iterable[tuple[Revision, Direction]], only: Collection[str] | None = None
) -> dict[str, RecordedRevision]:
    """Return the readings that are remembered of those steps."""
    if memory is None:
        return {}
    asked = [(revision.id, direction) for revision, direction in steps if only is None or revision.id in only]
    found = ((id_, memory.reading(id_, direction)) for id_, direction in asked)
    return {id_: recorded for id_, recorded in found if recorded is not None}


def joined(states: list[Replayed]) -> Replayed:
    """Return the schema below a revision; at a merge, what any of the branches has."""
    if len(states) <= 1:
        return states[0] if states else EMPTY
    return Replayed(
        tables=MappingProxyType({name: table for state in states for name, table in state.tables.items()}),
        enums=MappingProxyType({name: values for state in states for name, values in state.enums.items()}),
        objects=MappingProxyType({key: item for state in states for key, item in state.objects.items()}),
        dropped=MappingProxyType({key: item for state in states for key, item in state.dropped.items()}),
        gone=MappingProxyType({name: table for state in states for name, table in state.gone.items()}),
        certain=all(state.certain for state in states),
    )


def step(
    recorded: RecordedRevision, before: Replayed, *, engine: dialects.Dialect, server_major: int, maker: str
) -> ReviewedStep:
    """Return a recording with what each statement does, and the schema around it."""
    statements = []
    state = before
    for statement in recorded.statements:
        if statement.origin is not Origin.REVISION:
            continue
        actions = redefining.told(engine.actions.actions(statement.sql), state)
        moments = _moments(state, actions, maker)
        after = moments[-1] if moments else state
        statements.append(
            ReviewedStatement(
                statement=statement,
                actions=actions,
                effects=engine.effects.effects(statement.sql, server_major=server_major),
                before=state,
                after=after,
                operation=None if statement.operation is None else recorded.operations[statement.operation],
                maker=maker,
                moments=moments if len(moments) > 1 and not _at_once(actions) else (),
            )
        )
        state = after
    if recorded.reading is Reading.FAILED:
        state = replace(state, certain=False)
    return ReviewedStep(
        revision=recorded.revision,
        direction=recorded.direction,
        reading=recorded.reading,
        reason=recorded.reason,
        operations=recorded.operations,
        statements=tuple(statements),
        before=before,
        after=state,
    )


def _moments(state: Replayed, actions: tuple[Action, ...], maker: str) -> tuple[Replayed, ...]:
    """Return the schema after each action."""
    states = []
    for action in actions:
        state = replayed(state, action, maker)
        states.append(state)
    return tuple(states)


def _at_once(actions: tuple[Action, ...]) -> bool:
    """Return whether the actions are what one MODIFY amounts to: it is compared with what was before all of them."""
    return any(isinstance(action, RedefineColumn) for action in actions)

"""Reads every revision in both directions without settings, database or application: for review."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from types import MappingProxyType
from typing import TYPE_CHECKING

from handrail.engines.dialects import Dialect
from handrail.history.files.graph import Graph
from handrail.history.files.project import Project
from handrail.history.recording.memory import Memory
from handrail.history.recording.record import STUDY_LIMIT_S, Record
from handrail.history.recording.task import Basis, Key, Readings, Study, Task
from handrail.model import redefining
from handrail.model.action import RedefineColumn
from handrail.model.operation import Origin, Reading, RecordedRevision
from handrail.model.replayed import EMPTY, Replayed, replayed
from handrail.model.reviewed import ReviewedStatement, ReviewedStep
from handrail.model.revision import Direction, Revision

if TYPE_CHECKING:
    from handrail.history.env.env_py import EnvPy
    from handrail.model.action import Action


@dataclass(frozen=True, slots=True, kw_only=True)
class Read:
    """The steps of a history as one engine would get them: upgrades by revision, and downgrades as they are read.

    The downgrades come once, and can be looked at while the next ones are still being read.
    """

    upgrades: Mapping[str, ReviewedStep]
    downgrades: Iterator[ReviewedStep]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Understanding:
    """What makes of a recording what it does to the schema."""

    engine: Dialect
    server_major: int
    graph: Graph
    order: Sequence[Revision]

    def upgrades(self, readings: Iterable[RecordedRevision]) -> dict[str, ReviewedStep]:
        """Return each upgrade by its revision; the readings are in the order of the revisions."""
        found: dict[str, ReviewedStep] = {}
        for revision, recorded in zip(self.order, readings, strict=False):  # there may be downgrades behind them
            found[revision.id] = self.step(recorded, below(revision, self.graph, found), revision.id)
        return found

    def schemas(self, readings: Readings) -> dict[str, Replayed]:
        """Return the schema after each upgrade."""
        upgrades = self.upgrades(readings[revision.id, Direction.UPGRADE] for revision in self.order)
        return {id_: upgrade.after for id_, upgrade in upgrades.items()}

    def downgrade(self, recorded: RecordedRevision, upgrade: ReviewedStep) -> ReviewedStep:
        """Return what the downgrade does after that upgrade."""
        return self.step(recorded, upgrade.after, f"downgrade of {recorded.revision}")

    def step(self, recorded: RecordedRevision, before: Replayed, maker: str) -> ReviewedStep:
        """Return what a recording does from there."""
        return step(recorded, before, engine=self.engine, server_major=self.server_major, maker=maker)


def read(
    project: Project,
    graph: Graph,
    *,
    engine: Dialect,
    server_major: int,
    env: EnvPy | None = None,
    downgrades: Iterable[str] = (),
    memory: Memory | None = None,
) -> Read:
    """Return each upgrade of the graph, and those downgrades, with the schema around each statement.

    A graph with parents missing, or with circles, has to be made `graph.whole` before. What a revision imports and is
    not installed is stood in for. Nothing is connected to, nothing written; what the `memory` has is not read again,
    and the rest is remembered when the last downgrade was read.
    """
    order = list(reversed(list(graph.walk())))
    up = [(revision, Direction.UPGRADE) for revision in order]
    down = [(revision, Direction.DOWNGRADE) for revision in reversed(order)]
    keys = frozenset(chain(((r.id, d) for r, d in up), ((id_, Direction.DOWNGRADE) for id_ in downgrades)))
    understanding = _Understanding(engine=engine, server_major=server_major, graph=graph, order=order)
    task = Task(
        basis=Basis(project=project, graph=graph, env=env, engine=engine, server_major=server_major),
        steps=(*up, *down),
        keys=keys,
        limit_s=STUDY_LIMIT_S,
        shadow=engine.shadow(),
        study=Study(folders=project.code_folders, schemas=understanding.schemas),
    )
    record = Record(task=task, found=_known(memory, keys), trace=memory.trace() if memory else None)
    readings = iter(record)
    upgrades = understanding.upgrades(readings)
    undone = _undone(readings, upgrades, understanding, partial(_keep, memory, record))
    return Read(upgrades=MappingProxyType(upgrades), downgrades=undone)


def _undone(
    readings: Iterator[RecordedRevision],
    upgrades: Mapping[str, ReviewedStep],
    understanding: _Understanding,
    at_the_end: Callable[[], None],
) -> Iterator[ReviewedStep]:
    for recorded in readings:
        yield understanding.downgrade(recorded, upgrades[recorded.revision])
    at_the_end()


def _keep(memory: Memory | None, record: Record) -> None:
    if memory and record.trace and record.steady:
        memory.keep_readings(record.trace, record.fresh)


def _known(memory: Memory | None, keys: Iterable[Key]) -> dict[Key, RecordedRevision]:
    """Return the readings that are remembered of those steps."""
    if memory is None:
        return {}
    found = ((key, memory.reading(*key)) for key in keys)
    return {key: recorded for key, recorded in found if recorded is not None}


def below(revision: Revision, graph: Graph, upgrades: Mapping[str, ReviewedStep]) -> Replayed:
    """Return the schema that a revision meets; at a merge, what its branches have made of it one after the other."""
    above = (*revision.parents, *revision.depends_on)
    if len(above) == 1:
        return upgrades[above[0]].after
    state = EMPTY
    for identity in graph.below(revision.id) if above else ():
        state = performed(upgrades[identity], state)
    return state


def performed(upgrade: ReviewedStep, state: Replayed) -> Replayed:
    """Return the schema after that upgrade, where it is performed on `state`, which another branch may have made."""
    if upgrade.before is state:
        return upgrade.after
    for _, action in upgrade.actions():
        state = replayed(state, action, upgrade.revision)
    return replace(state, certain=state.certain and upgrade.reading is not Reading.FAILED)


def step(
    recorded: RecordedRevision, before: Replayed, *, engine: Dialect, server_major: int, maker: str
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

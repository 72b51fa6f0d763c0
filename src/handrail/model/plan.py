"""What will happen: the steps from where the target stands to where it shall be."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from handrail.model.effect import Effect
from handrail.model.finding import Finding
from handrail.model.operation import Reading, RecordedRevision
from handrail.model.revision import Direction, Revision
from handrail.model.target import Target
from handrail.model.violation import Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One function of one revision, with the effects of each of its statements (same order, same length).

    `assumed` are the effects of what could not be read.
    """

    revision: Revision
    direction: Direction
    recorded: RecordedRevision
    effects: tuple[tuple[Effect, ...], ...]
    assumed: tuple[Effect, ...] = ()

    @property
    def exact(self) -> bool:
        """Whether the statements are known to be what the server will get."""
        return self.recorded.reading is Reading.EXACT

    @property
    def resumable(self) -> bool:
        """Whether the step is several transactions, so that it can stand half applied."""
        return self.recorded.transactions > 1

    @property
    def strong_locks(self) -> tuple[Effect, ...]:
        """The locks that will make others wait, in order, each once; not those on what the step itself creates."""
        created: set[str] = set()
        locks: dict[tuple[str, str, tuple[str, ...]], Effect] = {}
        for effect in (effect for effects in (*self.effects, self.assumed) for effect in effects):
            if effect.created_here:
                created.add(effect.relation)
            elif effect.strong and effect.relation not in created:
                locks.setdefault((effect.relation, effect.lock, effect.severs), effect)
        return tuple(locks.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Every step from `start` to `goal` (the version table's rows before and after), for one environment.

    `counted` are the rows that the steps may fail on, `fingerprint` is the schema's; both at planning time.
    """

    environment: str
    target: Target
    start: tuple[str, ...]
    goal: tuple[str, ...]
    steps: tuple[Step, ...]
    findings: tuple[Finding, ...]
    fingerprint: str
    counted: tuple[Counted, ...] = ()

    @property
    def digest(self) -> str:
        """sha256 over heads, schema fingerprint, file hashes and server major: tells one plan from another."""
        parts = [*self.start, self.fingerprint, str(self.target.server_major)]
        parts += [f"{s.direction.value}:{s.revision.id}:{s.revision.digest}" for s in self.steps]
        return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def statement_digest(sql: str) -> str:
    """Return the sha256 of a statement's text, white space folded: how a statement is recognised after a crash."""
    return hashlib.sha256(" ".join(sql.split()).encode()).hexdigest()

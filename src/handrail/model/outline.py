"""What stays of a plan when its run is over: the steps and their locks, without sources and schemas."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from handrail.model.effect import Blocks, Effect
from handrail.model.finding import Finding
from handrail.model.operation import Origin, Reading
from handrail.model.plan import Plan, Step
from handrail.model.revision import Direction
from handrail.model.target import Target

_QUOTED = re.compile(r"'(?:[^']|'')*'")


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementOutline:
    """One statement as planned: the locks that will make others wait, and the transaction it belongs to.

    `ours` is whether the revision sends it; the others are Alembic's, on its version table.
    """

    locks: tuple[Effect, ...]
    transaction: int
    ours: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class StepOutline:
    """One step as planned. `notes` are the fields of the revision's header; `locks` those of the whole step."""

    revision: str
    direction: Direction
    title: str
    file: str
    file_digest: str
    notes: tuple[tuple[str, str], ...]
    reading: Reading
    reason: str
    locks: tuple[Effect, ...]
    statements: tuple[StatementOutline, ...]

    @property
    def transactions(self) -> int:
        """How many transactions the step takes; 1 for the ordinary case."""
        return len({s.transaction for s in self.statements}) or 1

    @property
    def blocks(self) -> Blocks:
        """Whom the strongest of its locks keeps waiting."""
        return max((lock.blocks for lock in self.locks), default=Blocks.NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanOutline:
    """A plan as it is remembered; see Plan."""

    target: Target
    start: tuple[str, ...]
    goal: tuple[str, ...]
    digest: str
    fingerprint: str
    steps: tuple[StepOutline, ...]
    findings: tuple[Finding, ...]


def outline(plan: Plan) -> PlanOutline:
    """Return what is remembered of a plan."""
    return PlanOutline(
        target=plan.target,
        start=plan.start,
        goal=plan.goal,
        digest=plan.digest,
        fingerprint=plan.fingerprint,
        steps=tuple(_step(step) for step in plan.steps),
        findings=tuple(_without_values(finding) for finding in plan.findings),
    )


def _without_values(finding: Finding) -> Finding:
    """Return the finding without text that SQL quotes; what to write instead is looked up again."""
    what, why = (_QUOTED.sub("?", text) for text in (finding.what, finding.why))
    return replace(finding, what=what, why=why, fix=f"handrail explain {finding.rule}", counted=())


def _step(step: Step) -> StepOutline:
    revision, strong = step.revision, frozenset(step.strong_locks)
    return StepOutline(
        revision=revision.id,
        direction=step.direction,
        title=revision.title,
        file=revision.path.name,
        file_digest=revision.digest,
        notes=revision.header.fields,
        reading=step.recorded.reading,
        reason=step.recorded.reason,
        locks=_bare(step.strong_locks),
        statements=tuple(
            StatementOutline(
                locks=_bare(tuple(e for e in effects if e in strong)),
                transaction=statement.transaction,
                ours=statement.origin is Origin.REVISION,
            )
            for statement, effects in zip(step.recorded.statements, step.effects, strict=True)
        ),
    )


def _bare(locks: tuple[Effect, ...]) -> tuple[Effect, ...]:
    """Return the locks without the pages that tell of them, which `--dry-run --format json` lists."""
    return tuple(replace(lock, source="") for lock in locks)

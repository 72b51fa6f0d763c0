"""What the rules say of a plan, and how many rows of the target its steps would fail on."""

from __future__ import annotations

from collections.abc import Iterator

from handrail import registry
from handrail.engines.base import Purpose
from handrail.flows.assessing import counting, judging, registered
from handrail.flows.assessing.portraying import portray
from handrail.flows.ports import Ports
from handrail.history.files import ignoring
from handrail.history.recording import reading
from handrail.model.demand import COUNTING_LIMIT_S
from handrail.model.finding import Finding
from handrail.model.hazards.demands import demands
from handrail.model.hazards.weighing import Known, weighed
from handrail.model.plan import Step
from handrail.model.portrait import Portrait
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.revision import Direction
from handrail.model.rule import RuleFacts
from handrail.model.standing import Standing
from handrail.model.standing_schema import replayed_from
from handrail.model.suppressing import suppress
from handrail.model.violation import Counted


def of_plan(
    ports: Ports, standing: Standing, steps: tuple[Step, ...], *, counts: bool
) -> tuple[tuple[Finding, ...], tuple[Counted, ...]]:
    """Return what the rules about running them say of the steps, weighed by the target, and what was counted there.

    Reads the schema and the sizes of the tables; where it `counts`, for a bounded time, the rows a step may fail on.
    """
    with ports.engine.connect(Purpose.READ) as conn:
        portrait = portray(ports, conn, standing)
    read = tuple(_read(ports, portrait, steps))
    wanted = tuple(demands(read, portrait)) if counts else ()
    known = Known(
        portrait=portrait,
        wanted=wanted,
        counted=counting.counted(ports, portrait, wanted, limit_s=COUNTING_LIMIT_S),
        dependants=counting.dependants(ports, read),
    )
    return tuple(_findings(ports, steps, read, known)), tuple(known.counted.values())


def _read(ports: Ports, portrait: Portrait, steps: tuple[Step, ...]) -> Iterator[ReviewedStep]:
    state = replayed_from(portrait.snapshot)
    for step in steps:
        read = reading.step(
            step.recorded,
            state,
            engine=ports.engine,
            server_major=portrait.server_major,
            maker=f"{step.direction.value} of {step.revision.id}",
        )
        yield read
        state = read.after


def _findings(ports: Ports, steps: tuple[Step, ...], read: tuple[ReviewedStep, ...], known: Known) -> Iterator[Finding]:
    facts = RuleFacts(
        engine=ports.engine.name,
        server_major=known.portrait.server_major,
        today=ports.clock.now().date(),
        sizes=known.portrait.rows(),
        bytes=known.portrait.bytes(),
        counted=known.counted,
        deployed=registered.models(ports.settings),
        rules=frozenset(registry.rules()),
    )
    on = judging.active(ports.settings.review).about_running()
    for number, (step, reviewed) in enumerate(zip(steps, read, strict=True)):
        up = step.direction is Direction.UPGRADE
        marks = ignoring.suppressions(step.revision.source)
        revision = ReviewedRevision(
            revision=step.revision,
            upgrade=reviewed if up else None,
            downgrade=None if up else reviewed,
            earlier=read[:number],
            suppressions=marks,
        )
        found = weighed(judging.of_revision(on, revision, facts), registry.rules(), revision.steps, known)
        yield from suppress(found, {revision.id: marks}, today=facts.today)[0]

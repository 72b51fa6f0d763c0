"""What the rules say of a plan."""

from __future__ import annotations

from collections.abc import Iterator

from handrail import registry
from handrail.flows import judging, registered
from handrail.flows.ports import Ports
from handrail.history import ignoring, reading
from handrail.model.finding import Finding
from handrail.model.plan import Step
from handrail.model.replayed import EMPTY
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.revision import Direction
from handrail.model.rule import RuleFacts
from handrail.model.standing import Standing
from handrail.model.suppressing import suppress


def of_plan(ports: Ports, standing: Standing, steps: tuple[Step, ...]) -> Iterator[Finding]:
    """Yield what the rules about running it say of each step; the schema below the first one is not known."""
    facts = RuleFacts(
        engine=ports.engine.name,
        server_major=standing.target.server_major,
        today=ports.clock.now().date(),
        deployed=registered.models(ports.settings),
        rules=frozenset(registry.rules()),
    )
    on = judging.shelf(ports.settings.review).about_running()
    state = EMPTY
    earlier: tuple[ReviewedStep, ...] = ()
    for step in steps:
        read = reading.step(
            step.recorded,
            state,
            engine=ports.engine,
            server_major=standing.target.server_major,
            maker=f"{step.direction.value} of {step.revision.id}",
        )
        up = step.direction is Direction.UPGRADE
        marks = ignoring.suppressions(step.revision.source)
        revision = ReviewedRevision(
            revision=step.revision,
            upgrade=read if up else None,
            downgrade=None if up else read,
            earlier=earlier,
            suppressions=marks,
        )
        found = judging.of_revision(on, revision, facts)
        yield from suppress(found, {revision.id: marks}, today=facts.today)[0]
        state, earlier = read.after, (*earlier, read)

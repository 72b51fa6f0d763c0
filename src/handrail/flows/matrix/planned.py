"""What becomes of the deployed versions at the revisions of a plan."""

from __future__ import annotations

from handrail.flows.matrix import exercising, observing
from handrail.flows.ports import Ports
from handrail.model.matrix import CompatFacts, begun_in
from handrail.model.plan import Plan
from handrail.model.revision import Direction
from handrail.model.verdict import Unsupported


def for_plan(ports: Ports, plan: Plan) -> CompatFacts:
    """Return what becomes of the deployed versions at the revisions of a plan.

    What a version could not do before the plan is not held against it.
    """
    deployed = tuple(version for version in ports.journal.versions() if version.deployed)
    names = tuple(version.name for version in deployed)
    upgrades = {s.revision.id for s in plan.steps if s.direction is Direction.UPGRADE}
    if not deployed or not upgrades:
        return CompatFacts(versions=names, reason="" if deployed else "no version of the application is registered")
    found = exercising.executed(ports, deployed, wanted=frozenset(upgrades))
    if isinstance(found, Unsupported):
        return CompatFacts(versions=names, reason="; ".join((found.reason, *found.details)))
    begun = begun_in(found, frozenset(upgrades))
    return CompatFacts(versions=names, matrix=begun, deployments=observing.deployments_now(ports, deployed))

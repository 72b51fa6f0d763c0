"""`handrail apply`: plan, gates, lease, each revision, checks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from handrail.errors import Drift, NotVerified, VerificationFailed
from handrail.flows.ports import Ports
from handrail.flows.run import running
from handrail.flows.run.running import DryRun, Outcome, Request, Way
from handrail.flows.standing import planning
from handrail.flows.standing.planning import BACKUP_PROVED
from handrail.model.plan import Plan
from handrail.model.revision import Direction
from handrail.model.run import Judgement
from handrail.model.standing import Standing
from handrail.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplyRequest:
    """What shall be applied: a target in Alembic's syntax, and whether to verify before and after."""

    target: str = "head"
    verify: bool = False
    verify_after: bool = False
    backup_first: bool = False


def dry_run(ports: Ports, request: ApplyRequest) -> tuple[DryRun, tuple[Judgement, ...]]:
    """Return what `apply` would do, and what the checks say of the schema now. Writes nothing anywhere."""
    before = _verify_before(ports) if request.verify else ()
    return running.dry_run(ports, _request(ports, request, lambda _plan: None)), before


def apply(ports: Ports, request: ApplyRequest, confirm: Callable[[Plan], None]) -> Outcome:
    """Apply every pending revision up to the target. Raises the error of whatever stops it."""
    return running.carry_out(ports, _request(ports, request, confirm))


def _request(ports: Ports, request: ApplyRequest, confirm: Callable[[Plan], None]) -> Request:
    def way(standing: Standing) -> Way:
        return [(r, Direction.UPGRADE) for r in ports.graph.upgrade_path(standing.heads, request.target)]

    backs_up = request.backup_first or BACKUP_PROVED in ports.environment.requires
    wanted = Request(command="apply", way=way, confirm=confirm, backs_up=backs_up)
    wanted = replace(wanted, before=_verify_before) if request.verify else wanted
    return replace(wanted, after=_verify_after) if request.verify_after else wanted


def _verify_before(ports: Ports) -> tuple[Judgement, ...]:
    from handrail.flows.standing import expected  # noqa: PLC0415 - loads SQLAlchemy's ORM, which only checks need

    judgements = expected.run_checks(ports, planning.look_as_allowed(ports).heads)
    bad = expected.failures(expected.about_schema(judgements))  # wrong rows may be what a revision is there to mend
    if any(j.verdict is Verdict.FAIL for j in bad):
        raise Drift(
            what="the schema is not what its revision says; nothing was touched",
            why="; ".join(_sentence(j) for j in bad),
            fix=f"handrail verify -e {ports.environment.name} lists every difference",
        )
    if bad:
        raise NotVerified(
            what="whether the schema is what its revision says cannot be known; nothing was touched",
            why="; ".join(_sentence(j) for j in bad),
            fix=f"remove the reason, or go on without: handrail apply -e {ports.environment.name}",
        )
    return judgements


def _verify_after(ports: Ports, plan: Plan) -> tuple[Judgement, ...]:
    from handrail.flows.standing import expected  # noqa: PLC0415 - loads SQLAlchemy's ORM, which only checks need

    judgements = expected.run_checks(ports, plan.goal)
    bad = expected.failures(judgements)
    if bad:
        raise VerificationFailed(
            what=f"the database is at {', '.join(plan.goal) or 'base'}, but the result is not verified",
            why="; ".join(_sentence(j) for j in bad),
            fix=f"handrail rollback -e {ports.environment.name}, or correct the schema and verify again",
        )
    return judgements


def _sentence(judgement: Judgement) -> str:
    return f"{judgement.name}: {judgement.reason}" + "".join(f"; {d}" for d in judgement.details[:3])

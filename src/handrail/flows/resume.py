"""`handrail resume`: finish what an interrupted run began, each revision exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from handrail.flows import rollback
from handrail.flows.ports import Ports
from handrail.flows.run import running
from handrail.flows.run.running import Outcome, Request, Way
from handrail.flows.standing import halfway, planning
from handrail.flows.standing.halfway import Settlement
from handrail.model.plan import Plan
from handrail.model.standing import Standing, StatementRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """What an interrupted run meant to do: its command, and the rows of the version table it was on the way to.

    The goal is where the target stands already when all that is known is that a revision is half applied.
    """

    run: str
    command: str
    goal: tuple[str, ...]


def unfinished(standing: Standing) -> Unfinished | None:
    """Return the run that did not end, None where every run ended.

    A run that failed has ended, but one that left a revision half applied is still to be finished.
    """
    row, begun = standing.lease, standing.half_applied
    if row is not None and (row.held or begun) and set(row.goal) != set(standing.heads):
        return Unfinished(run=row.run, command=row.command, goal=row.goal)
    if begun:
        return Unfinished(run=begun[0].run, command="", goal=standing.heads)
    return None


def resume(ports: Ports, confirm: Callable[[Plan], None], settlement: Settlement | None = None) -> Outcome | None:
    """Go on to where the interrupted run was going. None where there is nothing to resume.

    `settlement` is what a person found out about the revision that stands half applied.
    """
    standing = planning.look(ports)
    task = unfinished(standing)
    if task is None:
        return None
    ports = rollback.with_deployed_sources(ports, rollback.read_log(ports))
    if settlement is not Settlement.UNDONE:
        _refuse_other_code(ports, standing.half_applied)

    def way(now: Standing) -> Way:
        return _way(ports, now, task)

    return running.carry_out(
        ports,
        Request(command="resume", way=way, confirm=confirm, gated=False, finishes=True, settlement=settlement),
    )


def _way(ports: Ports, standing: Standing, task: Unfinished) -> Way:
    """Return the way to the goal; the half applied revision alone where the goal is not what it was begun for."""
    way = _way_to_goal(ports, standing, task)
    for record in standing.half_applied[:1]:
        revision = ports.graph.revisions.get(record.revision)
        if revision is not None and (revision, record.direction) not in way:
            return [(revision, record.direction)]
    return way


def _way_to_goal(ports: Ports, standing: Standing, task: Unfinished) -> Way:
    # only a rollback, or the resume of one, is on its way to where less is applied
    down = planning.way_down(ports.graph, standing.heads, task.goal)
    return down or planning.way_up(ports.graph, standing.heads, task.goal)[0]


def _refuse_other_code(ports: Ports, records: tuple[StatementRecord, ...]) -> None:
    """Raise Halfway when a revision would be finished with other code than it was begun with."""
    if not records:
        return
    revision = ports.graph.revisions.get(records[0].revision)
    if revision is None or revision.digest != records[0].file_digest:
        gone = "is gone" if revision is None else "has changed since"
        back = f"you bring the file back as it was (sha256 {records[0].file_digest[:12]}...)"
        raise halfway.unrepeatable(ports, records, f"its file {gone}", back)

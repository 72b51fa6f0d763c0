"""`handrail resume`: finish what an interrupted run began, each revision exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from handrail.flows import halfway, planning, rollback, running
from handrail.flows.halfway import Settlement
from handrail.flows.ports import Ports
from handrail.flows.running import Outcome, Request, Way
from handrail.model.plan import Plan, moved
from handrail.model.revision import Direction, Revision
from handrail.model.standing import Standing, StatementRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """What an interrupted run meant to do: its command, and the rows of the version table it was on the way to."""

    run: str
    command: str
    goal: tuple[str, ...]


def unfinished(standing: Standing) -> Unfinished | None:
    """Return the run that did not end, None where every run ended.

    A run that failed has ended, but one that left a revision half applied is still to be finished.
    """
    row = standing.lease
    if row is None or not (row.held or standing.half_applied) or set(row.goal) == set(standing.heads):
        return None
    return Unfinished(run=row.run, command=row.command, goal=row.goal)


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
    surplus = halfway.with_ancestors(ports.graph, standing.heads) - halfway.with_ancestors(ports.graph, task.goal)
    if surplus:  # only a rollback, or the resume of one, is on its way to where less is applied
        return [(r, Direction.DOWNGRADE) for r in ports.graph.walk() if r.id in surplus]
    way: list[Revision] = []
    reached = standing.heads
    for goal in task.goal:
        for revision in ports.graph.upgrade_path(reached, goal):
            way.append(revision)
            reached = moved(reached, revision, Direction.UPGRADE)
    return [(revision, Direction.UPGRADE) for revision in way]


def _refuse_other_code(ports: Ports, records: tuple[StatementRecord, ...]) -> None:
    """Raise Halfway when a revision would be finished with other code than it was begun with."""
    if not records:
        return
    revision = ports.graph.revisions.get(records[0].revision)
    if revision is None or revision.digest != records[0].file_digest:
        gone = "is gone" if revision is None else "has changed since"
        back = f"you bring the file back as it was (sha256 {records[0].file_digest[:12]}...)"
        raise halfway.unrepeatable(ports, records, f"its file {gone}", back)

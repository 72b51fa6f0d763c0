"""`handrail resume`: finish what an interrupted run began, each revision exactly once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from handrail.errors import Halfway
from handrail.flows import planning, rollback, running
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


def resume(ports: Ports, confirm: Callable[[Plan], None]) -> Outcome | None:
    """Go on to where the interrupted run was going. None where there is nothing to resume."""
    standing = planning.look(ports)
    task = unfinished(standing)
    if task is None:
        return None
    ports = rollback.with_deployed_sources(ports, rollback.read_log(ports))
    _refuse_other_code(ports, standing.half_applied)

    def way(now: Standing) -> Way:
        return _way(ports, now, task)

    return running.carry_out(ports, Request(command="resume", way=way, confirm=confirm, gated=False, finishes=True))


def _way(ports: Ports, standing: Standing, task: Unfinished) -> Way:
    if task.command == "rollback" or (standing.half_applied and _direction(standing) is Direction.DOWNGRADE):
        target = task.goal[0] if task.goal else "base"
        return [(r, Direction.DOWNGRADE) for r in ports.graph.downgrade_path(standing.heads, target)]
    way: list[Revision] = []
    reached = standing.heads
    for goal in task.goal:
        for revision in ports.graph.upgrade_path(reached, goal):
            way.append(revision)
            reached = moved(reached, revision, Direction.UPGRADE)
    return [(revision, Direction.UPGRADE) for revision in way]


def _direction(standing: Standing) -> Direction:
    return standing.half_applied[0].direction


def _refuse_other_code(ports: Ports, records: tuple[StatementRecord, ...]) -> None:
    """Raise Halfway when a revision would be finished with other code than it was begun with."""
    if not records:
        return
    revision = ports.graph.revisions.get(records[0].revision)
    if revision is None or revision.digest != records[0].file_digest:
        gone = "is gone" if revision is None else "has changed since"
        raise Halfway(
            what=f"revision {records[0].revision} stands half applied and cannot be finished by itself",
            why=f"its file {gone}",
            fix=f"bring back the file as it was (sha256 {records[0].file_digest[:12]}...), then resume",
        )

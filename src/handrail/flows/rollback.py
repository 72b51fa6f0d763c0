"""`handrail rollback`: run the downgrades that were deployed, back to where the last run began or to a target."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from handrail.engines.base import Purpose
from handrail.errors import HandrailError, RollbackFailed, StepFailed, TargetRefused, UsageRefused
from handrail.flows.ports import Ports
from handrail.flows.run import running
from handrail.flows.run.running import DryRun, Outcome, Request, Way
from handrail.flows.standing import planning
from handrail.history.files import source
from handrail.journal import log
from handrail.model.log import LogEntry, deployed_sources
from handrail.model.plan import Plan
from handrail.model.revision import Direction
from handrail.model.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class RollbackRequest:
    """Where to go back to, in Alembic's syntax; None for where the last run began."""

    target: str | None = None


def dry_run(ports: Ports, request: RollbackRequest) -> DryRun:
    """Return what `rollback` would do. Writes nothing anywhere."""
    entries = read_log(ports)
    deployed = with_deployed_sources(ports, entries)
    return running.dry_run(deployed, _request(deployed, entries, request, lambda _plan: None))


def rollback(ports: Ports, request: RollbackRequest, confirm: Callable[[Plan], None]) -> Outcome:
    """Undo revisions down to the target. Raises RollbackFailed when a downgrade fails."""
    entries = read_log(ports)
    deployed = with_deployed_sources(ports, entries)
    try:
        return running.carry_out(deployed, _request(deployed, entries, request, confirm))
    except StepFailed as exc:
        raise RollbackFailed(what=exc.what, why=exc.why, fix=_way_out(exc)) from exc


def _way_out(exc: HandrailError) -> str:
    return f"{exc.fix}; or go forward with a revision that repairs"


def with_deployed_sources(ports: Ports, entries: tuple[LogEntry, ...]) -> Ports:
    """Return the ports with each applied revision as it was deployed: files may have changed, or be gone.

    What the log holds will be run. Raises TargetRefused where the log is not what was written.
    """
    wrong = what_is_broken(ports, entries)
    if wrong:
        name = ports.environment.name
        raise TargetRefused(
            what="the log of what was deployed is not to be trusted; nothing was touched",
            why=wrong,
            fix=f"find out who changed it: handrail log -e {name}; if an older copy of the database was restored: "
            f"handrail status --rebind {name}",
        )
    graph = ports.graph
    for entry in deployed_sources(entries).values():
        known = graph.revisions.get(entry.revision)
        if known is not None and known.digest == entry.file_digest:
            continue
        path = known.path if known else Path(entry.file)
        revision, _problems = source.parse(entry.source, path)
        if revision is not None:
            graph = graph.with_revision(revision)
    return replace(ports, graph=graph)


def what_is_broken(ports: Ports, entries: tuple[LogEntry, ...]) -> str:
    """Return what is wrong with the chain of the target's log, '' when nothing is."""
    binding = ports.journal.binding(ports.environment.name)
    seen = binding.log_head if binding else ""
    wrong = log.broken(entries, seen)
    if wrong and not log.broken(entries, ""):  # another run may have written there since these were read
        return log.broken(read_log(ports), seen)
    return wrong


def read_log(ports: Ports) -> tuple[LogEntry, ...]:
    """Return the target's log, oldest first."""
    with ports.engine.connect(Purpose.READ) as conn:
        return log.entries(conn, ports.engine)


def _request(
    ports: Ports, entries: tuple[LogEntry, ...], request: RollbackRequest, confirm: Callable[[Plan], None]
) -> Request:
    def way(standing: Standing) -> Way:
        if request.target is None:
            return _last_release(ports, entries, standing)
        return [(r, Direction.DOWNGRADE) for r in ports.graph.downgrade_path(standing.heads, request.target)]

    return Request(command="rollback", way=way, confirm=confirm, gated=False)


def _last_release(ports: Ports, entries: tuple[LogEntry, ...], standing: Standing) -> Way:
    """Return the way back to where the last run began, by the log. Raises UsageRefused where the log does not tell."""
    applied = deployed_sources(entries)
    last = next((e for e in reversed(applied.values()) if e.revision in standing.heads), None)
    if last is None:
        raise _unknown(f"the log tells of no run that led to {', '.join(standing.heads) or 'base'}")
    began_at = next(e.heads_before for e in entries if e.run == last.run)
    way = planning.way_down(ports.graph, standing.heads, began_at)
    foreign = [r.id for r, _ in way if r.id not in applied or applied[r.id].run != last.run]
    if foreign:
        raise _unknown(f"{', '.join(foreign)} came to be applied since the last run that the log tells of")
    return way


def _unknown(why: str) -> UsageRefused:
    return UsageRefused(
        what="where to roll back to is not known; nothing was touched",
        why=why,
        fix="name the revision: handrail rollback TARGET, e.g. -1",
    )

"""`handrail status`: where every environment stands, and what to type next."""

from __future__ import annotations

from pathlib import Path

from handrail.config import Environment
from handrail.engines.base import Purpose
from handrail.errors import HandrailError
from handrail.flows import resume
from handrail.flows.assessing.portraying import portray
from handrail.flows.ports import Ports, ProjectPorts, target_ports
from handrail.flows.run import running
from handrail.flows.standing import planning
from handrail.journal import identity, lease, portraits, tables
from handrail.journal.store import Binding
from handrail.model.portrait import Portrait
from handrail.model.revision import Revision
from handrail.model.run import Run, RunState
from handrail.model.standing import Standing
from handrail.model.status import EnvironmentStatus, Status


def status(ports: ProjectPorts, environments: tuple[Environment, ...], *, look: bool) -> Status:
    """Return where those environments stand; without `look` from files and journal alone, connecting to nothing."""
    return Status(
        heads=ports.graph.heads,
        revisions=len(ports.graph.revisions),
        problems=tuple(problem.message for problem in ports.graph.problems if problem.blocking),
        environments=tuple(_look(ports, e) if look else _remembered(ports, e) for e in environments),
    )


def save(ports: Ports, file: Path, *, over: bool) -> Portrait:
    """Write what a review needs of the environment's database into that file, without any row; return it.

    Raises Unreachable, TargetRefused, and UsageRefused where a file is there, unless `over` it.
    """
    with ports.engine.connect(Purpose.READ) as conn:
        portrait = portray(ports, conn, planning.look_on(ports, conn))
    portraits.write(file, portrait, over=over)
    return portrait


def rebind(ports: Ports) -> Binding:
    """Bind the environment to the database its url names now. Raises what a write to the database raises."""
    standing = planning.look(ports)
    run = running.begin(ports, "rebind", standing.heads, standing.heads)
    with lease.hold(
        ports.engine, run, wait=ports.environment.lease_wait, clock=ports.clock, stop=ports.stop, emit=ports.emit
    ) as held:
        tables.create(held.conn, ports.engine)
        found = identity.bind(held.conn, ports.engine, standing.target, ports.environment.name)
    binding = Binding(environment=ports.environment.name, identity=found.uuid, log_head="")
    ports.journal.bind(binding)
    return binding


def _remembered(ports: ProjectPorts, environment: Environment) -> EnvironmentStatus:
    last = _last_run(ports, environment)
    return _status(environment, last_run=last, next_=f"handrail status -e {environment.name}")


def _look(ports: ProjectPorts, environment: Environment) -> EnvironmentStatus:
    last = _last_run(ports, environment)
    try:
        target = target_ports(ports, environment, emit=lambda _event: None)
        standing = planning.look_as_allowed(target)
    except HandrailError as exc:
        return _status(environment, last_run=last, problem=exc, next_=exc.fix)
    if _running(last) and not standing.lease_taken:  # it may have ended since
        last = _last_run(ports, environment)
    try:
        running.refuse_stranger(target, standing)
        pending = ports.graph.upgrade_path(standing.heads, "heads")
    except HandrailError as exc:
        return _status(environment, last_run=last, standing=standing, problem=exc, next_=exc.fix)
    interrupted = _interrupted(target, standing)
    next_ = _next(environment, pending, interrupted, running=standing.lease_taken)
    return _status(environment, last_run=last, standing=standing, pending=pending, interrupted=interrupted, next_=next_)


def _interrupted(ports: Ports, standing: Standing) -> str:
    if standing.half_applied and not standing.lease_taken:
        try:
            planning.refuse_half_applied(ports, standing)
        except HandrailError as exc:
            return f"{exc.what.partition(';')[0]}: {exc.why}"
    task = resume.unfinished(standing)
    if task is None or standing.lease is None:
        return ""
    where = ", ".join(standing.heads) or "base"
    goal = ", ".join(task.goal) or "base"
    if standing.lease_taken:
        return f"run {task.run} is on its way from {where} to {goal}"
    return f"run {task.run} ({task.command}) was interrupted at {where}, on its way to {goal}; nothing is half applied"


def _next(environment: Environment, pending: tuple[Revision, ...], interrupted: str, *, running: bool) -> str:
    if running:
        return f"handrail status -e {environment.name}"
    if interrupted:
        return f"handrail resume -e {environment.name}"
    return f"handrail apply -e {environment.name} --dry-run" if pending else ""


def _running(run: Run | None) -> bool:
    return run is not None and run.state is RunState.RUNNING


def _last_run(ports: ProjectPorts, environment: Environment) -> Run | None:
    return next(iter(ports.journal.runs(environment.name)), None)


def _status(
    environment: Environment,
    *,
    last_run: Run | None,
    next_: str,
    standing: Standing | None = None,
    pending: tuple[Revision, ...] = (),
    interrupted: str = "",
    problem: HandrailError | None = None,
) -> EnvironmentStatus:
    return EnvironmentStatus(
        name=environment.name,
        protected=environment.protected,
        requires=environment.requires,
        standing=standing,
        pending=pending,
        interrupted=interrupted,
        problem=problem,
        last_run=last_run,
        next=next_,
        cut_off=_running(last_run) and standing is not None and not standing.lease_taken,
    )

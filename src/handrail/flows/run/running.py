"""Carries a plan out: gates, lease, a second look, identity, steps. Shared by apply, resume and rollback."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Purpose, Refusal
from handrail.errors import (
    ConnectionLost,
    GateClosed,
    HandrailError,
    Interrupted,
    LockBudgetSpent,
    TargetRefused,
    Unreachable,
)
from handrail.flows.ports import Ports
from handrail.flows.run.attempt import Session
from handrail.flows.run.stepping import Stepper
from handrail.flows.standing import halfway, planning
from handrail.flows.standing.halfway import Settlement
from handrail.history.fencing import guard
from handrail.host.process import user_name
from handrail.host.signals import graceful
from handrail.journal import identity, lease
from handrail.journal.lease import Lease
from handrail.journal.store import Binding, EventWriter
from handrail.model.plan import Plan
from handrail.model.revision import Direction, Revision
from handrail.model.run import Event, Failed, GateJudged, Judgement, Planned, Run, RunEnded, RunState
from handrail.model.standing import Identity, Standing
from handrail.model.verdict import Verdict

if TYPE_CHECKING:
    from handrail.model.matrix import CompatFacts

Way = Sequence[tuple[Revision, Direction]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What shall be carried out. `way` finds the steps from where the target stands; `confirm` asks or refuses.

    `gated` is False where going on is safer than standing still (resume, rollback). `backs_up` makes a proved backup
    before the first step. `finishes` allows a half applied revision to be finished, `settlement` is what a person found
    out about it. `before` and `after` look at the database on either side of the run, and raise where it is not as it
    should be.
    """

    command: str
    way: Callable[[Standing], Way]
    confirm: Callable[[Plan], None]
    gated: bool = True
    backs_up: bool = False
    finishes: bool = False
    settlement: Settlement | None = None
    before: Callable[[Ports], tuple[Judgement, ...]] = lambda _ports: ()
    after: Callable[[Ports, Plan], tuple[Judgement, ...]] = lambda _ports, _plan: ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What was carried out. `run` is None where there was nothing to do.

    `plan` is what was run: without a step where another run did it all while this one waited. `before` and `after` are
    the answers of the request's own looks.
    """

    plan: Plan
    run: Run | None = None
    before: tuple[Judgement, ...] = ()
    after: tuple[Judgement, ...] = ()
    journal_broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DryRun:
    """The plan, what the gates say of it, and what would refuse the run now. Nothing was written."""

    plan: Plan
    gates: tuple[Judgement, ...]
    refusals: tuple[Refusal, ...]


def dry_run(ports: Ports, request: Request) -> DryRun:
    """Return what `carry_out` would do. Read-only sessions; no tables, no files, no journal."""
    standing = planning.look_as_allowed(ports)
    plan = _plan(ports, request, standing, counts=True)
    gates = planning.judge_gates(ports, plan, backs_up=request.backs_up, compat=_exercised(ports, plan))
    return DryRun(plan=plan, gates=gates, refusals=refusals(ports))


def carry_out(ports: Ports, request: Request) -> Outcome:
    """Plan, ask the gates, take the lease, look again, run the steps. Raises the error of whatever fails first."""
    tape: list[tuple[datetime, Event]] = []
    taping = replace(ports, emit=_both(ports.emit, lambda event: tape.append((ports.clock.now(), event))))
    before = request.before(taping)
    plan = _plan(ports, request, planning.look(ports), counts=_counts(ports, request))
    if not plan.steps:
        return Outcome(plan=plan, before=before, after=request.after(ports, plan))
    taping.emit(Planned(plan=plan))
    _pass_gates(taping, request, plan)
    request.confirm(plan)
    run = begin(ports, request.command, plan.start, plan.goal)
    with ports.journal.writer(run, ports.engine.statements.hide_literals) as writer:
        for at, event in tape:
            writer.tell(at, event)
        recording = replace(ports, emit=_both(ports.emit, writer))
        with graceful(ports.stop):
            ended, done = _under_lease(recording, request, plan, run, writer)
        after = _looked_after(recording, request, done)
    return Outcome(plan=done, run=ended, before=before, after=after, journal_broken=writer.broken)


def _looked_after(ports: Ports, request: Request, plan: Plan) -> tuple[Judgement, ...]:
    try:
        return request.after(ports, plan)
    except HandrailError as exc:
        ports.emit(_failed(exc))
        raise


def _failed(exc: HandrailError) -> Failed:
    return Failed(what=exc.what, why=exc.why, fix=exc.fix, exit=int(exc.exit))


def refusals(ports: Ports) -> tuple[Refusal, ...]:
    """Return every reason not to migrate the target now."""
    with ports.engine.connect(Purpose.READ) as conn:
        return ports.engine.activity.refusals(
            conn, oldest_transaction_s=ports.environment.oldest_transaction.total_seconds()
        )


def refuse_stranger(ports: Ports, standing: Standing) -> None:
    """Raise TargetRefused when the database is not the one that the environment means."""
    if standing.unreadable is not None:  # whoever may not read it may only look
        return
    binding = ports.journal.binding(ports.environment.name)
    found = standing.identity
    if binding and found is None:  # another first run may have bound it since we looked
        found = planning.look(ports).identity
    identity.refuse_mismatch(found, binding.identity if binding else "", standing.target, ports.environment.name)


def _counts(ports: Ports, request: Request) -> bool:
    return request.gated and planning.REVIEWED in ports.environment.requires


def _plan(ports: Ports, request: Request, standing: Standing, *, counts: bool) -> Plan:
    if not request.finishes and not standing.lease_taken:  # a run that is alive is on its way: wait for its lease
        planning.refuse_half_applied(ports, standing)
    way = request.way(standing)
    if way:
        refuse_stranger(ports, standing)
    return planning.make_plan(ports, standing, way, counts=counts)


def _pass_gates(ports: Ports, request: Request, plan: Plan) -> None:
    _refuse_now(ports)
    if not request.gated:
        return
    judgements = planning.judge_gates(ports, plan, backs_up=request.backs_up, compat=_exercised(ports, plan))
    for judgement in judgements:
        ports.emit(GateJudged(judgement=judgement))
    closed = [j for j in judgements if j.verdict in {Verdict.FAIL, Verdict.UNKNOWN}]
    if closed:
        raise GateClosed(
            what=f"a gate of {ports.environment.name} is closed; nothing was run",
            why="; ".join(f"{j.name}: {j.reason}" for j in closed),
            fix=f"handrail apply -e {ports.environment.name} --dry-run shows all gates",
        )


def _exercised(ports: Ports, plan: Plan) -> CompatFacts | None:
    """Return what becomes of the deployed versions at the plan's revisions; None where no gate asks."""
    if planning.COMPATIBLE not in ports.environment.requires:
        return None
    from handrail.flows.matrix import planned  # noqa: PLC0415 - a run that no gate asks for it does not pay for loading it

    return planned.for_plan(ports, plan)


def _refuse_now(ports: Ports) -> None:
    first = next(iter(refusals(ports)), None)
    if first is not None:
        raise TargetRefused(what=f"{first.what}; nothing was touched", why=first.why, fix=first.fix)


def begin(ports: Ports, command: str, start: tuple[str, ...], goal: tuple[str, ...]) -> Run:
    """Return a new run of this process, begun now."""
    return Run(
        id=uuid.uuid4().hex[:12],
        command=command,
        environment=ports.environment.name,
        who=user_name(),
        host=socket.gethostname(),
        pid=os.getpid(),
        started_at=ports.clock.now(),
        start=start,
        goal=goal,
    )


def _under_lease(ports: Ports, request: Request, plan: Plan, run: Run, writer: EventWriter) -> tuple[Run, Plan]:
    try:
        with (
            _driver_told(ports, Unreachable, "nothing was touched"),
            lease.hold(
                ports.engine,
                run,
                wait=ports.environment.lease_wait,
                clock=ports.clock,
                stop=ports.stop,
                emit=ports.emit,
            ) as held,
            _driver_told(ports, ConnectionLost, "where the database stands is not known yet"),
        ):
            standing = _settled(ports, request, held)
            again = _again(ports, request, plan, standing)
            run = replace(run, start=again.start, goal=again.goal)
            identity = _bind(ports, standing, held, writer)
            _back_up(ports, request, again, run, identity)
            _run_steps(ports, again, run, held, writer)
    except HandrailError as exc:
        ports.emit(_failed(exc))
        state = RunState.INTERRUPTED if isinstance(exc, Interrupted) else RunState.FAILED
        _end(ports, run, state, f"{exc.what}: {exc.why}")
        raise
    except KeyboardInterrupt as exc:
        stopped = ports.stop.error(
            what="stopped at once; what was not committed is rolled back",
            fix=f"handrail status -e {ports.environment.name} says where the database stands",
        )
        ports.emit(_failed(stopped))
        _end(ports, run, RunState.INTERRUPTED, "stopped at once")
        raise stopped from exc
    except BaseException as exc:  # a bug, or a revision that ends the process: the journal must not say that we run
        _end(ports, run, RunState.FAILED, f"{type(exc).__name__}: {exc}")
        raise
    return _end(ports, run, RunState.DONE, ""), again


@contextmanager
def _driver_told(ports: Ports, lost: type[HandrailError], state: str) -> Iterator[None]:
    """Turn what the driver raises over our own tables into an error a person can act on; `state` says what stands."""
    try:
        yield
    except DBAPIError as exc:
        status = f"handrail status -e {ports.environment.name}"
        match ports.engine.classify(exc):
            case Cause.CONNECTION_LOST | Cause.UNREACHABLE:
                kind, what, fix = lost, "the connection to the database was lost", f"{status} looks it up"
            case Cause.LOCK_TIMEOUT:
                kind, what, fix = LockBudgetSpent, "somebody holds a lock on Handrail's own tables", f"then {status}"
            case _:
                raise
        raise kind(what=f"{what}; {state}", why=guard.summary(exc), fix=fix) from exc


def _settled(ports: Ports, request: Request, held: Lease) -> Standing:
    """Return where the target stands, with what is over and done with removed from the statement log."""
    standing = planning.look(ports)
    halfway.sweep(held.conn, ports.engine, standing.half_applied)
    if request.settlement is None or not standing.half_applied:
        return standing
    halfway.settle(held.conn, ports.engine, standing.half_applied, request.settlement)
    return planning.look(ports)


def _again(ports: Ports, request: Request, plan: Plan, standing: Standing) -> Plan:
    """Return the plan that is carried out now that the lease is ours: what is left of the one that was agreed to."""
    if not request.finishes:
        planning.refuse_half_applied(ports, standing)
    if (standing.heads, standing.fingerprint) == (plan.start, plan.fingerprint):
        return plan
    way = planning.what_is_left(ports, plan, standing)
    if way:
        refuse_stranger(ports, standing)
    again = planning.make_plan(ports, standing, way, counts=_counts(ports, request))
    if again.steps:
        ports.emit(Planned(plan=again))
        _pass_gates(ports, request, again)
    return again


def _end(ports: Ports, run: Run, state: RunState, message: str) -> Run:
    ended = replace(run, state=state, ended_at=ports.clock.now(), message=message)
    ports.emit(RunEnded(run=ended))
    return ended


def _bind(ports: Ports, standing: Standing, held: Lease, writer: EventWriter) -> Identity:
    """Give the database its identity where it has none yet, and remember it."""
    found = standing.identity or identity.bind(held.conn, ports.engine, standing.target, ports.environment.name)
    writer.bound(Binding(environment=ports.environment.name, identity=found.uuid, log_head=""))
    return found


def _back_up(ports: Ports, request: Request, plan: Plan, run: Run, identity: Identity) -> None:
    """Make a proved backup of what the plan starts from; then look again who else is there: it may have taken long."""
    if request.backs_up and plan.steps:
        from handrail.flows.archives import archiving  # noqa: PLC0415 - a run without a backup does not pay for loading it

        archiving.back_up_before(ports, plan, identity.uuid, run=run.id)
        _refuse_now(ports)


def _run_steps(ports: Ports, plan: Plan, run: Run, held: Lease, writer: EventWriter) -> None:
    if not plan.steps:
        return
    with ExitStack() as stack:
        conn = stack.enter_context(ports.engine.connect(Purpose.MIGRATE, run=run.id))
        watch = stack.enter_context(ports.engine.connect(Purpose.STATE, run=run.id))
        held.begin(run, conn)
        session = Session(
            ports=ports,
            run=run,
            lease=held,
            conn=conn,
            watch=watch,
            server_major=plan.target.server_major,
            heads=plan.start,
        )
        stack.callback(lambda: writer.anchored(ports.environment.name, session.log_head))
        stepper = Stepper(session)
        for step in plan.steps:
            stepper.step(step)


def _both(first: Callable[[Event], None], second: Callable[[Event], None]) -> Callable[[Event], None]:
    def emit(event: Event) -> None:
        second(event)  # the journal first: a subscriber that ends the process must not lose the event
        first(event)

    return emit

"""The report of a run for a terminal: a value in, lines out."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.outline import PlanOutline
from handrail.model.report import Attempt, BackupStory, Ending, Report, StepStory, Wait
from handrail.model.run import Run
from handrail.reports import backup_text, plan_text, text


def report(value: Report) -> str:
    """The report, its outcome first."""
    sections = {
        "planning": _planning(value),
        "testing": _testing(value),
        "execution": _execution(value),
        "verification": _verification(value),
        "documentation": _documentation(value),
    }
    lines = list(_head(value))
    for title, body in sections.items():
        lines += ["", title, *(f"  {line}" for line in body)]
    return "\n".join(lines)


def runs(values: tuple[Run, ...]) -> str:
    """One line for each run, newest first."""
    lines = [
        f"{run.id}  {text.moment(run.started_at)}  {run.environment}  {run.command} {ending(run)}"
        f"  {text.heads(run.start)} -> {text.heads(run.goal)}  {run.who}@{run.host}"
        for run in values
    ]
    return "\n".join(lines) or "no run was recorded"


def ending(run: Run) -> str:
    """How a run ended, in one or two words."""
    return run.state.value if run.ended_at else "not ended"


def known(value: Report) -> bool:
    """Whether the journal tells the run to its end."""
    return value.run.ended_at is not None


def whole(value: Report) -> str:
    """When the run began and ended, and how long it took."""
    run = value.run
    until = f" to {text.moment(run.ended_at)}" if run.ended_at else ", its end was never told"
    return f"{text.moment(value.began_at)}{until} ({text.duration(value.length_s)})"


def _head(value: Report) -> Iterator[str]:
    run = value.run
    yield f"{value.verdict.name}: {value.headline}"
    yield value.standing
    if value.later:
        last = value.later[-1]
        yield f"since then: {last.command} {ending(last)}, {text.moment(last.started_at)}"
        yield f"            began at {text.heads(last.start)}, handrail report {last.id}"
    if value.failure:
        yield f"  what: {value.failure.what}"
        yield f"  why: {value.failure.why}"
        yield f"  fix: {value.failure.fix}"
    elif run.message:
        yield f"  why: {run.message}"
    yield ""
    yield f"run       {run.id}: {run.command} on {run.environment} by {run.who}@{run.host} (pid {run.pid})"
    yield f"when      {whole(value)}"
    if value.plan:
        target = value.plan.target
        yield f"database  {target.database} on {target.host or 'this machine'}, {target.engine} {target.server}"
    left = "left at" if known(value) else "last told:"
    yield f"way       from {text.heads(run.start)} to {text.heads(run.goal)}; {left} {text.heads(value.heads)}"
    for advice in value.next:
        yield f"next      {advice.command}  # {advice.purpose}"
    if value.unread:
        yield f"note      {text.count(value.unread, 'event')} in a form that this version does not read"


def _planning(value: Report) -> Iterator[str]:
    if value.plan is None:
        yield "the plan is not in the journal"
    else:
        yield from _plan(value.plan)
    if value.gates:
        yield "gates:"
        yield from (f"  {line}" for line in text.judgements(value.gates).splitlines())
    else:
        yield "gates: none were asked"


def _plan(plan: PlanOutline) -> Iterator[str]:
    yield f"plan {plan.digest[:12]}: {text.count(len(plan.steps), 'step')}"
    for number, step in enumerate(plan.steps, start=1):
        yield f"{number}. {step.direction.value} {step.revision}  {step.title}"
        if step.reason:
            yield f"   {step.reading.value}: {step.reason}"
        if step.transactions > 1:
            yield f"   {step.transactions} transactions: can stand half applied"
        yield from (f"   lock: {text.lock(lock)}" for lock in step.locks)
    for finding in plan.findings:
        yield from plan_text.finding(finding)


def _testing(value: Report) -> Iterator[str]:
    if value.backup:
        yield from backup(value.backup)
    else:
        yield "backup: none was made by this run"
    yield from text.judgements(value.before).splitlines() or ["checks before the run: none were asked"]
    for step in value.plan.steps if value.plan else ():
        yield from (f"{step.revision}  {name}: {said}" for name, said in testing_notes(step.notes))


def backup(value: BackupStory) -> Iterator[str]:
    """What is known of the backup, its proof first."""
    proof = value.proof
    yield f"backup {value.id}: {proof.verdict.value}, {proof.reason}" if proof else f"backup {value.id}: not proved"
    if proof and proof.server:
        yield f"  restored on {proof.server} and compared in {text.duration(proof.seconds)}"
    if value.bytes:
        yield f"  {backup_text.amount(value.bytes)}, written in {text.duration(value.seconds)}"
    yield from (f"  {detail}" for detail in (proof.details if proof else ()))


def testing_notes(notes: tuple[tuple[str, str], ...]) -> list[tuple[str, str]]:
    """The fields of a revision's header that tell how it was tested and how it is undone."""
    return [(name, said) for name, said in notes if name.lower() in {"testing", "rollback"}]


def _execution(value: Report) -> Iterator[str]:
    if value.lease:
        yield f"lease taken {f'after {text.duration(value.lease.seconds)}' if value.lease.seconds else 'at once'}"
    for step in value.steps:
        yield f"{step.direction.value} {step.revision}  {step.title}: {step_ending(step)}"
        yield from (f"  {line}" for line in _step(step))


def step_ending(step: StepStory) -> str:
    """How a step ended, and after how long."""
    match step.ending:
        case Ending.NOT_BEGUN:
            return "not begun"
        case Ending.UNKNOWN:
            return "its end is not known"
        case Ending.COMMITTED:
            return f"committed after {text.duration(step.seconds)}"
        case Ending.ROLLED_BACK | Ending.HALFWAY as ending:
            told: str = ending.value
            return told


def moment(value: Wait | Attempt) -> str:
    """A wait or an attempt, in a sentence."""
    took = text.duration(value.span.seconds)
    if isinstance(value, Wait):
        return f"waited {took}, holding nothing: {value.why}"
    why = f": {value.why}" if value.why else ""
    return f"attempt {value.number}: {value.ending.value} after {took}{why}"


def _step(step: StepStory) -> Iterator[str]:
    for value in step.course:
        yield moment(value)
        yield from (f"  {blocker.describe()}" for blocker in value.blockers)
        if isinstance(value, Attempt):
            yield from _attempt(value)


def _attempt(attempt: Attempt) -> Iterator[str]:
    for statement in attempt.statements:
        took = text.duration(statement.span.seconds) if statement.span else "earlier"
        mark = "" if statement.done else "  (not done)"
        yield f"  {took:>8}  {' '.join(statement.sql.split())}{mark}"
    if attempt.left_out:
        yield f"  {text.count(attempt.left_out, 'statement')} before the last one not kept"
    for held in attempt.held:
        yield f"  others may have waited for {text.duration(held.seconds)}"


def _verification(value: Report) -> Iterator[str]:
    yield from text.judgements(value.after).splitlines() or [
        f"not asked for; now: handrail verify -e {value.run.environment}"
    ]


def _documentation(value: Report) -> Iterator[str]:
    logged = [step for step in value.steps if step.log_hash]
    if not logged:
        yield "this run wrote nothing into the log of the database" if known(value) else "of the log nothing is told"
    for step in logged:
        file = step.planned.file if step.planned else ""
        yield f"{step.direction.value} {step.revision}  {step.log_hash}  {file}"

"""What became of a run, in one sentence, and where that leaves the database, in another."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.errors import Exit
from handrail.model.report import Advice, Ending, StepStory
from handrail.model.run import Failed, Judgement, Run, RunState
from handrail.model.verdict import Verdict

_DONE = {"apply": "applied", "rollback": "rolled back", "resume": "finished"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """The first lines of a report; see Report."""

    verdict: Verdict
    headline: str
    standing: str
    next: tuple[Advice, ...]


def sum_up(
    run: Run,
    heads: tuple[str, ...],
    steps: tuple[StepStory, ...],
    failure: Failed | None,
    judgements: tuple[Judgement, ...],
    later: tuple[Run, ...],
) -> Summary:
    """Return the summary of a run that left the version table with the rows `heads`; `later` are the runs since."""
    return Summary(
        verdict=_verdict(run, failure, judgements),
        headline=_headline(run, steps, failure),
        standing=_standing(run, heads, steps, failure),
        next=_next(run, failure, steps, later),
    )


def _verdict(run: Run, failure: Failed | None, judgements: tuple[Judgement, ...]) -> Verdict:
    if run.state is RunState.RUNNING or (failure and failure.exit == Exit.CONNECTION_LOST):
        return Verdict.UNKNOWN
    if run.state is not RunState.DONE or failure:
        return Verdict.FAIL
    return Verdict.WARN if any(j.verdict is not Verdict.PASS for j in judgements) else Verdict.PASS


def _headline(run: Run, steps: tuple[StepStory, ...], failure: Failed | None) -> str:
    stuck = next((s for s in steps if s.ending is not Ending.COMMITTED), None)
    if run.state is RunState.RUNNING:
        return f"{run.command} did not tell its end: it is still at work, or was killed"
    if run.state is RunState.INTERRUPTED:
        return f"{run.command} was stopped" + (f" before {stuck.revision} was done" if stuck else "")
    if run.state is RunState.FAILED:
        begun = any(s.attempts or s.waits for s in steps)
        return f"{run.command} failed" + (f" at {stuck.revision}" if stuck and begun else " before its first step")
    done = sum(s.ending is Ending.COMMITTED for s in steps)
    if not done:
        return "nothing was left to do"
    number = f"{done} revision{'' if done == 1 else 's'}"
    verified = ", but the result is not verified" if failure else ""
    return f"{number} {_DONE.get(run.command, 'done')}{verified}"


def _standing(run: Run, heads: tuple[str, ...], steps: tuple[StepStory, ...], failure: Failed | None) -> str:
    at, name = ", ".join(heads) or "base", run.environment
    if run.state is RunState.DONE:
        return f"{name} is at {at}, where this run was to lead"
    half = next((s for s in steps if s.ending is Ending.HALFWAY), None)
    if half or (failure and failure.exit == Exit.HALFWAY):
        which = half.revision if half else "a revision"
        return f"{name} stands half-way: {which} is half applied, the version table says {at}"
    unknown = f"where {name} stands is not known from here, the last that was told is {at}"
    if run.state is RunState.RUNNING:
        return f"{unknown}: what a run does reaches the journal up to a second later"
    if failure is None or failure.exit == Exit.CONNECTION_LOST or any(s.ending is Ending.UNKNOWN for s in steps):
        return unknown
    done = sum(s.ending is Ending.COMMITTED for s in steps)
    share = f"{done} of {len(steps)} steps committed" if done else "this run changed nothing"
    return f"{name} is at {at}, {share}; nothing is half applied"


def _next(run: Run, failure: Failed | None, steps: tuple[StepStory, ...], later: tuple[Run, ...]) -> tuple[Advice, ...]:
    def say(command: str, purpose: str) -> Advice:
        return Advice(command=f"handrail {command} -e {run.environment}", purpose=purpose)

    if later:
        last = Advice(command=f"handrail report {later[-1].id}", purpose=f"the last run, {later[-1].command}")
        return say("status", "where the database stands now"), last
    if run.state is RunState.DONE and failure is None:
        verify = say("verify", "compares the database with its revision")
        back = say("rollback", "takes it back, with the code that was deployed")
        return (verify,) if run.command == "rollback" or not steps else (verify, back)
    if run.state is RunState.DONE:
        return say("verify", "names every difference"), say("rollback", "takes it back")
    status = say("status", "where the database stands now")
    if run.state is not RunState.FAILED or (failure and failure.exit == Exit.HALFWAY):
        return status, say("resume", "goes on to where this run was to lead")
    return status, say(run.command, "goes on from there, once the reason is gone")

"""Makes the report of a run out of its events, as the journal has them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from handrail.errors import Exit
from handrail.model.effect import Blocker
from handrail.model.operation import Reading
from handrail.model.outline import PlanOutline, StepOutline
from handrail.model.report import Attempt, BackupStory, Ending, Happening, Report, Span, StatementStory, StepStory, Wait
from handrail.model.revision import Direction
from handrail.model.run import (
    BackupMade,
    BackupProgressed,
    BackupProved,
    BackupStarted,
    CheckJudged,
    Committed,
    Committing,
    Event,
    Failed,
    GateJudged,
    Judgement,
    LeaseTaken,
    LeaseWaiting,
    Run,
    RunState,
    StatementDone,
    StatementSkipped,
    StatementStarted,
    StepRetried,
    StepStarted,
    VerifyStarted,
    Waiting,
    WaitingForAutovacuum,
)
from handrail.model.summing_up import sum_up

_ENDINGS = {Exit.HALFWAY: Ending.HALFWAY, Exit.CONNECTION_LOST: Ending.UNKNOWN}


def retell(run: Run, happenings: Sequence[Happening], later: tuple[Run, ...] = ()) -> Report:
    """Return the report of that run; `later` are the runs on the same environment since, oldest first."""
    began_at = min([run.started_at, *(h.at for h in happenings)])
    ended_at = max([run.ended_at or run.started_at, *(h.at for h in happenings)])
    story = _Story(began_at)
    for happening in happenings:
        story.hear(happening)
    story.end(run, (ended_at - began_at).total_seconds())
    summary = sum_up(
        run, story.heads(run), story.told_steps(), story.failure, (*story.gates.values(), *story.after), later
    )
    return Report(
        run=replace(run, ended_at=ended_at)
        if run.ended_at
        else run,  # checks come after what the journal calls its end
        began_at=began_at,
        verdict=summary.verdict,
        headline=summary.headline,
        standing=summary.standing,
        next=summary.next,
        heads=story.heads(run),
        plan=story.plan,
        gates=tuple(story.gates.values()),
        before=tuple(story.before),
        steps=story.told_steps(),
        after=tuple(story.after),
        failure=story.failure,
        backup=story.backup,
        lease=story.lease,
        checked=tuple(story.checked),
        length_s=(ended_at - began_at).total_seconds(),
        later=later,
        unread=story.unread,
    )


@dataclass(slots=True, kw_only=True)
class _Try:
    """An attempt while it is being told; `numbers` are those of its statements."""

    number: int
    start_s: float
    statements: list[StatementStory] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    commit_s: float | None = None


class _Step:
    """A step while it is being told."""

    def __init__(self, revision: str, direction: Direction, title: str, planned: StepOutline | None) -> None:
        self.revision, self.direction, self.title, self.planned = revision, direction, title, planned
        self.waits: list[Wait] = []
        self.attempts: list[Attempt] = []
        self.trying: _Try | None = None
        self.committed: Committed | None = None
        self.unbegun = Ending.NOT_BEGUN
        self._quiet_since: float | None = None
        self._blockers: tuple[Blocker, ...] = ()
        self._why = ""

    def wait(self, since_s: float, why: str, blockers: tuple[Blocker, ...]) -> None:
        """Hear that it waits, holding nothing: still, or since then."""
        if self._quiet_since is not None and self._why != why:
            self.go_on(since_s)
        self._quiet_since = since_s if self._quiet_since is None else self._quiet_since
        self._why, self._blockers = why, blockers or self._blockers

    def go_on(self, now_s: float) -> None:
        """Hear that the waiting is over."""
        if self._quiet_since is not None:
            span = Span(start_s=self._quiet_since, end_s=max(now_s, self._quiet_since))
            self.waits.append(Wait(span=span, blockers=self._blockers, why=self._why))
        self._quiet_since, self._blockers, self._why = None, (), ""

    def sent(self, number: int, sql: str, now_s: float | None) -> None:
        """Hear that a statement was sent then, or was done earlier."""
        if self.trying is None:
            return
        known = self.planned.statements if self.planned and self.planned.reading is Reading.EXACT else ()
        planned = known[number] if number < len(known) else None
        self.trying.numbers.append(number)
        self.trying.statements.append(
            StatementStory(
                sql=sql,
                span=None if now_s is None else Span(start_s=now_s, end_s=now_s),
                done=now_s is None,
                locks=planned.locks if planned else (),
                ours=planned.ours if planned else True,
            )
        )

    def executed(self, seconds: float) -> None:
        """Hear that the statement in flight is done."""
        if self.trying and self.trying.statements:
            self._close_statement(self.trying, seconds, done=True)

    def ended(self, now_s: float, ending: Ending, why: str = "", blockers: tuple[Blocker, ...] = ()) -> None:
        """Hear how the attempt ended."""
        self.go_on(now_s)
        tried, self.trying = self.trying, None
        if tried is None:
            return
        last = tried.statements[-1] if tried.statements else None
        if last and last.span and not last.done:
            self._close_statement(tried, now_s - last.span.start_s, done=False)
        commit = None if tried.commit_s is None else Span(start_s=tried.commit_s, end_s=now_s)
        self.attempts.append(
            Attempt(
                number=tried.number,
                span=Span(start_s=tried.start_s, end_s=now_s),
                ending=ending,
                why=why,
                statements=tuple(tried.statements),
                held=self._held(tried, now_s),
                commit=commit,
                left_out=tried.numbers[-1] + 1 - len(tried.numbers) if tried.numbers else 0,
                blockers=blockers,
            )
        )

    def ending_after(self, exit_: Exit) -> Ending:
        """Return how the attempt that is under way ended by an error with that exit status.

        Who stops at once does not wait to see which of several transactions were committed, or whether the last was.
        """
        stopped = exit_ in {Exit.INTERRUPTED, Exit.TERMINATED}
        whole = self.planned is not None and self.planned.reading is Reading.EXACT and self.planned.transactions == 1
        if stopped and self.trying and not (whole and self.trying.commit_s is None):
            return Ending.UNKNOWN
        return _ENDINGS.get(exit_, Ending.ROLLED_BACK)

    def story(self) -> StepStory:
        """Return what was told."""
        seen = self.committed
        return StepStory(
            revision=self.revision,
            direction=self.direction,
            title=self.title,
            planned=self.planned,
            waits=tuple(self.waits),
            attempts=tuple(self.attempts),
            ending=self.attempts[-1].ending if self.attempts else self.unbegun,
            seconds=seen.seconds if seen else 0.0,
            log_hash=seen.log_hash if seen else "",
            log_follows=seen.log_follows if seen else "",
        )

    @staticmethod
    def _close_statement(tried: _Try, seconds: float, *, done: bool) -> None:
        last = tried.statements[-1]
        if last.span:
            span = Span(start_s=last.span.start_s, end_s=last.span.start_s + seconds)
            tried.statements[-1] = replace(last, span=span, done=done)

    def _held(self, tried: _Try, now_s: float) -> tuple[Span, ...]:
        """Return when others may have waited: from a statement with such a lock to the end of its transaction."""
        known = self.planned.statements if self.planned else ()
        spans: list[Span] = []
        by_transaction: dict[int, list[StatementStory]] = {}
        for number, statement in zip(tried.numbers, tried.statements, strict=True):
            if number < len(known) and statement.span:
                by_transaction.setdefault(known[number].transaction, []).append(statement)
        for transaction, statements in by_transaction.items():
            since = next((s.span for s in statements if s.locks), None)
            until = statements[-1].span
            if since and until:
                last = transaction == max(by_transaction)
                spans.append(Span(start_s=since.start_s, end_s=now_s if last else until.end_s))
        return tuple(spans)


class _Story:
    """A run while it is being told."""

    def __init__(self, began_at: datetime) -> None:
        self._began_at = began_at
        self.plan: PlanOutline | None = None
        self.gates: dict[str, Judgement] = {}
        self.before: list[Judgement] = []
        self.after: list[Judgement] = []
        self.failure: Failed | None = None
        self.backup: BackupStory | None = None
        self.lease: Span | None = None
        self.checked: list[Span] = []
        self.unread = 0
        self._steps: dict[str, _Step] = {}
        self._lease_since: float | None = None
        self._verifying_since = 0.0
        self._heads: tuple[str, ...] | None = None

    def hear(self, happening: Happening) -> None:
        """Take in one event."""
        now_s = (happening.at - self._began_at).total_seconds()
        event = happening.event
        match event:
            case None:
                self.unread += 1
            case PlanOutline():
                self.plan = event
            case GateJudged(judgement=judgement):
                self.gates[judgement.name] = judgement
            case LeaseWaiting():
                self._lease_since = now_s if self._lease_since is None else self._lease_since
            case LeaseTaken():
                since = now_s if self._lease_since is None else self._lease_since
                self.lease = Span(start_s=since, end_s=now_s)
            case BackupStarted(id=id_, forecast=forecast):
                self.backup = BackupStory(id=id_, forecast=forecast, span=Span(start_s=now_s, end_s=now_s))
            case BackupProgressed() | BackupMade() | BackupProved():
                self._hear_backup(event, now_s)
            case VerifyStarted():
                self._verifying_since = now_s
                self.checked.append(Span(start_s=now_s, end_s=now_s))
            case CheckJudged(judgement=judgement):
                self.checked[-1:] = [Span(start_s=self._verifying_since, end_s=now_s)]
                (self.after if self.lease else self.before).append(judgement)
            case Failed():
                self.failure = event
                for step in self._steps.values():
                    step.ended(now_s, step.ending_after(Exit(event.exit)), event.why)
            case _:
                self._hear_step(event, now_s)

    def _hear_backup(self, event: BackupProgressed | BackupMade | BackupProved, now_s: float) -> None:
        if self.backup is None:
            return
        self.backup = replace(self.backup, span=Span(start_s=self.backup.span.start_s, end_s=now_s))
        match event:
            case BackupMade(bytes=bytes_, seconds=seconds):
                self.backup = replace(self.backup, bytes=bytes_, seconds=seconds)
            case BackupProved(proof=proof):
                self.backup = replace(self.backup, proof=proof)
            case BackupProgressed():
                pass

    def _hear_step(self, event: Event, now_s: float) -> None:
        match event:
            case Waiting(revision=revision, blockers=blockers, waited_s=waited_s):
                self._step(revision).wait(now_s - waited_s, "others hold what it needs", blockers)
            case WaitingForAutovacuum(revision=revision, blockers=blockers):
                self._step(revision).wait(now_s, "autovacuum holds what it needs", blockers)
            case StepStarted(revision=revision, title=title, direction=direction, attempt=attempt):
                step = self._step(revision, direction, title)
                step.go_on(now_s)
                step.trying = _Try(number=attempt, start_s=now_s)
            case StatementStarted(revision=revision, index=index, sql=sql):
                self._step(revision).sent(index, sql, now_s)
            case StatementSkipped(revision=revision, index=index, sql=sql):
                self._step(revision).sent(index, sql, None)
            case StatementDone(revision=revision, seconds=seconds):
                self._step(revision).executed(seconds)
            case Committing(revision=revision):
                tried = self._step(revision).trying
                if tried:
                    tried.commit_s = now_s
            case Committed(revision=revision, heads=heads):
                step = self._step(revision)
                step.ended(now_s, Ending.COMMITTED)
                step.committed = event
                self._heads = heads if event.log_hash else self._heads
            case StepRetried(revision=revision, cause=cause, blockers=blockers):
                step = self._step(revision)
                step.ended(now_s, Ending.ROLLED_BACK, cause, blockers)
                step.wait(now_s, "pause before the next attempt", ())
            case _:  # how far a long statement is; what a journal has no need of
                pass

    def _step(self, revision: str, direction: Direction = Direction.UPGRADE, title: str = "") -> _Step:
        planned = next((s for s in self.plan.steps if s.revision == revision), None) if self.plan else None
        step = self._steps.get(revision)
        if step is None:
            direction, title = (planned.direction, planned.title) if planned else (direction, title)
            step = self._steps[revision] = _Step(revision, direction, title, planned)
        return step

    def end(self, run: Run, now_s: float) -> None:
        """Hear that nothing more was told."""
        self.told_steps()
        for step in self._steps.values():
            step.ended(now_s, Ending.UNKNOWN, run.message or "nothing more was told")
            if run.state is RunState.RUNNING:
                step.unbegun = Ending.UNKNOWN

    def heads(self, run: Run) -> tuple[str, ...]:
        """Return the version table's rows as the run last saw them."""
        if self._heads is not None:
            return self._heads
        return run.goal if run.state is RunState.DONE else run.start

    def told_steps(self) -> tuple[StepStory, ...]:
        """Return every step of the plan, and those of a plan that is not known."""
        for outline in self.plan.steps if self.plan else ():
            self._step(outline.revision)
        order = [s.revision for s in self.plan.steps] if self.plan else []
        return tuple(
            step.story()
            for step in sorted(
                self._steps.values(),
                key=lambda s: order.index(s.revision) if s.revision in order else -1,
            )
        )

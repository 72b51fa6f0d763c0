"""Runs one step of a plan: look, begin, bound every lock, write the log, commit; again when a lock was missed."""

from __future__ import annotations

import random
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause
from handrail.errors import ConnectionLost, Halfway, HandrailError, LockBudgetSpent, StepFailed
from handrail.flows.attempt import Attempt, Session
from handrail.history import execute
from handrail.history.guard import Raised
from handrail.journal import statement_log
from handrail.model.effect import Blocker
from handrail.model.plan import Step, moved
from handrail.model.run import Committed, StepRetried, StepStarted, Waiting
from handrail.model.standing import DONE

_LOOK_EVERY_S = 0.05
_TELL_EVERY_S = 2.0
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MOST_S = 30.0
_RETRIED = frozenset({Cause.LOCK_TIMEOUT, Cause.DEADLOCK, Cause.SERIALIZATION})


class Stepper:
    """Runs the steps of one run, one after the other."""

    def __init__(self, session: Session) -> None:
        self._s = session

    def step(self, step: Step) -> None:
        """Apply or undo one revision. Raises StepFailed, LockBudgetSpent, Halfway, ConnectionLost, LeaseLost."""
        budget_ends = self._s.ports.clock.monotonic() + self._s.ports.environment.lock.budget.total_seconds()
        attempt = 1
        while True:
            self._wait_until_quiet(step, budget_ends)
            began = self._s.ports.clock.monotonic()
            self._emit_started(step, attempt)
            tried = Attempt(self._s, step)
            raised = self._run(step, tried)
            if raised is None:
                self._committed(step, tried, began)
                return
            self._retry_or_raise(step, tried, raised, attempt, budget_ends)
            attempt += 1

    def _emit_started(self, step: Step, attempt: int) -> None:
        self._s.ports.emit(
            StepStarted(revision=step.revision.id, title=step.revision.title, direction=step.direction, attempt=attempt)
        )

    def _committed(self, step: Step, tried: Attempt, began: float) -> None:
        seconds = self._s.ports.clock.monotonic() - began
        self._s.heads = moved(self._s.heads, step.revision, step.direction)
        if tried.log_entry:
            self._s.log_head = tried.log_entry.hash
        self._s.ports.emit(Committed(revision=step.revision.id, direction=step.direction, seconds=seconds))

    def _run(self, step: Step, tried: Attempt) -> Raised | None:
        self._s.ports.engine.before_step(self._s.conn)
        try:
            return execute.run(
                self._s.conn,
                project=self._s.ports.project,
                graph=self._s.ports.graph,
                env=self._s.ports.env,
                revision=step.revision,
                direction=step.direction,
                hooks=tried,
            )
        finally:
            with suppress(DBAPIError):  # a broken connection has nothing to restore
                self._s.ports.engine.after_step(self._s.conn)

    def _wait_until_quiet(self, step: Step, budget_ends: float) -> None:
        """Wait, holding nothing, until no older transaction holds what the step will lock."""
        relations = step.strong_relations
        older_than_s = self._s.ports.environment.lock.timeout.total_seconds()
        clock, began, told = self._s.ports.clock, self._s.ports.clock.monotonic(), float("-inf")
        while relations and not self._s.ports.stop.requested:
            blockers = self._s.ports.engine.locks.blockers(self._s.watch, relations, older_than_s=older_than_s)
            if not blockers:
                return
            now = clock.monotonic()
            if now >= budget_ends:
                raise self._budget_spent(step, blockers)
            if now - told >= _TELL_EVERY_S:
                self._s.ports.emit(Waiting(revision=step.revision.id, blockers=blockers, waited_s=now - began))
                told = now
            clock.sleep(_LOOK_EVERY_S)

    def _retry_or_raise(self, step: Step, tried: Attempt, raised: Raised, attempt: int, budget_ends: float) -> None:
        cause = self._s.ports.engine.classify(raised.exception)
        if cause is Cause.CONNECTION_LOST:
            raise ConnectionLost(
                what=f"the connection was lost during {step.revision.id}; whether it was committed is not known yet",
                why=raised.summary,
                fix=f"handrail status -e {self._s.ports.environment.name} looks it up",
            ) from raised.exception
        tried.discard_broken()
        if cause not in _RETRIED:
            raise self._failed(step, tried, raised, cause) from raised.exception
        blockers = self._blockers(step)
        if self._s.ports.clock.monotonic() >= budget_ends or not step.exact:
            raise self._budget_spent(step, blockers) from raised.exception
        delay_s = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        self._s.ports.emit(
            StepRetried(
                revision=step.revision.id, cause=cause.value, attempt=attempt, delay_s=delay_s, blockers=blockers
            )
        )
        self._s.ports.clock.sleep(delay_s)

    def _blockers(self, step: Step) -> tuple[Blocker, ...]:
        relations = step.strong_relations
        return self._s.ports.engine.locks.blockers(self._s.watch, relations, older_than_s=0.0) if relations else ()

    def _budget_spent(self, step: Step, blockers: tuple[Blocker, ...]) -> HandrailError:
        names = "; ".join(b.describe() for b in blockers[:3]) or "the holders are gone by now"
        spent = f"the locks of {step.revision.id} were not to be had"
        if not step.exact:
            spent = f"a lock of {step.revision.id} was missed; not retried by itself ({step.recorded.reason})"
        return self._standing(
            step,
            LockBudgetSpent,
            what=spent,
            why=names,
            fix=f"end the holder or wait for it, then: {self._again}",
        )

    @property
    def _again(self) -> str:
        return f"handrail {self._s.run.command} -e {self._s.ports.environment.name}"

    def _failed(self, step: Step, tried: Attempt, raised: Raised, cause: Cause) -> HandrailError:
        if isinstance(raised.exception, HandrailError):
            return raised.exception
        if cause is Cause.CANCELED and tried.holds_strong_lock:
            hold = self._s.ports.environment.lock.hold.total_seconds()
            return self._standing(
                step,
                StepFailed,
                what=f"{step.revision.id} held a lock that others wait for longer than lock.hold",
                why=f"{tried.strong_lock} for more than {hold:g} s",
                fix="move the long work before the lock or into a revision of its own, or raise lock.hold",
            )
        place = f" ({raised.place.file}:{raised.place.line})" if raised.place else ""
        return self._standing(
            step,
            StepFailed,
            what=f"{step.direction.value} {step.revision.id} failed",
            why=f"{raised.summary}{place}",
            fix=f"correct the revision, then: {self._again}",
        )

    def _standing(self, step: Step, kind: type[StepFailed], *, what: str, why: str, fix: str) -> HandrailError:
        """Return the error with the state the database is in: as before the revision, or halfway."""
        done = [r for r in statement_log.read(self._s.watch, self._s.ports.engine) if r.state == DONE]
        if done:
            return Halfway(
                what=f"{what}; {len(done)} of its statements are committed",
                why=why,
                fix=f"handrail resume -e {self._s.ports.environment.name}, or correct by hand and resume",
            )
        if step.resumable or not step.exact:
            statement_log.forget(self._s.watch, self._s.ports.engine, step.revision.id)
        return kind(what=f"{what}; the database is as it was before this revision", why=why, fix=fix)

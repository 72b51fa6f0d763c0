"""Runs one step of a plan: look, begin, bound every lock, write the log, commit; again when a lock was missed."""

from __future__ import annotations

import random
from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause
from handrail.errors import (
    ConnectionLost,
    FenceBreach,
    Halfway,
    HandrailError,
    LockBudgetSpent,
    LockHoldSpent,
    StepFailed,
)
from handrail.flows.run.attempt import Attempt, Session
from handrail.flows.run.bounds import Bounds
from handrail.history.execute import Driver
from handrail.history.fencing.guard import Raised
from handrail.journal import statement_log
from handrail.model.effect import Blocker
from handrail.model.plan import Step
from handrail.model.run import Committed, StepRetried, StepStarted, Waiting, WaitingForAutovacuum
from handrail.model.standing import DONE

_LOOK_EVERY_S = 0.05
_TELL_EVERY_S = 2.0
_BACKOFF_FIRST_S = 0.1
_BACKOFF_MOST_S = 30.0
_NAMED = 3
_REMEDIES = {
    Cause.DENIED: "grant the right, or name a user who has it in the environment's url",
    Cause.DISK_FULL: "free disk space",
    Cause.READ_ONLY: "make the database writable, or name the primary in the environment's url",
}
_RETRIED = frozenset({Cause.LOCK_TIMEOUT, Cause.DEADLOCK, Cause.SERIALIZATION})


class Stepper:
    """Runs the steps of one run, one after the other."""

    def __init__(self, session: Session) -> None:
        self._s = session
        self._bounds = Bounds(session)
        ports = session.ports
        self._driver = Driver(session.conn, project=ports.project, graph=ports.graph, env=ports.env)
        self._done: list[str] = []

    def step(self, step: Step) -> None:
        """Apply or undo one revision.

        Raises StepFailed, LockBudgetSpent, Halfway, ConnectionLost, LeaseLost, and Interrupted where a signal asked to
        stop before it was begun.
        """
        budget_ends = self._s.ports.clock.monotonic() + self._s.ports.environment.lock.budget.total_seconds()
        attempt, patient = 1, True
        while True:
            wait_s = self._wait_until_quiet(step, budget_ends, patient=patient)
            patient = patient and wait_s == self._wait_s
            self._stop_if_asked()
            began = self._s.ports.clock.monotonic()
            self._emit_started(step, attempt)
            self._bounds.begin(wait_s)
            tried = Attempt(self._s, step, self._bounds)
            tried.refuse_undecidable()
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
        self._s.heads = tried.heads_after
        self._done.append(step.revision.id)
        entry = tried.log_entry
        if entry:
            self._s.log_head = entry.hash
        self._s.ports.emit(
            Committed(
                revision=step.revision.id,
                direction=step.direction,
                seconds=seconds,
                heads=self._s.heads,
                log_hash=entry.hash if entry else "",
                log_follows=entry.prev_hash if entry else "",
            )
        )

    def _run(self, step: Step, tried: Attempt) -> Raised | None:
        self._s.ports.engine.before_step(self._s.conn)
        try:
            return self._driver.run(step.revision, step.direction, hooks=tried, heads=self._s.heads)
        except LockHoldSpent as exc:
            raise self._held_too_long(step, exc) from exc
        except (StepFailed, FenceBreach) as exc:
            raise self._standing(StepFailed, what=exc.what, why=exc.why, fix=exc.fix) from exc
        finally:
            tried.end_watch()
            with suppress(DBAPIError):  # a broken connection has nothing to restore
                self._s.ports.engine.after_step(self._s.conn)

    @property
    def _wait_s(self) -> float:
        return self._s.ports.environment.lock.timeout.total_seconds()

    def _wait_until_quiet(self, step: Step, budget_ends: float, *, patient: bool) -> float:
        """Wait, holding nothing, until no older transaction holds what the step would wait for.

        Return how long its statements may wait for a lock, in seconds: lock.timeout, or once, where `patient`, long
        enough for the server to end an autovacuum that we may not end ourselves.
        """
        wanted = tuple(lock for lock in step.strong_locks if not lock.guessed)  # lock_timeout alone bounds those
        locks, clock = self._s.ports.engine.locks, self._s.ports.clock
        began, told = clock.monotonic(), float("-inf")
        while wanted and not self._s.ports.stop.requested:
            blockers = locks.blockers(self._s.watch, wanted, older_than_s=self._wait_s)
            if not blockers:
                break
            now = clock.monotonic()
            if now >= budget_ends:
                raise self._budget_spent(step, blockers)
            if now - told >= _TELL_EVERY_S:
                self._s.ports.emit(Waiting(revision=step.revision.id, blockers=blockers, waited_s=now - began))
                told = now
            if all(b.autovacuum for b in blockers) and not self._cancelled(blockers) and patient:
                wait_s = locks.autovacuum_yields_after_s(self._s.watch)
                self._s.ports.emit(WaitingForAutovacuum(revision=step.revision.id, blockers=blockers, wait_s=wait_s))
                return wait_s
            clock.sleep(_LOOK_EVERY_S)
        return self._wait_s

    def _cancelled(self, blockers: tuple[Blocker, ...]) -> bool:
        """Ask each autovacuum to give way; whether we may."""
        locks = self._s.ports.engine.locks
        return all(b.pid is not None and locks.cancel_autovacuum(self._s.watch, b.pid) for b in blockers)

    def _retry_or_raise(self, step: Step, tried: Attempt, raised: Raised, attempt: int, budget_ends: float) -> None:
        if self._s.ports.stop.at_once:  # what was raised on the way out hides the interruption
            raise KeyboardInterrupt from raised.exception
        # leaving an autocommit block on a broken connection raises something else, which hides why
        lost = self._s.conn.invalidated
        cause = Cause.CONNECTION_LOST if lost else self._s.ports.engine.classify(raised.exception)
        if self._ended_for_its_hold(tried, cause):
            tried.clear_away()
            raise self._held_too_long(step, self._bounds.hold_error()) from raised.exception
        if cause is Cause.CONNECTION_LOST:
            raise ConnectionLost(
                what=f"the connection was lost during {step.revision.id}; whether it was committed is not known yet",
                why=raised.summary,
                fix=f"handrail status -e {self._s.ports.environment.name} looks it up",
            ) from raised.exception
        tried.clear_away()
        if cause not in _RETRIED:
            raise self._failed(step, raised, cause) from raised.exception
        blockers = self._blockers(step)
        left_s = budget_ends - self._s.ports.clock.monotonic()
        if left_s <= 0 or not step.exact:
            raise self._budget_spent(step, blockers) from raised.exception
        backoff_s = min(_BACKOFF_MOST_S, _BACKOFF_FIRST_S * 2 ** (attempt - 1)) * random.uniform(0.5, 1.5)  # noqa: S311 - jitter
        delay_s = min(backoff_s, left_s)
        self._s.ports.emit(
            StepRetried(
                revision=step.revision.id, cause=cause.value, attempt=attempt, delay_s=delay_s, blockers=blockers
            )
        )
        self._pause(delay_s)

    def _pause(self, delay_s: float) -> None:
        clock = self._s.ports.clock
        ends = clock.monotonic() + delay_s
        while not self._s.ports.stop.requested and (left_s := ends - clock.monotonic()) > 0:
            clock.sleep(min(left_s, _LOOK_EVERY_S))

    def _stop_if_asked(self) -> None:
        """Raise Interrupted where a signal asked for it; called where nothing is open."""
        if self._s.ports.stop.requested:
            raise self._s.ports.stop.error(
                what=f"stopped at a safe point; the database is at {', '.join(self._s.heads) or 'base'}",
                fix=f"handrail resume -e {self._s.ports.environment.name}",
            )

    def _blockers(self, step: Step) -> tuple[Blocker, ...]:
        wanted = step.strong_locks
        return self._s.ports.engine.locks.blockers(self._s.watch, wanted, older_than_s=0.0) if wanted else ()

    def _budget_spent(self, step: Step, blockers: tuple[Blocker, ...]) -> HandrailError:
        names = "; ".join(b.describe() for b in blockers[:3]) or "the holders are gone by now"
        spent = f"the locks of {step.revision.id} were not to be had"
        if not step.exact:
            spent = f"a lock of {step.revision.id} was missed; not retried by itself ({step.recorded.reason})"
        return self._standing(
            LockBudgetSpent,
            what=spent,
            why=names,
            fix=f"end the holder or wait for it, then: {self._again}",
        )

    @property
    def _again(self) -> str:
        return f"handrail {self._s.run.command} -e {self._s.ports.environment.name}"

    def _ended_for_its_hold(self, tried: Attempt, cause: Cause) -> bool:
        """Whether the server ended the statement, or the idle session, because of lock.hold; COMMIT was not sent."""
        if tried.log_entry is not None:
            return False
        return (cause is Cause.CANCELED and self._bounds.holding) or (
            cause is Cause.CONNECTION_LOST and self._bounds.hold_spent
        )

    def _held_too_long(self, step: Step, exc: LockHoldSpent) -> HandrailError:
        return self._standing(LockHoldSpent, what=f"{step.revision.id}: {exc.what}", why=exc.why, fix=exc.fix)

    def _failed(self, step: Step, raised: Raised, cause: Cause) -> HandrailError:
        if isinstance(raised.exception, HandrailError):
            return raised.exception
        place = f" ({raised.place.file}:{raised.place.line})" if raised.place else ""
        return self._standing(
            StepFailed,
            what=f"{step.direction.value} {step.revision.id} failed",
            why=f"{raised.summary}{place}",
            fix=f"{_REMEDIES.get(cause, 'correct the revision')}, then: {self._again}",
        )

    def _standing(self, kind: type[StepFailed], *, what: str, why: str, fix: str) -> HandrailError:
        """Return the error with the state the database is in: as before the revision, or halfway."""
        records = statement_log.read(self._s.watch, self._s.ports.engine)
        if records:
            done = sum(r.state == DONE for r in records)
            return Halfway(
                what=f"{what}; {done} of its statements are committed",
                why=why,
                fix=f"remove the reason, then: handrail resume -e {self._s.ports.environment.name}",
            )
        state = f"the database is as it was before this revision, at {', '.join(self._s.heads) or 'base'}"
        return kind(what=f"{what}; {state}{self._stays_done}", why=why, fix=fix)

    @property
    def _stays_done(self) -> str:
        """What this run has done before, which stays; '' where that is nothing."""
        done = self._done
        if not done:
            return ""
        names = ", ".join(done) if len(done) <= _NAMED else f"{done[0]} to {done[-1]} ({len(done)} revisions)"
        return f"; before it this run committed {names}"

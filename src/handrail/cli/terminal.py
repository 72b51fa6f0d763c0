"""Tells a run's events on stderr while they happen: one line each, and a heartbeat when nothing is to tell."""

from __future__ import annotations

import sys
import threading
import time
from typing import TYPE_CHECKING, Self, assert_never

import click

from handrail.errors import HandrailError
from handrail.host.secrets import mask
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
    LeaseTaken,
    LeaseWaiting,
    Planned,
    Progressed,
    RunEnded,
    StatementDone,
    StatementSkipped,
    StatementStarted,
    StepRetried,
    StepStarted,
    VerifyStarted,
    Waiting,
    WaitingForAutovacuum,
)
from handrail.reports import backup_text, plan_text, text

if TYPE_CHECKING:
    from handrail.cli.spinner import Spinner


class Terminal:
    """The subscriber of the terminal; a context manager because of what it does between events.

    At a terminal a line turns while the run is going on. Elsewhere it says every `heartbeat_s` that it is alive,
    because CI systems end jobs that are silent.
    """

    def __init__(self, *, heartbeat_s: float = 20.0) -> None:
        self._heartbeat_s = heartbeat_s
        self._last = time.monotonic()
        self._doing = "planning"
        self._run = ""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="handrail-terminal", daemon=True)
        self._spinner = _spinner()

    def __enter__(self) -> Self:
        if self._spinner is None:
            self._thread.start()
        return self

    def __exit__(self, _kind: object, exc: BaseException | None, _traceback: object) -> None:
        if self._spinner is not None:
            self._spinner.stop()
        else:
            self._stop.set()
            self._thread.join()
        if self._run and isinstance(exc, HandrailError):
            exc.report = f"handrail report {self._run}"  # told with the error, which comes last
        elif self._run:
            click.echo(f"report: handrail report {self._run}", err=True)

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        line = _line(event)
        if line:
            line = mask(line)
            self._last = time.monotonic()
            self._doing = line.strip()
            self._tell(line)
        if isinstance(event, RunEnded):
            self._run = event.run.id
        if isinstance(event, StatementStarted):
            self._doing = mask("running " + " ".join(event.sql.split())[:60])
        if isinstance(event, BackupProgressed):
            self._doing = backup_text.progress(event)
        if self._spinner is not None:
            self._turn(self._spinner, event)

    def _tell(self, line: str) -> None:
        if self._spinner is not None:
            self._spinner.tell(line)
        else:
            click.echo(line, err=True)

    def _turn(self, spinner: Spinner, event: Event) -> None:
        """Turn from the lease to the end of the run, when nobody is asked anything any more, and while verifying."""
        if isinstance(event, RunEnded | CheckJudged):
            spinner.stop()
        elif not isinstance(event, Planned | GateJudged):
            spinner.turn(self._doing)

    def _beat(self) -> None:
        while not self._stop.wait(min(1.0, self._heartbeat_s / 4)):
            quiet_s = time.monotonic() - self._last
            if quiet_s >= self._heartbeat_s:
                self._last = time.monotonic()
                click.echo(f"  still {self._doing} ({quiet_s:.0f} s)", err=True)


def _spinner() -> Spinner | None:
    if not sys.stderr.isatty():
        return None
    from handrail.cli.spinner import Spinner  # noqa: PLC0415 - rich is for people at a terminal only

    return Spinner()


def _line(event: Event) -> str:
    """Return what is told of an event, '' for nothing."""
    match event:
        case StatementStarted() | StatementDone() | Committing() | Failed() | RunEnded():
            line = ""
        case Planned(plan=plan):
            line = plan_text.outline(plan)
        case GateJudged(judgement=judgement) | CheckJudged(judgement=judgement):
            line = text.judgements((judgement,))
        case LeaseWaiting(holder=holder):
            line = f"waiting for the lease: {holder}"
        case LeaseTaken(token=token):
            line = f"lease taken (token {token})"
        case VerifyStarted(heads=heads):
            line = f"verifying at {text.heads(heads)}"
        case BackupStarted() | BackupProgressed() | BackupMade() | BackupProved():
            line = backup_text.line(event)
        case _:
            line = _step_line(event)
    return line


def _step_line(
    event: Waiting | WaitingForAutovacuum | StepStarted | StatementSkipped | Progressed | Committed | StepRetried,
) -> str:
    match event:
        case Waiting(revision=revision, blockers=blockers, waited_s=waited_s):
            names = "; ".join(b.describe() for b in blockers[:3])
            line = f"  {revision} waits, holding nothing ({waited_s:.1f} s): {names}"
        case WaitingForAutovacuum(revision=revision, blockers=blockers, wait_s=wait_s):
            names = "; ".join(b.describe() for b in blockers[:3])
            line = f"  {revision} tries once, up to {wait_s:.1f} s, so that the server ends autovacuum: {names}"
        case StepStarted(revision=revision, title=title, direction=direction, attempt=attempt):
            again = f" (attempt {attempt})" if attempt > 1 else ""
            line = f"{direction.value} {revision}  {title}{again}"
        case StatementSkipped(sql=sql):
            line = f"  done by the interrupted run: {' '.join(sql.split())[:80]}"
        case Progressed(phase=phase, done=done, total=total, blockers=blockers):
            line = f"  {phase}: {done} of {total}" if total else f"  {phase}"
            line += "".join(f"; {b.describe()}" for b in blockers[:3])
        case Committed(seconds=seconds):
            line = f"  committed after {seconds:.2f} s"
        case StepRetried(cause=cause, attempt=attempt, delay_s=delay_s, blockers=blockers):
            names = "; ".join(b.describe() for b in blockers[:3]) or "the holder is gone"
            line = f"  {cause} in attempt {attempt}, rolled back, again in {delay_s:.1f} s: {names}"
        case _:
            assert_never(event)
    return line

"""What happened: a run and its events. Terminal and journal subscribe to the events."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from handrail.model.backup import Forecast, Proof
from handrail.model.effect import Blocker
from handrail.model.plan import Plan
from handrail.model.revision import Direction
from handrail.model.verdict import Verdict
from handrail.model.violation import Violation


class RunState(Enum):
    """How a run ended, or that it has not."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One execution of a command that changes a database. `start` and `goal` are rows of the version table."""

    id: str
    command: str
    environment: str
    who: str
    host: str
    pid: int
    started_at: datetime
    start: tuple[str, ...] = ()
    goal: tuple[str, ...] = ()
    state: RunState = RunState.RUNNING
    ended_at: datetime | None = None
    message: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """The answer of one gate or check: its verdict, the reason in one sentence each, and the rows that break it."""

    name: str
    verdict: Verdict
    reason: str
    details: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """The plan stands."""

    plan: Plan


@dataclass(frozen=True, slots=True, kw_only=True)
class GateJudged:
    """A gate was asked."""

    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseWaiting:
    """Another run holds the lease; we wait."""

    holder: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseTaken:
    """The lease is ours; `token` fences every step."""

    token: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """Somebody holds what the next step needs; we hold nothing."""

    revision: str
    blockers: tuple[Blocker, ...]
    waited_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class WaitingForAutovacuum:
    """Only autovacuum holds what the next step needs; the step waits in the lock queue until the server ends it."""

    revision: str
    blockers: tuple[Blocker, ...]
    wait_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStarted:
    """A revision begins; `attempt` counts from 1."""

    revision: str
    title: str
    direction: Direction
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementStarted:
    """A statement is about to be sent."""

    revision: str
    index: int
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementDone:
    """A statement was executed."""

    revision: str
    index: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementSkipped:
    """A statement was done by an earlier, interrupted run."""

    revision: str
    index: int
    sql: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progressed:
    """A long statement reports how far it is, and whom it waits for."""

    revision: str
    phase: str
    done: int
    total: int
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Committing:
    """Everything of a revision is done in its transaction; COMMIT is next."""

    revision: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Committed:
    """A revision is applied or rolled back for good.

    `heads` are the version table's rows now; `log_hash` is the hash of its entry in the target's log, which follows the
    one with `log_follows`.
    """

    revision: str
    direction: Direction
    seconds: float
    heads: tuple[str, ...] = ()
    log_hash: str = ""
    log_follows: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRetried:
    """A lock was missed: the whole step was rolled back and will be tried again after `delay_s`."""

    revision: str
    cause: str
    attempt: int
    delay_s: float
    blockers: tuple[Blocker, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupStarted:
    """A backup begins; what it will take is said first."""

    id: str
    forecast: Forecast


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupProgressed:
    """A backup is in that phase; `done` of `total` bytes, 0 where not known, and the seconds left by that pace."""

    phase: str
    done: int = 0
    total: int = 0
    left_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupMade:
    """The archive is complete; whether it can be restored is not known yet."""

    id: str
    bytes: int
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupProved:
    """A backup was restored and compared, or could not be."""

    id: str
    proof: Proof


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyStarted:
    """The database is compared with what its revision should be."""

    heads: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckJudged:
    """A check was asked."""

    judgement: Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """An error ends the run: its three parts, and the exit status it stands for."""

    what: str
    why: str
    fix: str
    exit: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RunEnded:
    """The run is over."""

    run: Run


Event = (
    Planned
    | GateJudged
    | LeaseWaiting
    | LeaseTaken
    | Waiting
    | WaitingForAutovacuum
    | StepStarted
    | StatementStarted
    | StatementDone
    | StatementSkipped
    | Progressed
    | Committing
    | Committed
    | StepRetried
    | BackupStarted
    | BackupProgressed
    | BackupMade
    | BackupProved
    | VerifyStarted
    | CheckJudged
    | Failed
    | RunEnded
)

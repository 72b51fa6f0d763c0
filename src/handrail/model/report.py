"""The report of a run: what happened, told from its beginning to its end, from the journal alone.

Moments within the run are seconds since it began.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from handrail.model.backup import Forecast, Proof
from handrail.model.effect import Blocker, Blocks, Effect
from handrail.model.outline import PlanOutline, StepOutline
from handrail.model.revision import Direction
from handrail.model.run import Event, Failed, Judgement, Run
from handrail.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Happening:
    """One event of a run and when it was told; None where another version of Handrail wrote it in another form."""

    at: datetime
    event: Event | PlanOutline | None


class Ending(Enum):
    """How a step, or one attempt at it, ended."""

    COMMITTED = "committed"
    ROLLED_BACK = "rolled back"
    HALFWAY = "half applied"
    UNKNOWN = "unknown"
    NOT_BEGUN = "not begun"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """From when to when, in seconds since the run began."""

    start_s: float
    end_s: float

    @property
    def seconds(self) -> float:
        """How long it lasted."""
        return max(0.0, self.end_s - self.start_s)


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementStory:
    """One statement of an attempt. `span` is None for one that an earlier run had done.

    `done` is False where it failed or its end was never told. `locks` are those that make others wait, as planned.
    `ours` is whether the revision sent it; the others are Alembic's.
    """

    sql: str
    span: Span | None
    done: bool
    locks: tuple[Effect, ...]
    ours: bool

    @property
    def blocks(self) -> Blocks:
        """Whom the strongest of its locks keeps waiting."""
        return max((lock.blocks for lock in self.locks), default=Blocks.NOTHING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """A time in which nothing was held: for a blocker to go, or between two attempts."""

    span: Span
    blockers: tuple[Blocker, ...]
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a step. `held` are the times in which it held locks that others wait for; `why` says what ended it.

    `left_out` counts the statements before the last one that the journal has not kept.
    """

    number: int
    span: Span
    ending: Ending
    why: str
    statements: tuple[StatementStory, ...]
    held: tuple[Span, ...]
    commit: Span | None
    left_out: int = 0
    blockers: tuple[Blocker, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StepStory:
    """One step: as planned (None where the plan is not known), its waits and attempts, and its entry in the log."""

    revision: str
    direction: Direction
    title: str
    planned: StepOutline | None
    waits: tuple[Wait, ...]
    attempts: tuple[Attempt, ...]
    ending: Ending
    seconds: float = 0.0
    log_hash: str = ""
    log_follows: str = ""

    @property
    def course(self) -> tuple[Wait | Attempt, ...]:
        """Its waits and attempts, one after the other."""
        return tuple(sorted((*self.waits, *self.attempts), key=lambda moment: moment.span.start_s))

    @property
    def locks(self) -> tuple[Effect, ...]:
        """The locks that make others wait, as planned."""
        return self.planned.locks if self.planned else ()

    @property
    def held_s(self) -> float:
        """The longest time in which others may have waited for it."""
        return max((span.seconds for a in self.attempts for span in a.held), default=0.0)

    @property
    def waited_s(self) -> float:
        """How long it waited in all, holding nothing."""
        return sum(wait.span.seconds for wait in self.waits)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupStory:
    """The backup made before the first step. `bytes` and `proof` are None where the run did not come to them."""

    id: str
    forecast: Forecast
    span: Span
    bytes: int | None = None
    seconds: float = 0.0
    proof: Proof | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Advice:
    """Something to type, and what it is for."""

    command: str
    purpose: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """Everything known of a run.

    `headline` says what became of it and `standing` where that leaves the database, one sentence each; `next` is what
    to type and what for. `heads` are the version table's rows as the run last saw them. `later` are the runs on the
    same environment since, oldest first. `unread` counts the events that could not be read. `length_s` is from
    `began_at`, the first moment that is known, to the last one.
    """

    run: Run
    began_at: datetime
    verdict: Verdict
    headline: str
    standing: str
    next: tuple[Advice, ...]
    heads: tuple[str, ...]
    plan: PlanOutline | None
    gates: tuple[Judgement, ...]
    before: tuple[Judgement, ...]
    steps: tuple[StepStory, ...]
    after: tuple[Judgement, ...]
    failure: Failed | None
    backup: BackupStory | None
    lease: Span | None
    checked: tuple[Span, ...]
    length_s: float
    later: tuple[Run, ...] = ()
    unread: int = 0

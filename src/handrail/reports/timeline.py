"""When things happened within a run, as bars: places and widths in percent, so that any width can show them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handrail.model.effect import Blocks
from handrail.model.report import Attempt, Ending, Report, Span, StatementStory, StepStory
from handrail.reports import text

#: Narrower than this a bar could not be seen.
_NARROWEST = 0.4
_TICKS = 4
_BLOCKS = {
    Blocks.NOTHING: "free",
    Blocks.SCHEMA_CHANGES: "free",
    Blocks.WRITES: "writes",
    Blocks.READS_AND_WRITES: "all",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Bar:
    """One bar: its kind (a class of the style sheet), place and width in percent, and what it says when pointed at."""

    kind: str
    x: float
    width: float
    says: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The bars of one step (None: of the wait for the lease), back to front."""

    step: StepStory | None
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """A mark of the scale, `x` in percent."""

    x: float
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeline:
    """The lanes of a run over one scale, which is `span` of it."""

    span: Span
    ticks: tuple[Tick, ...]
    lanes: tuple[Lane, ...]


def timeline(report: Report) -> Timeline | None:
    """Return the timeline from the lease to the last step's end, None where no step was begun."""
    spans = [span for step in report.steps for span in _spans(step)]
    if not spans:
        return None
    waited = report.lease if report.lease and report.lease.seconds > 0 else None
    whole = _around([*spans, waited] if waited else spans)
    lanes = [Lane(step=step, bars=tuple(_bars(step, whole))) for step in report.steps if _spans(step)]
    if waited:
        says = f"waited for the lease, {text.duration(waited.seconds)}"
        lanes.insert(0, Lane(step=None, bars=(_bar("waiting", waited, whole, says),)))
    return Timeline(span=whole, ticks=tuple(_ticks(whole)), lanes=tuple(lanes))


def within(attempt: Attempt) -> tuple[Bar | None, ...]:
    """Return for each statement of an attempt its bar on the scale of the attempt, None for one done earlier."""
    return tuple(_statement(s, attempt.span) if s.span else None for s in attempt.statements)


def kind(statement: StatementStory) -> str:
    """Return which kind of bar a statement is, by whom it blocks."""
    return _BLOCKS[statement.blocks] if statement.done else "broken"


def _spans(step: StepStory) -> list[Span]:
    return [wait.span for wait in step.waits] + [attempt.span for attempt in step.attempts]


def _around(spans: list[Span]) -> Span:
    start = min(span.start_s for span in spans)
    return Span(start_s=start, end_s=max(start + 0.001, *(span.end_s for span in spans)))


def _bars(step: StepStory, whole: Span) -> Iterator[Bar]:
    for wait in step.waits:
        yield _bar("waiting", wait.span, whole, f"{wait.why}, {text.duration(wait.span.seconds)}")
    for attempt in step.attempts:
        good = attempt.ending is Ending.COMMITTED
        says = f"attempt {attempt.number} {attempt.ending.value}, {text.duration(attempt.span.seconds)}"
        yield _bar("attempt" if good else "attempt undone", attempt.span, whole, says)
        yield from (_statement(s, whole) for s in attempt.statements if s.span)
        if attempt.commit:
            yield _bar("commit", attempt.commit, whole, f"commit, {text.duration(attempt.commit.seconds)}")
        for held in attempt.held:
            yield _bar("held", held, whole, f"others may wait, {text.duration(held.seconds)}")


def _statement(statement: StatementStory, whole: Span) -> Bar:
    span = statement.span or whole
    locks = ", ".join(f"{lock.lock} on {lock.relation}" for lock in statement.locks)
    says = f"{text.duration(span.seconds)}: {' '.join(statement.sql.split())}" + (f" ({locks})" if locks else "")
    return _bar(kind(statement), span, whole, says)


def _bar(kind: str, span: Span, whole: Span, says: str) -> Bar:
    scale = 100 / max(whole.seconds, 1e-9)
    width = min(100.0, max(_NARROWEST, span.seconds * scale))
    x = min(max(0.0, (span.start_s - whole.start_s) * scale), 100 - width)
    return Bar(kind=kind, x=round(x, 3), width=round(width, 3), says=says)


def _ticks(whole: Span) -> Iterator[Tick]:
    step = _round(whole.seconds / _TICKS)
    number = 0
    while number * step <= whole.seconds * 1.0001:
        yield Tick(x=round(100 * number * step / whole.seconds, 3), label=_label(number * step))
        number += 1


def _label(seconds: float) -> str:
    if seconds == 0:
        return "0"
    if seconds < 1:
        return f"{seconds * 1000:g} ms"
    return f"{round(seconds, 3):g} s" if seconds < 60 else text.duration(seconds)  # noqa: PLR2004 - a minute


def _round(seconds: float) -> float:
    """Return the next larger length that a person would choose for a scale."""
    nice = [m * 10.0**e for e in range(-5, 2) for m in (1, 2, 5)]
    nice += [60.0 * m for m in (1, 2, 5, 10, 15, 30, 60, 120, 240, 480, 1440)]
    return next((n for n in sorted(nice) if n >= seconds), seconds)

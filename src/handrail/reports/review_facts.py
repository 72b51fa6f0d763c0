"""What a database adds to a finding, and to a review as a whole, in lines of text."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.effect import Blocks
from handrail.model.estimate import Estimate
from handrail.model.finding import Finding
from handrail.model.review import Review
from handrail.model.violation import Counted
from handrail.reports.text import count, duration, moment

#: How many unknown counts the last lines name.
_NAMED = 3
_WAITING = {
    Blocks.WRITES: "writes",
    Blocks.READS_AND_WRITES: "reads and writes",
    Blocks.SCHEMA_CHANGES: "schema changes",
    Blocks.NOTHING: "nobody",
}
_STEP = 1000
_UNITS = ("B", "kB", "MB", "GB", "TB", "PB")


def facts(finding: Finding) -> Iterator[str]:
    """Yield the rows that were counted, how long others would wait, and what CASCADE takes; nothing without those."""
    for counted in finding.counted:
        yield f"rows: {counted.describe()}"
        if counted.violation is not None:
            yield f"query: {counted.violation.query}"
    if finding.estimate is not None:
        yield f"wait: {estimate(finding.estimate)}"
    if finding.dependants is not None:
        yield f"takes: {', '.join(finding.dependants) or 'nothing else, as the database is now'}"


def estimate(value: Estimate) -> str:
    """Return e.g. `writes to users wait 0.01 s to 0.3 s (SHARE, 5.2 MB read and sorted into an index); ...`."""
    return (
        f"{_WAITING[value.blocks]} of {value.table} wait {duration(value.low_s)} to {duration(value.high_s)} "
        f"({value.lock}, {size(value.bytes)} {value.work.value}), by order of magnitude: not measured here"
    )


def size(number: float) -> str:
    """A number of bytes, in the unit a person would choose."""
    for unit in _UNITS:
        if number < _STEP or unit == _UNITS[-1]:
            return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004 - two digits say enough
        number /= _STEP
    raise AssertionError


def standing(found: Review) -> Iterator[str]:
    """Yield which database the review rests on and how much of its rows was counted; nothing without one."""
    database = found.database
    if database is None:
        return
    at = ", ".join(database.heads) or "base"
    known = sum(isinstance(s.rows, int) for s in database.sizes)
    source = f"{database.file}, " if database.file else ""
    yield (
        f"database: {database.environment}, {database.server}, at {at} ({source}{moment(database.taken_at)}); "
        f"rows known for {known} of {count(len(database.sizes), 'table')}"
    )
    if found.counted:
        yield rows(found.counted)


def rows(counted: tuple[Counted, ...]) -> str:
    """Return e.g. `rows: 4 questions, 1 with rows that break it, 2 not known: nulls in users (email): ...`."""
    broken = sum(c.violation is not None for c in counted)
    unknown = [c for c in counted if c.unknown]
    named = "; ".join(c.describe() for c in unknown[:_NAMED])
    more = f"; and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    told = f", {len(unknown)} not known: {named}{more}" if unknown else ""
    return f"rows: {count(len(counted), 'question')} asked, {broken} with rows that break it{told}"

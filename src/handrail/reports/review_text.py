"""A review as plain text: each finding with its line of source, a caret, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from handrail.model.finding import Finding
from handrail.model.operation import Reading
from handrail.model.review import Coverage, Review
from handrail.model.verdict import Confidence, Severity
from handrail.reports import review_facts
from handrail.reports.text import count

#: How many unread functions the last line names.
_NAMED = 3


def report(found: Review, root: Path) -> str:
    """Return the findings in the order of the history, then what was read."""
    lines: list[str] = []
    for finding in found.findings:
        lines += [*told(finding, found, root), ""]
    lines += [f"note: {note}" for note in found.notes]
    lines += review_facts.standing(found)
    lines.append(summary(found))
    lines.append(coverage(found))
    return "\n".join(lines)


def shown(file: str, root: Path) -> str:
    """Return a file's path from the project's folder."""
    path = Path(file)
    return path.relative_to(root).as_posix() if path.is_relative_to(root) else file


def told(finding: Finding, found: Review, root: Path) -> Iterator[str]:
    """Yield one finding: where, what, the line of source with a caret, why, and what to write instead."""
    place = finding.place
    where = f"{shown(place.file, root)}:{place.line}: " if place else ""
    sure = "" if finding.confidence is Confidence.HIGH else " (not sure)"
    yield f"{where}{finding.severity.value}{sure} {finding.rule}: {finding.what}"
    source = found.line(place.file, place.line) if place else ""
    if place and source.strip():
        number = str(place.line)
        indent = len(source) - len(source.lstrip())
        yield f"  {number} | {source}"
        yield f"  {' ' * len(number)} | {' ' * indent}{'^' * len(source.strip())}"
    yield f"  why: {finding.why}"
    yield from (f"  {line}" for line in review_facts.facts(finding))
    first, *rest = finding.fix.splitlines() or [""]
    yield f"  fix: {first}"
    yield from (f"       {line}" for line in rest)


def summary(found: Review) -> str:
    """Return how many findings of each severity there are, over what."""
    by = [(severity, sum(f.severity is severity for f in found.findings)) for severity in reversed(Severity)]
    told = ", ".join(count(number, severity.value) for severity, number in by if number) or "nothing found"
    hidden = f", {len(found.suppressed)} suppressed" if found.suppressed else ""
    engines = ", ".join(
        f"{e.spoken} {e.server_major}" + (f" (told by {e.told_by})" if e.told_by else " (assumed)")
        for e in found.engines
    )
    return f"{count(len(found.revisions), 'revision')} ({found.scope.value}) for {engines}: {told}{hidden}"


def coverage(found: Review) -> str:
    """Return how much was read, e.g. `12 of 12 upgrades read exactly, 11 of 12 downgrades; not: ...`."""
    if found.static:
        return "nothing was executed: only the files' text was reviewed"
    parts = []
    for name in ("upgrade", "downgrade"):
        those = [c for c in found.coverage if c.direction.value == name]
        exact = sum(c.reading is Reading.EXACT for c in those)
        parts.append(f"{exact} of {count(len(those), name)} read exactly")
    unread = [c for c in found.coverage if c.reading is not Reading.EXACT]
    named = "; ".join(map(_unread, unread[:_NAMED]))
    more = f"; and {len(unread) - _NAMED} more" if len(unread) > _NAMED else ""
    return ", ".join(parts) + (f"; not: {named}{more}" if unread else "")


def _unread(one: Coverage) -> str:
    return f"{one.direction.value} of {one.revision} ({one.engine}, {one.reading.value}): {one.reason}"

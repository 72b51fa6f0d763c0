"""A review as one HTML file that needs nothing else: no script, no font, no picture from anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mako.template import Template

from handrail.model.finding import Finding
from handrail.model.operation import Reading
from handrail.model.review import Review
from handrail.model.verdict import Severity
from handrail.reports import review_text
from handrail.reports.text import count

_TEMPLATES = Path(__file__).parent / "templates"
#: Read without colour: each severity has a sign and its name; the classes are those of the verdicts in the stylesheet.
_SIGNS = {Severity.ERROR: "\N{MULTIPLICATION X}", Severity.WARNING: "!", Severity.NOTE: "i"}
_CLASSES = {Severity.ERROR: "fail", Severity.WARNING: "warn", Severity.NOTE: "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """The findings about one revision, '' for those about the whole history; `unread` is what was not read exactly."""

    revision: str
    title: str
    findings: tuple[Finding, ...]
    unread: tuple[str, ...]


def page(found: Review, root: Path) -> str:
    """Return the whole page; everything that is put into it is escaped. Revisions without findings are only counted."""
    template = Template(  # noqa: S702 - `h` escapes every expression
        filename=str(_TEMPLATES / "review.html.mako"),
        default_filters=["h"],
        strict_undefined=True,
        input_encoding="utf-8",
    )
    by = {severity: sum(f.severity is severity for f in found.findings) for severity in reversed(Severity)}
    text: str = template.render_unicode(
        review=found,
        css="".join((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("run.css", "review.css")),
        headline=", ".join(count(n, severity.value) for severity, n in by.items() if n) or "Nothing found",
        worst=next((_CLASSES[severity] for severity, n in by.items() if n), "pass"),
        by=by,
        parts=tuple(_parts(found)),
        summary=review_text.summary(found),
        coverage=review_text.coverage(found),
        exact=sum(one.reading is Reading.EXACT for one in found.coverage),
        count=count,
        sign=_SIGNS.__getitem__,
        kind=_CLASSES.__getitem__,
        where=lambda finding: _where(finding, root),
        source=lambda finding: found.line(finding.place.file, finding.place.line) if finding.place else "",
    )
    return text.strip()


def _parts(found: Review) -> Iterator[Part]:
    for revision in ("", *found.revisions):
        mine = tuple(f for f in found.findings if f.revision == revision)
        if mine:
            unread = [one for one in found.coverage if one.revision == revision and one.reading is not Reading.EXACT]
            yield Part(
                revision=revision,
                title=f"Revision {revision}" if revision else "The history",
                findings=mine,
                unread=tuple(
                    f"{one.direction.value} ({one.engine}, {one.reading.value}): {one.reason}" for one in unread
                ),
            )


def _where(finding: Finding, root: Path) -> str:
    return f"{review_text.shown(finding.place.file, root)}:{finding.place.line}" if finding.place else ""

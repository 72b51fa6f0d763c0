"""A review as one JSON document."""

from __future__ import annotations

from pathlib import Path

from handrail.model.finding import Finding
from handrail.model.operation import Reading
from handrail.model.review import Review
from handrail.reports import json, review_text


def document(found: Review, root: Path) -> str:
    """Return the document; files are named from the project's folder."""
    return json.document(
        "review",
        scope=found.scope,
        engines=found.engines,
        revisions=found.revisions,
        findings=[finding(f, root) for f in found.findings],
        suppressed=[finding(f, root) for f in found.suppressed],
        coverage={
            "static": found.static,
            "summary": review_text.coverage(found),
            "steps": len(found.coverage),
            "exact": sum(c.reading is Reading.EXACT for c in found.coverage),
            "not_exact": [c for c in found.coverage if c.reading is not Reading.EXACT],
        },
        database=found.database,
        counted=found.counted,
        notes=found.notes,
    )


def finding(one: Finding, root: Path) -> dict[str, object]:
    """Return one finding as an object."""
    return {
        "rule": one.rule,
        "severity": one.severity,
        "confidence": one.confidence,
        "revision": one.revision or None,
        "file": review_text.shown(one.place.file, root) if one.place else None,
        "line": one.place.line if one.place else None,
        "direction": one.direction,
        "what": one.what,
        "why": one.why,
        "fix": one.fix,
        "rows": one.counted,
        "estimate": one.estimate,
        "dependants": one.dependants,
    }

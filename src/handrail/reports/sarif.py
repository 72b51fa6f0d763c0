"""A review as SARIF 2.1.0, which code hosts show beside the lines.

Source: https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from handrail.model.finding import Finding
from handrail.model.review import Review
from handrail.model.verdict import Severity
from handrail.reports import review_facts, review_text

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVEL = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "note"}


def document(found: Review, root: Path, pages: Mapping[str, str]) -> str:
    """Return the log; `pages` are the rules' pages by name. Suppressed findings are in it, marked so."""
    named = sorted({f.rule for f in (*found.findings, *found.suppressed)})
    results = [_result(f, root, hidden=False) for f in found.findings]
    results += [_result(f, root, hidden=True) for f in found.suppressed]
    rules = [_rule(name, pages.get(name, name)) for name in named]
    log = {
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {"driver": {"name": "handrail", "rules": rules}},
                "columnKind": "unicodeCodePoints",
                "results": results,
            }
        ],
    }
    return json.dumps(log, indent=2)


def _rule(name: str, page: str) -> dict[str, object]:
    first = page.strip().partition("\n")[0]
    return {
        "id": name,
        "shortDescription": {"text": first},
        "fullDescription": {"text": first},
        "help": {"text": page, "markdown": page},
    }


def _result(finding: Finding, root: Path, *, hidden: bool) -> dict[str, object]:
    place = finding.place
    print_ = hashlib.sha256(f"{finding.rule}\n{finding.revision}\n{finding.direction}\n{finding.what}".encode())
    result: dict[str, object] = {
        "ruleId": finding.rule,
        "level": _LEVEL[finding.severity],
        "message": {
            "text": "\n".join(
                (finding.what, f"why: {finding.why}", *review_facts.facts(finding), f"fix: {finding.fix}")
            )
        },
        "partialFingerprints": {"handrail/v1": print_.hexdigest()},
        "properties": {"revision": finding.revision, "confidence": finding.confidence.value},
    }
    if place:
        location = {
            "artifactLocation": {"uri": review_text.shown(place.file, root)},
            "region": {"startLine": place.line},
        }
        result["locations"] = [{"physicalLocation": location}]
    if hidden:
        result["suppressions"] = [{"kind": "inSource"}]
    return result

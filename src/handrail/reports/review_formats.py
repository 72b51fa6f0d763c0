"""A review in the formats of code hosts and CI systems."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

from handrail.model.finding import Finding
from handrail.model.review import Review
from handrail.model.verdict import Severity
from handrail.reports import review_facts, review_text

_GITHUB = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.NOTE: "notice"}
_GITLAB = {Severity.ERROR: "critical", Severity.WARNING: "minor", Severity.NOTE: "info"}


def github(found: Review, root: Path) -> str:
    """Return workflow commands, which GitHub shows beside the lines, and the last lines of the text.

    Source: https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands.
    """
    lines = [_annotation(f, root) for f in found.findings]
    return "\n".join([*lines, *review_facts.standing(found), review_text.summary(found), review_text.coverage(found)])


def _annotation(finding: Finding, root: Path) -> str:
    place = finding.place
    where = f"file={_property(review_text.shown(place.file, root))},line={place.line}," if place else ""
    message = _data(
        "\n".join((finding.what, f"why: {finding.why}", *review_facts.facts(finding), f"fix: {finding.fix}"))
    )
    return f"::{_GITHUB[finding.severity]} {where}title={_property(finding.rule)}::{message}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def gitlab(found: Review, root: Path) -> str:
    """Return a Code Quality report. Source: https://docs.gitlab.com/ci/testing/code_quality/#code-quality-report-format."""
    told: dict[str, int] = {}
    entries = []
    for finding in found.findings:
        place = finding.place
        key = f"{finding.rule}\n{finding.revision}\n{finding.direction}\n{finding.what}"
        told[key] = told.get(key, 0) + 1  # the same said twice needs two fingerprints
        why = "; ".join((finding.why, *review_facts.facts(finding)))
        entries.append(
            {
                "description": f"{finding.what} ({why}). {finding.fix}",
                "check_name": finding.rule,
                "fingerprint": hashlib.sha256(f"{key}\n{told[key]}".encode()).hexdigest(),
                "severity": _GITLAB[finding.severity],
                "location": {
                    "path": review_text.shown(place.file, root) if place else ".",
                    "lines": {"begin": place.line if place else 1},
                },
            }
        )
    return json.dumps(entries, indent=2)


def junit(found: Review, root: Path) -> str:
    """Return one test case for each revision, failed where it has an error or a warning, and one for the history."""
    suite = ET.Element("testsuite", name="handrail review")
    failures = 0
    for revision in (*found.revisions, ""):
        mine = [f for f in found.findings if f.revision == revision]
        if not revision and not mine:
            continue
        case = ET.SubElement(suite, "testcase", classname="handrail.review", name=revision or "history")
        bad = [f for f in mine if f.severity is not Severity.NOTE]
        failures += bool(bad)
        if bad:
            failure = ET.SubElement(case, "failure", message=f"{bad[0].rule}: {bad[0].what}", type=bad[0].rule)
            failure.text = "\n".join(_plain(f, root) for f in bad)
        notes = [f for f in mine if f.severity is Severity.NOTE]
        if notes:
            ET.SubElement(case, "system-out").text = "\n".join(_plain(f, root) for f in notes)
    suite.set("tests", str(len(suite)))
    suite.set("failures", str(failures))
    suites = ET.Element("testsuites")
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suites, encoding="unicode")


def _plain(finding: Finding, root: Path) -> str:
    place = finding.place
    where = f"{review_text.shown(place.file, root)}:{place.line}: " if place else ""
    lines = (f"why: {finding.why}", *review_facts.facts(finding), f"fix: {finding.fix}")
    return "\n  ".join((f"{where}{finding.severity.value} {finding.rule}: {finding.what}", *lines))


def markdown(found: Review, root: Path) -> str:
    """Return a comment for a pull request: one table, then what to write instead of each."""
    lines = ["## handrail review", ""]
    lines += [line + "  " for line in (*review_facts.standing(found), review_text.summary(found))]
    lines.append(review_text.coverage(found))
    if not found.findings:
        return "\n".join(lines)
    lines += ["", "| | Rule | Where | What |", "|---|---|---|---|"]
    for finding in found.findings:
        place = finding.place
        where = f"`{review_text.shown(place.file, root)}:{place.line}`" if place else ""
        what = finding.what.replace("|", "\\|").replace("\n", " ")
        lines.append(f"| {finding.severity.value} | `{finding.rule}` | {where} | {what} |")
    for finding in found.findings:
        lines += ["", f"<details><summary><code>{finding.rule}</code>: what to write instead</summary>", ""]
        lines += [
            finding.why,
            *(f"\n`{line.replace('`', '')}`" for line in review_facts.facts(finding)),
            "",
            "```",
            *finding.fix.splitlines(),
            "```",
            "",
            "</details>",
        ]
    return "\n".join(lines)


FORMATS: dict[str, Callable[[Review, Path], str]] = {
    "github": github,
    "gitlab": gitlab,
    "junit": junit,
    "markdown": markdown,
}

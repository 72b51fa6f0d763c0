"""Hides findings that a comment in the file answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import date

from handrail.model.finding import Finding
from handrail.model.reviewed import Suppression

Marks = Mapping[str, tuple[Suppression, ...]]


def suppress(
    findings: Iterable[Finding], marks: Marks, *, today: date
) -> tuple[tuple[Finding, ...], tuple[Finding, ...], dict[str, tuple[Suppression, ...]]]:
    """Return the findings that stay, those that are hidden, and the suppressions, those that hid one marked used.

    One that has no reason, is malformed or has expired hides nothing: a slip never widens.
    """
    kept: list[Finding] = []
    hidden: list[Finding] = []
    used: set[tuple[str, int]] = set()
    for finding in findings:
        mark = next((m for m in marks.get(finding.revision, ()) if _hides(m, finding, today)), None)
        (hidden if mark else kept).append(finding)
        if mark:
            used.add((finding.revision, mark.line))
    judged = {
        revision: tuple(replace(m, used=(revision, m.line) in used) for m in those) for revision, those in marks.items()
    }
    return tuple(kept), tuple(hidden), judged


def _hides(mark: Suppression, finding: Finding, today: date) -> bool:
    if mark.malformed or not mark.reason or (mark.until is not None and mark.until < today):
        return False
    if finding.rule not in mark.rules:
        return False
    return not mark.lines or (finding.place is not None and finding.place.line in mark.lines)

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from handrail.gates.reviewed import GATE
from handrail.model.finding import Finding
from handrail.model.gate import GateFacts
from handrail.model.operation import Reading, RecordedRevision
from handrail.model.plan import Plan, Step
from handrail.model.revision import Direction, Header, Revision
from handrail.model.target import Target
from handrail.model.verdict import Confidence, Severity, Verdict

_REVISION = Revision(
    id="a1",
    parents=(),
    depends_on=(),
    branch_labels=(),
    path=Path("a1_users.py"),
    code=b"",
    source="",
    digest="",
    header=Header(),
    upgrade_line=None,
    downgrade_line=None,
)


def _facts(severity: Severity | None, reading: Reading) -> GateFacts:
    recorded = RecordedRevision(
        revision="a1", direction=Direction.UPGRADE, reading=reading, reason="it loops", operations=(), statements=()
    )
    found = Finding(
        rule="lock-index-create",
        severity=severity or Severity.NOTE,
        confidence=Confidence.HIGH,
        revision="a1",
        direction=Direction.UPGRADE,
        place=None,
        what="writes wait",
        why="",
        fix="",
    )
    plan = Plan(
        environment="main",
        target=Target(engine="sqlite", url="", database="x", host="", user="", server="3", server_major=3),
        start=(),
        goal=("a1",),
        steps=(Step(revision=_REVISION, direction=Direction.UPGRADE, recorded=recorded, effects=()),),
        findings=() if severity is None else (found,),
        fingerprint="",
    )
    return GateFacts(plan=plan, now=datetime(2026, 11, 23, tzinfo=UTC), window=None)


@pytest.mark.parametrize(
    ("severity", "reading", "verdict"),
    [
        (None, Reading.EXACT, Verdict.PASS),
        (None, Reading.DATA_DEPENDENT, Verdict.PASS),
        (Severity.NOTE, Reading.EXACT, Verdict.PASS),
        (Severity.WARNING, Reading.EXACT, Verdict.WARN),
        (None, Reading.FAILED, Verdict.UNKNOWN),
        (Severity.WARNING, Reading.FAILED, Verdict.UNKNOWN),
        (Severity.ERROR, Reading.EXACT, Verdict.FAIL),
        (Severity.ERROR, Reading.FAILED, Verdict.FAIL),
    ],
)
def test_an_error_closes_the_gate_and_what_was_not_read_is_unknown(
    severity: Severity | None, reading: Reading, verdict: Verdict
) -> None:
    judged = GATE.judge(_facts(severity, reading))
    assert judged.verdict is verdict
    assert bool(judged.details) is (verdict in {Verdict.FAIL, Verdict.UNKNOWN})

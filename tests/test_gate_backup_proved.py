from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from handrail.gates.backup_proved import GATE
from handrail.model.backup import SCHEMA, BackupFacts, Manifest, Method, Program, Proof
from handrail.model.gate import GateFacts
from handrail.model.plan import Plan
from handrail.model.run import Judgement
from handrail.model.target import Target
from handrail.model.verdict import Verdict

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
TARGET = Target(engine="sqlite", url="", database="x", host="", user="", server="3", server_major=3)
BACKUP = Manifest(
    schema=SCHEMA,
    id="handrail-main-1",
    environment="main",
    target=TARGET,
    identity="",
    heads=("aaa1",),
    made_at=NOW - timedelta(hours=2),
    seconds=1.0,
    database_bytes=1,
    method=Method.ENGINE,
    archive="",
    bytes=1,
    sha256="",
    plain_bytes=1,
    plain_sha256="",
    program=Program(name="", version="", major=3),
    proof=Proof(verdict=Verdict.PASS, reason="", at=NOW - timedelta(hours=1)),
)


def judged(newest: Manifest | None, *, will_make: bool = False, max_age_h: float = 24) -> Judgement:
    plan = Plan(
        environment="main", target=TARGET, start=("aaa1",), goal=("aaa2",), steps=(), findings=(), fingerprint=""
    )
    facts = BackupFacts(will_make=will_make, newest=newest, max_age=timedelta(hours=max_age_h))
    return GATE.judge(GateFacts(plan=plan, now=NOW, window=None, backup=facts))


def test_a_backup_that_the_run_will_make_opens_the_gate() -> None:
    assert judged(None, will_make=True).verdict is Verdict.PASS


def test_a_proved_backup_of_where_the_run_starts_opens_the_gate() -> None:
    assert judged(BACKUP).verdict is Verdict.PASS


def test_without_a_proved_backup_the_gate_is_closed() -> None:
    assert judged(None).verdict is Verdict.FAIL


def test_a_backup_made_at_another_revision_leaves_the_gate_closed() -> None:
    other = judged(replace(BACKUP, heads=("aaa0",)))
    assert other.verdict is Verdict.FAIL
    assert "made at aaa0, the database is at aaa1" in other.reason


@pytest.mark.parametrize(("max_age_h", "verdict"), [(2, Verdict.PASS), (1.9, Verdict.FAIL)])
def test_a_backup_is_as_old_as_what_it_holds_however_late_it_was_proved(max_age_h: float, verdict: Verdict) -> None:
    assert judged(BACKUP, max_age_h=max_age_h).verdict is verdict


def test_where_nobody_looked_the_gate_is_unknown() -> None:
    bare = GateFacts(
        plan=Plan(environment="", target=TARGET, start=(), goal=(), steps=(), findings=(), fingerprint=""),
        now=NOW,
        window=None,
    )
    assert GATE.judge(bare).verdict is Verdict.UNKNOWN

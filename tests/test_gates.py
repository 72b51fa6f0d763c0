from __future__ import annotations

from datetime import UTC, datetime

import pytest

from handrail import registry
from handrail.config import window
from handrail.gates.window import GATE
from handrail.model.gate import GateFacts
from handrail.model.plan import Plan
from handrail.model.run import Judgement
from handrail.model.target import Target
from handrail.model.verdict import Verdict

OPEN, CLOSED = Verdict.PASS, Verdict.FAIL

_PLAN = Plan(
    environment="main",
    target=Target(engine="sqlite", url="", database="x", host="", user="", server="3", server_major=3),
    start=(),
    goal=(),
    steps=(),
    findings=(),
    fingerprint="",
)


def _judged(written: str | None, at: str) -> Judgement:
    moment = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return GATE.judge(GateFacts(plan=_PLAN, now=moment, window=None if written is None else window(written)))


# 2026-11-23 is a Monday.
@pytest.mark.parametrize(
    ("written", "at", "verdict"),
    [
        ("Mon-Fri 09:00-17:00", "2026-11-23T09:00", OPEN),
        ("Mon-Fri 09:00-17:00", "2026-11-23T08:59:59", CLOSED),
        ("Mon-Fri 09:00-17:00", "2026-11-23T16:59:59", OPEN),
        ("Mon-Fri 09:00-17:00", "2026-11-23T17:00", CLOSED),
        ("Mon-Fri 09:00-17:00", "2026-11-28T12:00", CLOSED),  # Saturday
        ("Sat-Mon 09:00-17:00", "2026-11-23T12:00", OPEN),  # the days wrap around the week
        ("Sat-Mon 09:00-17:00", "2026-11-24T12:00", CLOSED),
        ("Wed 09:00-17:00", "2026-11-25T12:00", OPEN),
        ("Mon-Fri 22:00-05:00", "2026-11-23T23:00", OPEN),  # over midnight
        ("Mon-Fri 22:00-05:00", "2026-11-24T04:59", OPEN),
        ("Mon-Fri 22:00-05:00", "2026-11-24T05:00", CLOSED),
        ("Mon-Fri 22:00-05:00", "2026-11-28T04:00", OPEN),  # Saturday morning belongs to Friday's window
        ("Mon-Fri 22:00-05:00", "2026-11-23T04:00", CLOSED),  # Monday morning would belong to Sunday's
        ("Mon-Fri 09:00-17:00 Asia/Tokyo", "2026-11-23T00:30", OPEN),  # 09:30 there
        ("Mon-Fri 09:00-17:00 Asia/Tokyo", "2026-11-23T09:00", CLOSED),  # 18:00 there
    ],
)
def test_the_window_is_open_on_its_days_from_its_beginning_to_before_its_end(
    written: str, at: str, verdict: Verdict
) -> None:
    assert _judged(written, at).verdict is verdict


@pytest.mark.parametrize(
    ("at", "verdict"),
    [
        ("2026-03-27T21:30", OPEN),  # Friday, 22:30 in Berlin, still winter time
        ("2026-03-27T20:30", CLOSED),
        ("2026-03-30T20:30", OPEN),  # Monday, 22:30 in Berlin, summer time since Sunday
        ("2026-03-30T21:29", OPEN),
        ("2026-03-30T21:30", CLOSED),
        ("2026-10-23T20:30", OPEN),  # Friday, summer time
        ("2026-10-26T20:30", CLOSED),  # Monday, winter time again
        ("2026-10-26T21:30", OPEN),
    ],
)
def test_the_window_follows_the_local_clock_over_a_change_to_summer_time_and_back(at: str, verdict: Verdict) -> None:
    judged = _judged("Mon-Fri 22:00-23:30 Europe/Berlin", at)
    assert judged.verdict is verdict


def test_in_the_night_of_the_change_the_window_closes_by_the_clock_on_the_wall() -> None:
    # On 2026-03-29 the clocks of Berlin go from 02:00 to 03:00; 00:59 UTC is 01:59, 01:00 UTC is 03:00.
    assert _judged("Sat 22:00-03:00 Europe/Berlin", "2026-03-29T00:59").verdict is Verdict.PASS
    assert _judged("Sat 22:00-03:00 Europe/Berlin", "2026-03-29T01:00").verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("written", "at", "opens"),
    [
        ("Mon-Fri 22:00-05:00", "2026-11-23T12:00", "opens Mon 2026-11-23 22:00 UTC"),
        ("Mon-Fri 22:00-05:00", "2026-11-28T12:00", "opens Mon 2026-11-30 22:00 UTC"),
        ("Mon 09:00-10:00", "2026-11-23T10:00", "opens Mon 2026-11-30 09:00 UTC"),
        ("Mon 09:00-10:00 Asia/Tokyo", "2026-11-23T10:00", "opens Mon 2026-11-30 09:00 Asia/Tokyo"),
    ],
)
def test_a_closed_window_says_when_it_opens(written: str, at: str, opens: str) -> None:
    assert opens in _judged(written, at).reason


def test_a_window_that_is_required_and_not_stated_is_unknown() -> None:
    assert _judged(None, "2026-11-23T12:00").verdict is Verdict.UNKNOWN


def test_every_gate_is_named_as_its_file() -> None:
    for name, gate in registry.gates().items():
        assert gate.name == name
        assert gate.judge.__module__ == f"handrail.gates.{name.replace('-', '_')}"

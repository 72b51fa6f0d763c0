"""The run falls into the environment's maintenance window.

What happens: an environment that states a `window` is changed only inside it; outside, `handrail apply` stops with
exit 3 and says when the window opens. The dry run tells the same without stopping.

Why: the people who can help are awake, and traffic is low.

The safe way: start the run inside the window, or change the window in `[tool.handrail.environments]` in a commit that
others see.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from handrail.model.gate import Gate, GateFacts, Window
from handrail.model.run import Judgement
from handrail.model.verdict import Verdict


def judge(facts: GateFacts) -> Judgement:
    """PASS inside the window, FAIL outside, UNKNOWN where the environment requires a window and states none."""
    if facts.window is None:
        return Judgement(name=GATE.name, verdict=Verdict.UNKNOWN, reason="the environment states no window")
    local = facts.now.astimezone(ZoneInfo(facts.window.timezone))
    if _is_open(facts.window, local):
        return Judgement(name=GATE.name, verdict=Verdict.PASS, reason=f"open until {facts.window.closes:%H:%M}")
    opens = _next_opening(facts.window, local)
    return Judgement(
        name=GATE.name,
        verdict=Verdict.FAIL,
        reason=f"closed now ({local:%a %H:%M}), opens {opens:%a %Y-%m-%d %H:%M} {facts.window.timezone}",
    )


def _is_open(window: Window, local: datetime) -> bool:
    moment = local.time()
    if window.opens <= window.closes:
        return local.weekday() in window.days and window.opens <= moment < window.closes
    began_today = local.weekday() in window.days and moment >= window.opens
    began_yesterday = (local.weekday() - 1) % 7 in window.days and moment < window.closes
    return began_today or began_yesterday


def _next_opening(window: Window, local: datetime) -> datetime:
    candidates = (
        (local + timedelta(days=ahead)).replace(hour=window.opens.hour, minute=window.opens.minute, second=0)
        for ahead in range(8)
    )
    return next(day for day in candidates if day > local and day.weekday() in window.days)


GATE = Gate(name="window", judge=judge)

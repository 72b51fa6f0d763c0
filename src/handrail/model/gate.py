"""The shape of a gate: a condition that must hold before a run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from handrail.model.backup import BackupFacts
    from handrail.model.matrix import CompatFacts
    from handrail.model.plan import Plan
    from handrail.model.run import Judgement


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """When an environment may be changed: weekdays (0 = Monday), from and to in `timezone`; `to` may be next day."""

    days: frozenset[int]
    opens: time
    closes: time
    timezone: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GateFacts:
    """All that a gate may look at."""

    plan: Plan
    now: datetime
    window: Window | None
    backup: BackupFacts | None = None
    compat: CompatFacts | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """One gate: its name (= its file's name with dashes) and the pure function that judges it."""

    name: str
    judge: Callable[[GateFacts], Judgement]

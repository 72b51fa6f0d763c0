"""How sure we are, and what we conclude."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """The outcome of a gate, a check or a matrix cell. UNKNOWN never passes a gate."""

    PASS = "pass"  # noqa: S105 - a verdict
    WARN = "warn"
    UNKNOWN = "unknown"
    FAIL = "fail"


class Severity(Enum):
    """How much a finding matters when it is right."""

    NOTE = "note"
    WARNING = "warning"
    ERROR = "error"


class Confidence(Enum):
    """How sure a reading is that it is right. LOW: the statement was not understood and the worst is assumed."""

    HIGH = "high"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsupported:
    """An engine's answer to what it cannot do; the verdict that rests on it is UNKNOWN. `details` go below it."""

    reason: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class NoServer(Unsupported):
    """The same where a server to work in is all that is wanting."""

"""The shape of a check: something asserted about a database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from handrail.model.run import Judgement
from handrail.model.schema import Snapshot
from handrail.model.verdict import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckFacts:
    """All that a check may look at: the version table's rows, those expected, the schema found and the one expected."""

    heads: tuple[str, ...]
    expected_heads: tuple[str, ...]
    snapshot: Snapshot
    expected_snapshot: Snapshot | Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check: its name (= its file's name with dashes) and the pure function that judges it."""

    name: str
    judge: Callable[[CheckFacts], Judgement]

"""Rows that break what should hold of them, counted and sampled by an engine."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class ViolationKind(Enum):
    """What the rows break."""

    NULLS = "nulls"
    DUPLICATES = "duplicates"
    ORPHANS = "orphans"
    CHECK = "failed check"
    CAST = "values that do not convert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """Rows of one table that break one thing.

    `table` is named as in a Snapshot. `keys` are some of the rows, each as `id=7` and, where other columns hold what is
    wrong, ` with user_id=99`. `query` finds those rows by hand.
    """

    kind: ViolationKind
    table: str
    columns: tuple[str, ...]
    count: int
    keys: tuple[str, ...]
    query: str

    def describe(self) -> str:
        """One line, e.g. `orphans in marks (user_id): 3, as id=7 with user_id=99; ... and 2 more`."""
        left = self.count - len(self.keys)
        more = f" and {left} more" if self.keys and left > 0 else ""
        sample = f", as {'; '.join(self.keys)}{more}" if self.keys else ""
        return f"{self.kind.value} in {self.table} ({', '.join(self.columns)}): {self.count}{sample}"

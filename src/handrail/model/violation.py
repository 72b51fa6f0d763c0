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
    wrong, ` with user_id=99`; duplicates stand together, as `id=1 and id=5`. `query` finds those rows by hand.
    `at_least` is whether there may be more than `count`: the server stops at the first one.
    """

    kind: ViolationKind
    table: str
    columns: tuple[str, ...]
    count: int
    keys: tuple[str, ...]
    query: str
    at_least: bool = False

    def describe(self) -> str:
        """One line, e.g. `orphans in marks (user_id): 3, as id=7 with user_id=99; ... and 2 more`."""
        named = sum(key.count(" and ") + 1 for key in self.keys) if self.kind is ViolationKind.DUPLICATES else None
        left = self.count - (len(self.keys) if named is None else named)
        more = f" and {left} more" if self.keys and left > 0 else ""
        sample = f", as {'; '.join(self.keys)}{more}" if self.keys else ""
        number = f"at least {self.count}" if self.at_least else str(self.count)
        return f"{_place(self.kind, self.table, self.columns)}: {number}{sample}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Counted:
    """What counting the rows that a statement may fail on has said.

    `violation` is None where there are none, and where they could not be counted: then `unknown` says so, and why, as
    `not counted: ...` or `cannot be counted yet: ...`. `before` is what a pending statement ahead of it does to those
    rows, '' for nothing: they may be others when it runs.
    """

    kind: ViolationKind
    table: str
    columns: tuple[str, ...]
    violation: Violation | None = None
    unknown: str = ""
    before: str = ""

    def describe(self) -> str:
        """One line, e.g. `nulls in users (email): not counted: ...`."""
        what = _place(self.kind, self.table, self.columns)
        if self.unknown:
            return f"{what}: {self.unknown}"
        told = self.violation.describe() if self.violation else f"{what}: none"
        return f"{told}, now; {self.before} comes first" if self.before else told


def _place(kind: ViolationKind, table: str, columns: tuple[str, ...]) -> str:
    return f"{kind.value} in {table}" + (f" ({', '.join(columns)})" if columns else "")

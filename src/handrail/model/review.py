"""The outcome of a review: what was found, what was hidden on purpose, and how much was read at all."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from handrail.model.finding import Finding
from handrail.model.operation import Reading
from handrail.model.revision import Direction
from handrail.model.size import TableSize
from handrail.model.verdict import Severity
from handrail.model.violation import Counted


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """How well one function of one revision was read on one engine; `reason` says why not EXACT."""

    revision: str
    direction: Direction
    engine: str
    reading: Reading
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What the rules say of one revision on one engine, and how well it was read."""

    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]


class Scope(Enum):
    """Which revisions were reviewed."""

    PENDING = "pending"
    ALL = "all"
    RANGE = "range"
    SINCE = "changed in files"


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """One engine that the revisions were read for. `told_by` says what named it, '' where it is only assumed.

    `dialect` is the name it goes by where that is not the engine's: mariadb is of the engine mysql.
    """

    name: str
    server_major: int
    told_by: str = ""
    dialect: str = ""

    @property
    def spoken(self) -> str:
        """The name of the dialect that statements are written in."""
        return self.dialect or self.name


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedDatabase:
    """The database that a review rests on: as it was at `taken_at`, by `file` where it was not asked itself."""

    environment: str
    server: str
    heads: tuple[str, ...]
    taken_at: datetime
    file: str = ""
    sizes: tuple[TableSize, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Review:
    """A finished review. `suppressed` are the findings that a comment in the file hides; `sources` the files' lines.

    `counted` are the rows that pending revisions may fail on, `database` where they and the sizes are from; None where
    there is none. `notes` say what the review stood on, one sentence each. `static` is whether no code was run.
    """

    scope: Scope
    revisions: tuple[str, ...]
    engines: tuple[EngineChoice, ...]
    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    counted: tuple[Counted, ...] = ()
    database: ReviewedDatabase | None = None
    sources: tuple[tuple[str, tuple[str, ...]], ...] = ()
    notes: tuple[str, ...] = ()
    static: bool = False

    def line(self, file: str, number: int) -> str:
        """Return one line of a reviewed file, '' where it is not known."""
        lines = next((lines for name, lines in self.sources if name == file), ())
        return lines[number - 1] if 0 < number <= len(lines) else ""

    def at_least(self, severity: Severity) -> tuple[Finding, ...]:
        """Return the findings of that severity and above."""
        order = list(Severity)
        return tuple(f for f in self.findings if order.index(f.severity) >= order.index(severity))

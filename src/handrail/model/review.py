"""The outcome of a review: what was found, what was hidden on purpose, and how much was read at all."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handrail.model.finding import Finding
from handrail.model.operation import Reading
from handrail.model.revision import Direction
from handrail.model.verdict import Severity


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
class Review:
    """A finished review. `suppressed` are the findings that a comment in the file hides; `sources` the files' lines.

    `notes` say what the review stood on, one sentence each. `static` is whether no code was run.
    """

    scope: Scope
    revisions: tuple[str, ...]
    engines: tuple[EngineChoice, ...]
    findings: tuple[Finding, ...]
    suppressed: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
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

"""The shape of a rule: a pure function over one recorded revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from handrail.model.effect import Effect
from handrail.model.finding import Finding
from handrail.model.operation import RecordedRevision
from handrail.model.verdict import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """What a rule may know beside the recording: the engine's name, the server's major, each statement's effects."""

    engine: str
    server_major: int
    effects: tuple[tuple[Effect, ...], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A small migration body, flagged or clean, with the statements that set the scene for it."""

    body: str
    flagged: bool
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: its name (= its file's name with dashes), where it applies, and its executed examples."""

    name: str
    severity: Severity
    engines: frozenset[str]
    source: str
    findings: Callable[[RecordedRevision, RuleFacts], Iterator[Finding]]
    examples: tuple[Example, ...]

"""The shape of a rule: a pure function over one reviewed revision."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date
from types import MappingProxyType

from handrail.model.demand import Demand
from handrail.model.finding import Finding
from handrail.model.operation import Operation, Place
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedGraph, ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.spec import UNKNOWN, Unknown
from handrail.model.verdict import Confidence, Severity
from handrail.model.violation import Counted, ViolationKind

#: For rules that are about the file and not about a database.
EVERY_ENGINE = frozenset({"postgresql", "sqlite", "mysql"})


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleFacts:
    """What a rule may know beside the revision.

    `engine_assumed` is whether nothing tells which engine the project runs on. `sizes` are rows per table, `bytes` what
    a table takes without its indexes, where that is known; `deployed` what the models of each deployed version have, as
    columns by table, UNKNOWN without a registered version. `counted` is what counting the rows has said that pending
    statements may fail on. `rules` are the names of all rules. `settled` is whether the project has settings of
    Handrail's: before that nobody has agreed to write headers, but for those who did: `headed` are the revisions that
    have one.
    """

    engine: str
    server_major: int
    today: date
    engine_assumed: bool = False
    sizes: Mapping[str, int] | Unknown = UNKNOWN
    bytes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    deployed: Mapping[str, Mapping[str, frozenset[str]]] | Unknown = UNKNOWN
    counted: Mapping[Demand, Counted] = field(default_factory=lambda: MappingProxyType({}))
    rules: frozenset[str] = frozenset()
    settled: bool = True
    headed: frozenset[str] = frozenset()

    def rows(self, table: str) -> int | Unknown:
        """Return how many rows that table has in the environment, UNKNOWN where that is not known."""
        return UNKNOWN if self.sizes is UNKNOWN else self.sizes.get(bare(table), UNKNOWN)

    def takes(self, table: str) -> int | Unknown:
        """Return how many bytes that table takes in the environment, UNKNOWN where that is not known."""
        return self.bytes.get(bare(table), UNKNOWN)


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """A small migration body, flagged or clean, with what it needs.

    `given` are SQL statements that set the scene, `earlier` bodies of revisions between the scene and the example,
    `downgrade` the other function's body. `docstring` and `file` are those of the revision file, `id` is its revision,
    `others` are further files beside it as (name, text), `merges` those of their revisions that it joins. `sizes` are
    rows per table, as an environment would tell.

    `fails` says that the body fails when it runs, `back_fails` that its downgrade does; `not_run` is the reason why it
    is only read. `rewrite` are the bodies of the revisions to write instead: they are clean and end in the same schema,
    but for what `leaves_out` says. `live` says that it is reviewed with the database in which the scene was set.
    `engines` are those it is for, all of the rule's where empty; `since` is the first major version of PostgreSQL that
    knows its statements.
    """

    body: str
    flagged: bool
    given: tuple[str, ...] = ()
    earlier: tuple[str, ...] = ()
    downgrade: str = "pass"
    docstring: str = "The example."
    file: str = "e1_the_example.py"
    id: str = "e1"
    merges: tuple[str, ...] = ()
    others: tuple[tuple[str, str], ...] = ()
    sizes: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    fails: bool = False
    back_fails: bool = False
    not_run: str = ""
    rewrite: tuple[str, ...] = ()
    leaves_out: str = ""
    live: bool = False
    engines: frozenset[str] = frozenset()
    since: int = 0


def _nothing(_revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    return iter(())


def _nothing_of_graph(_graph: ReviewedGraph, _facts: RuleFacts) -> Iterator[Finding]:
    return iter(())


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule: its name (= its file's name with dashes), where it applies, and its executed examples.

    `findings` looks at one revision, `of_graph` at all of them; most rules have one of the two. `style` rules are off
    until the settings enable them. `baseline` rules are about how a file is written, and leave alone what `rules_from`
    names and what is below it. `after_suppression` rules see which suppressions were used. `decided_by` are the rows
    that settle whether a finding is right, where they can be counted; such a rule names the finding's `subject`.
    `cascades` is whether its findings are about what depends on something that is dropped.
    """

    name: str
    severity: Severity
    engines: frozenset[str]
    source: str
    examples: tuple[Example, ...]
    findings: Callable[[ReviewedRevision, RuleFacts], Iterator[Finding]] = _nothing
    of_graph: Callable[[ReviewedGraph, RuleFacts], Iterator[Finding]] = _nothing_of_graph
    style: bool = False
    baseline: bool = False
    after_suppression: bool = False
    decided_by: ViolationKind | None = None
    cascades: bool = False

    @property
    def group(self) -> str:
        """The first word of the name, by which the pages are ordered."""
        return self.name.partition("-")[0]

    def at(
        self,
        step: ReviewedStep,
        where: ReviewedStatement | Operation | Place | None,
        *,
        what: str,
        why: str,
        fix: str,
        severity: Severity | None = None,
        confidence: Confidence = Confidence.HIGH,
        subject: tuple[str, ...] = (),
    ) -> Finding:
        """Return a finding of this rule in one function, at a statement, an operation or a line.

        `subject` is the table and the columns whose rows decide it.
        """
        return Finding(
            rule=self.name,
            severity=severity or self.severity,
            confidence=confidence,
            revision=step.revision,
            direction=step.direction,
            place=where if isinstance(where, Place) or where is None else where.place,
            what=what,
            why=why,
            fix=fix,
            statement=step.ordinal(where) if isinstance(where, ReviewedStatement) else None,
            subject=(bare(subject[0]), *subject[1:]) if subject else (),
        )

    def in_file(
        self,
        revision: ReviewedRevision,
        *,
        what: str,
        why: str,
        fix: str,
        line: int = 1,
        severity: Severity | None = None,
        confidence: Confidence = Confidence.HIGH,
    ) -> Finding:
        """Return a finding of this rule about the file as a whole, at that line."""
        return Finding(
            rule=self.name,
            severity=severity or self.severity,
            confidence=confidence,
            revision=revision.id,
            direction=None,
            place=revision.line(line),
            what=what,
            why=why,
            fix=fix,
        )

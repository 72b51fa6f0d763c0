"""What a rule looks at: revisions as they were read, statement by statement, with the schema before and after each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path

from handrail.model.action import Action
from handrail.model.effect import Effect
from handrail.model.operation import Operation, Place, Reading, Statement
from handrail.model.replayed import EMPTY, Replayed, bare
from handrail.model.revision import Direction, Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedStatement:
    """One statement of a revision: what it does, to whom, and the schema before and after it.

    `operation` is Alembic's operation that it comes from, None for SQL that the revision sends by itself. `maker` marks
    in the schema what the same function of the same revision has made. `moments` are the schemas after each action,
    where a text holds several that happen one after the other.
    """

    statement: Statement
    actions: tuple[Action, ...]
    effects: tuple[Effect, ...]
    before: Replayed
    after: Replayed
    operation: Operation | None = None
    maker: str = ""
    moments: tuple[Replayed, ...] = ()

    @property
    def place(self) -> Place | None:
        """The line of the revision file that sends it."""
        return self.statement.place

    @property
    def certain(self) -> bool:
        """Whether it is sent exactly so, on a schema that is known for certain."""
        return self.before.certain and self.statement.exact

    def creates(self, table: str) -> bool:
        """Return whether that table was made earlier in this same step: nobody else uses it yet, and it is empty."""
        known = self.before.table(table)
        made_in = self.before.built.get(bare(table)) or (known.created_in if known is not None else "")
        return bool(self.maker) and made_in == self.maker

    def adds(self, table: str, column: str) -> bool:
        """Return whether that column was made earlier in this same step."""
        known = self.before.table(table)
        return known is not None and bool(self.maker) and known.added.get(column) == self.maker

    def each(self) -> Iterator[tuple[ReviewedStatement, Action]]:
        """Yield every action with the statement as it stands around it: a text may hold several, one on the other."""
        if not self.moments:
            yield from ((self, action) for action in self.actions)
            return
        for action, before, after in zip(self.actions, (self.before, *self.moments), self.moments, strict=False):
            yield replace(self, before=before, after=after), action


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # each is itself: it holds too much to be compared
class ReviewedStep:
    """One function of one revision. `statements` are the revision's own, without those on Alembic's version table.

    With Reading.FAILED there may be operations and statements up to the failure; `reason` says what happened.
    """

    revision: str
    direction: Direction
    reading: Reading
    reason: str = ""
    operations: tuple[Operation, ...] = ()
    statements: tuple[ReviewedStatement, ...] = ()
    before: Replayed = EMPTY
    after: Replayed = EMPTY
    _actions: tuple[tuple[ReviewedStatement, Action], ...] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        """Gather once what nearly every rule goes through."""
        object.__setattr__(self, "_actions", tuple(pair for each in self.statements for pair in each.each()))

    @property
    def read(self) -> bool:
        """Whether all of it was read, so that what is not seen is not there."""
        return self.reading is Reading.EXACT

    def ordinal(self, statement: ReviewedStatement) -> int | None:
        """Return the number of that statement among those of the step, from 0; None for one of another step."""
        return next((n for n, known in enumerate(self.statements) if known.statement is statement.statement), None)

    def actions(self) -> Iterator[tuple[ReviewedStatement, Action]]:
        """Return every action with its statement, in the order sent."""
        return iter(self._actions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Suppression:
    """One `# handrail: ignore[rule] reason, until DATE` of a revision file.

    It stands for findings at `lines` (1-based, its own and the next one of code), for the whole file where that is
    empty. `used` is whether it hid a finding.
    """

    rules: tuple[str, ...]
    reason: str
    until: date | None
    line: int
    lines: tuple[int, ...] = ()
    malformed: str = ""
    used: bool = False


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)  # each is itself: it holds too much to be compared
class ReviewedRevision:
    """One revision with its two functions; a step is None where it was not looked at.

    `earlier` are the upgrades below it as they were read, oldest first.
    """

    revision: Revision
    upgrade: ReviewedStep | None = None
    downgrade: ReviewedStep | None = None
    earlier: tuple[ReviewedStep, ...] = ()
    suppressions: tuple[Suppression, ...] = ()

    @property
    def id(self) -> str:
        """The revision's id."""
        return self.revision.id

    @property
    def steps(self) -> tuple[ReviewedStep, ...]:
        """The functions that were looked at, the upgrade first."""
        return tuple(step for step in (self.upgrade, self.downgrade) if step is not None)

    def line(self, number: int) -> Place:
        """Return that line of the file as a place."""
        return Place(file=str(self.revision.path), line=number)


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphProblem:
    """Something wrong with the files or with how they hang together; `kind` with dashes, as `missing-parent`."""

    kind: str
    what: str
    why: str
    fix: str
    file: Path | None = None
    line: int | None = None
    revision: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewedGraph:
    """All revisions of a project and what is wrong with the whole; `reviewed` are the ids that are being reviewed."""

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
    reviewed: frozenset[str]
    problems: tuple[GraphProblem, ...] = ()

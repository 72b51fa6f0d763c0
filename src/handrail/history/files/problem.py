"""What is wrong with a history's files, as values: one bad file must not hide the others."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from handrail.errors import HistoryBroken, ProjectUnreadable


class ProblemKind(Enum):
    """What can be wrong with the files of a history.

    A file that cannot be read, or a graph that does not close, makes every path through it doubtful: those kinds stop
    planning. The others are told and worked around, as Alembic does.
    """

    UNREADABLE = "file cannot be read"
    COMPILED_ONLY = "compiled file without its source"
    DUPLICATE = "revision id used twice"
    MISSING_PARENT = "parent revision has no file"
    MISSING_DEPENDENCY = "depends_on names nothing known"
    DUPLICATE_LABEL = "branch label used twice"
    CYCLE = "revisions lead back to themselves"
    SEVERAL_HEADS = "several heads"
    SEVERAL_BASES = "several bases"
    STRAY = "file without a revision id"
    MISSING_FOLDER = "version location does not exist"
    MISSING_FUNCTION = "function is missing"
    FUNCTION_ELSEWHERE = "function is defined elsewhere"


_HARMLESS = frozenset(
    {
        ProblemKind.SEVERAL_HEADS,
        ProblemKind.SEVERAL_BASES,
        ProblemKind.STRAY,
        ProblemKind.MISSING_FOLDER,
        ProblemKind.MISSING_FUNCTION,
        ProblemKind.FUNCTION_ELSEWHERE,
    }
)
_OF_ONE_FILE = frozenset({ProblemKind.UNREADABLE, ProblemKind.COMPILED_ONLY, ProblemKind.STRAY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One thing wrong, with the files it is about, in the three parts of a HandrailError.

    `line` is 1-based, None where the whole file is meant. `revisions` are the ids concerned: for a cycle the loop in
    the order in which each one names the next as its parent, for several heads the heads.
    """

    kind: ProblemKind
    what: str
    why: str
    fix: str
    files: tuple[Path, ...] = ()
    revisions: tuple[str, ...] = ()
    line: int | None = None

    @property
    def blocking(self) -> bool:
        """Whether no path through the history can be trusted while this stands."""
        return self.kind not in _HARMLESS

    @property
    def message(self) -> str:
        """What and why, in one line."""
        return f"{self.what}: {self.why}"

    def error(self) -> ProjectUnreadable:
        """The same as an error to raise: HistoryBroken where the graph is meant, ProjectUnreadable for one file."""
        family = ProjectUnreadable if self.kind in _OF_ONE_FILE else HistoryBroken
        return family(what=self.what, why=self.why, fix=self.fix)

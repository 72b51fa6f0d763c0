"""What Handrail finds in a project that it is new to, and the files it would write there."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, field
from enum import Enum


class FileAction(Enum):
    """What becomes of a file. LEAVE: somebody has written it otherwise, and nobody asked to replace it."""

    CREATE = "create"
    CHANGE = "change"
    LEAVE = "leave"


@dataclass(frozen=True, slots=True, kw_only=True)
class FileChange:
    """One file, by its path from the project's folder; `before` is None where there is none yet."""

    path: str
    action: FileAction
    before: str | None = field(repr=False)
    after: str = field(repr=False)

    @property
    def diff(self) -> str:
        """The unified diff from what is there to what Handrail would have there."""
        lines = difflib.unified_diff(
            (self.before or "").splitlines(keepends=True),
            self.after.splitlines(keepends=True),
            "/dev/null" if self.before is None else f"a/{self.path}",
            f"b/{self.path}",
        )
        return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What was found, paths from the project's folder.

    `models` is the expression or name of the metadata, '' where there is none; `tables` how many it has, None where
    env.py could not be run. `variable` is the environment variable that holds the URL, `read_at` the line that reads
    it; both '' where none was seen.
    """

    alembic: str
    script_location: str
    revisions: int
    heads: tuple[str, ...]
    models: str
    tables: int | None
    variable: str
    read_at: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Adoption:
    """What was found, what would be written, and what only a person can settle, one sentence each.

    `environment` is the one that a command means without another.
    """

    found: Found
    changes: tuple[FileChange, ...]
    notes: tuple[str, ...]
    environment: str

    @property
    def pending(self) -> tuple[FileChange, ...]:
        """The files that would be written."""
        return tuple(change for change in self.changes if change.action is not FileAction.LEAVE)

    @property
    def left(self) -> tuple[FileChange, ...]:
        """The files that differ from ours and are left as they are."""
        return tuple(change for change in self.changes if change.action is FileAction.LEAVE)

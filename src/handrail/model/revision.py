"""One Alembic file: its identity, its header and its source."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path


class Direction(Enum):
    """The two functions of a revision file, by their names."""

    UPGRADE = "upgrade"
    DOWNGRADE = "downgrade"


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The five fields of a revision's docstring; an absent field is an empty string.

    `purpose` is the title line. `fields` keeps every `Name: text` line in the order written, names as written.
    """

    purpose: str = ""
    impact: str = ""
    risk: str = ""
    rollback: str = ""
    testing: str = ""
    fields: tuple[tuple[str, str], ...] = ()

    @property
    def is_there(self) -> bool:
        """Whether one of the fields below the title is written at all."""
        return bool(self.impact or self.risk or self.rollback or self.testing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Revision:
    """One revision as its file states it, read without importing it.

    `parents` is empty for a base and has several entries for a merge. `code` holds the file's bytes, `source`
    their text with every line ending as a newline, `digest` the sha256 of the bytes.
    `upgrade_line` and `downgrade_line` are 1-based lines of the two functions, None where a function is missing.
    """

    id: str
    parents: tuple[str, ...]
    depends_on: tuple[str, ...]
    branch_labels: tuple[str, ...]
    path: Path
    code: bytes
    source: str
    digest: str
    header: Header
    upgrade_line: int | None
    downgrade_line: int | None

    @property
    def title(self) -> str:
        """The first line of the docstring, or the file's slug where there is none."""
        return self.header.purpose or self.path.stem.partition("_")[2].replace("_", " ")

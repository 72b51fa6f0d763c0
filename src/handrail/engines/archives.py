"""What every engine offers to make backups and databases of them, beside `base`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection

from handrail.host.partial import Partial
from handrail.model.backup import Extent, Program
from handrail.model.grants import Owner
from handrail.model.needs import Needs
from handrail.model.particular import Particular
from handrail.model.target import Target

if TYPE_CHECKING:
    from handrail.engines.base import Engine


class Dump(Protocol):
    """A backup being made. `conn` reads the very snapshot that goes into the archive, until the block ends."""

    conn: Connection

    def sequences(self) -> tuple[tuple[str, str, str], ...]:
        """Return each sequence as it was before the archive was begun and as it is now, where no snapshot holds them.

        Names and values are those of a RowsPrint.
        """

    def finish(self, tell: Callable[[int, int], None]) -> Program:
        """Wait until the archive is complete, and return what wrote it.

        `tell` hears now and then how many bytes of the database are in it, of how many; about.

        Raises BackupUnproved with the program's own words.
        """


class Backups(Protocol):
    """Makes archives of the engine's own database, and databases of archives."""

    suffix: str

    def estimate(self, conn: Connection) -> Extent:
        """Return what a backup will read and whom it will keep waiting. No table is scanned."""

    def dump(self, file: Partial, *, compress: int, lock_wait: timedelta, run: str) -> AbstractContextManager[Dump]:
        """Begin to write the whole database into `file`; whoever writes ends with the block, and with this process.

        `compress` is 0 for none to 9. `lock_wait` bounds the wait for a table that somebody has locked. Raises
        BackupUnproved (no program for it, a missing right, a lock) or Unreachable.
        """

    def restore(
        self, archive: Path, into: Engine, *, program: Program, jobs: int, owners: bool, privileges: bool
    ) -> None:
        """Fill the empty database with what is in the archive, with its owners and privileges where they are wanted.

        Raises BackupUnproved where anything of it cannot be restored.
        """

    def contents(self, archive: Path, program: Program) -> frozenset[str]:
        """Return the archive's table of contents: kind, name and owner of each thing. Raises BackupUnproved."""

    def owners(self, conn: Connection) -> tuple[Owner, ...]:
        """Return who owns what."""

    def particulars(self, conn: Connection) -> tuple[Particular, ...]:
        """Return what an archive keeps beside the schema's fingerprint, rows and grants."""

    def named(self, into: str) -> Engine:
        """Return the engine of a URL, or of the database of that name beside ours; nothing is opened."""

    def create(self, into: Engine, like: Needs, source: Target) -> None:
        """Make the database where there is none yet; `source` is what the archive was made of, as it was then.

        Raises TargetRefused where `into` is that database, holds something, or cannot hold the archive.
        """

    def filling(self, into: Engine, what: str) -> AbstractContextManager[None]:
        """While the block lasts, and after one that failed, let `create` know that it is not whole, and of what."""

    def way_back(self, into: Engine) -> str:
        """Return what a person types to be rid of it."""

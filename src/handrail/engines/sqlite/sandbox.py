"""A private folder whose databases nobody else uses."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

from sqlalchemy import URL

from handrail.engines.base import Engine, Refusal, for_url
from handrail.engines.sqlite.catalog import SERVER_MAJOR
from handrail.errors import SandboxUnavailable
from handrail.host import scratch
from handrail.model.needs import Needs


@contextmanager
def open_sandbox(server_major: int) -> Iterator[Folder]:
    """Yield a folder of our own, readable by this user alone, removed at the end. Raises SandboxUnavailable.

    What a killed process has left behind is removed first.
    """
    if server_major != SERVER_MAJOR:
        raise SandboxUnavailable(
            what=f"there is no SQLite {server_major} to work in",
            why=f"Python brings SQLite {SERVER_MAJOR}",
            fix="ask for major version 3",
        )
    root = Path(tempfile.gettempdir())
    scratch.sweep(root)
    with scratch.folder(root, None) as found:
        yield Folder(found.path)


class Folder:
    """Satisfies `Sandbox`."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._numbers = count(1)

    def lacks(self, needs: Needs) -> tuple[Refusal, ...]:
        """Return whether the database is of another major version than Python's SQLite; it needs nothing else."""
        if needs.server_major == SERVER_MAJOR:
            return ()
        return (
            Refusal(
                what=f"the sandbox is SQLite {SERVER_MAJOR}, the database is of SQLite {needs.server_major}",
                why="the file format and what statements do are not the same across major versions",
                fix=f"use a Python linked with SQLite {needs.server_major}",
            ),
        )

    def free_bytes(self) -> int:
        """Return the room in the folder."""
        return shutil.disk_usage(self._path).free

    @contextmanager
    def database(self, like: Needs | None = None, *, role: str | None = None) -> Iterator[Engine]:  # noqa: ARG002 - SQLite knows no roles, and a file is like any other
        """Yield the engine of a fresh, empty file, removed at the end with everything that stands beside it."""
        file = self._path / f"sandbox-{next(self._numbers)}.db"
        file.touch()
        try:
            yield for_url(URL.create("sqlite", database=str(file)))
        finally:
            for left in self._path.glob(f"{file.name}*"):
                left.unlink()

    def way_out(self, exc: BaseException) -> str:  # noqa: ARG002 - the Protocol's shape
        """Return '': the library is the target's own."""
        return ""

    def drop_roles(self, names: Collection[str]) -> None:
        """Nothing to drop: SQLite knows no roles."""

"""A copy of the reference application, whose commands run as a user types them: in its folder, by a shell, offline."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import sqlalchemy as sa

SOURCE = Path(__file__).parent.parent / "examples" / "htstatus"
#: The revision that each release shipped with.
V1, V2, V3, V4 = "1d7c35f0a2b8", "59c0d7e8b4f1", "8ce6b1d49f37", "b1f9e470c268"
V5, V6, V7, V8 = "d31b0692e48a", "175f4ad628ce", "4a827d095bf1", "6ca49f2b7d13"
SHIPPED = {f"v{number}": at for number, at in enumerate((V1, V2, V3, V4, V5, V6, V7, V8), start=1)}
#: Revisions within a release that tests stop at.
FORM_EXPANDED, FORM_CONTRACTED, FLAG_CONTRACTED = "a0e8d36fb157", "e42c17a3f59b", "28605be739df"
KIND_BY_NAME, USERS_SPLIT = "39716cf84ae0", "5b938e1a6c02"
BEFORE_HEAD, HEAD = USERS_SPLIT, V8
#: The last one on SQLite, too: v4 needs PostgreSQL.
ON_SQLITE = V3
DEADLINE_S = 120

_JUNK = shutil.ignore_patterns(".handrail", "__pycache__", ".coverage*", ".pytest_cache", "backups")
_NOT_INHERITED = ("HANDRAIL", "HTSTATUS", "COV", "PG", "DATABASE_URL", "STAGING_", "PRODUCTION_", "MAKE", "MFLAGS")


class Example:
    """The copy in `folder`; `variables` name its databases; without them they are those of `make services`."""

    def __init__(self, folder: Path, **variables: str) -> None:
        self.folder = Path(shutil.copytree(SOURCE, folder, ignore=_JUNK))
        self.url = variables.get("DATABASE_URL", "")
        inherited = {name: value for name, value in os.environ.items() if not name.startswith(_NOT_INHERITED)}
        self.environment = {
            **inherited,
            **variables,
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "VIRTUAL_ENV": sys.prefix,
            "UV_OFFLINE": "1",
            "UV_NO_CACHE": "1",  # an account may have no home
        }

    def try_to(self, command: str, *, typed: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["sh", "-c", command],
            cwd=self.folder,
            env={**self.environment, **variables},
            input=typed,
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )

    def run(self, command: str, *, typed: str = "", **variables: str) -> str:
        done = self.try_to(command, typed=typed, **variables)
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def revision_files(self) -> set[Path]:
        return set((self.folder / "migrations" / "versions").glob("*.py"))

    def query(self, statement: str) -> list[tuple[object, ...]]:
        engine = sa.create_engine(self.url)
        try:
            with engine.connect() as connection:
                return [tuple(row) for row in connection.execute(sa.text(statement))]
        finally:
            engine.dispose()

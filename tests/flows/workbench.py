"""A project to work on in tests: revision files written on the spot, commands run as a person would run them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

from forge import Forge
from sqlalchemy import Connection

from handrail.engines.base import Purpose, for_url

_ENV_PY = """
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
"""
_INI = "[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = sqlite:///never-opened.db\n"
_TIMEOUT_S = 120
_FORGE = Forge()


class Workbench:
    """One scratch project, bound to one database by the environment `main`."""

    def __init__(self, root: Path, url: str, *, settings: str = "") -> None:
        self.root = root
        self.url = url
        self.versions = root / "migrations" / "versions"
        self.versions.mkdir(parents=True)
        (root / "migrations" / "env.py").write_text(_ENV_PY)
        (root / "alembic.ini").write_text(_INI)
        self.settings(settings)

    def settings(self, extra: str = "") -> None:
        """Write [tool.handrail]; `extra` goes below the environment `main`."""
        text = f'[tool.handrail.environments.main]\nurl = "env:HANDRAIL_TEST_URL"\n{dedent(extra)}'
        (self.root / "pyproject.toml").write_text(text)

    def revision(self, name: str, parent: str | None, upgrade: str, downgrade: str = "pass") -> Path:
        """Write one revision file; the bodies are code that uses `op` and `sa`."""
        path = self.versions / f"{name}_step.py"
        bodies = [indent(dedent(body).strip() or "pass", "    ") for body in (upgrade, downgrade)]
        path.write_text(
            f'"""Step {name}."""\n\nfrom alembic import op\nimport sqlalchemy as sa\n\nrevision = {name!r}\n'
            f"down_revision = {parent!r}\n\n\ndef upgrade():\n{bodies[0]}\n\n\ndef downgrade():\n{bodies[1]}\n"
        )
        return path

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `handrail ARGUMENTS` to its end, in a process of its own."""
        return _FORGE.run(arguments, cwd=self.root, env=self._env(env), die_at=None, limit_s=_TIMEOUT_S)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[str]:
        """Start `handrail ARGUMENTS` and leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "handrail", *arguments],
            cwd=self.root,
            env=self._env(env),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def die_at(self, event: str, nth: int, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `handrail ARGUMENTS` in a process that kills itself with SIGKILL at the nth event of that name."""
        return _FORGE.run(arguments, cwd=self.root, env=self._env(None), die_at=(event, nth), limit_s=_TIMEOUT_S)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Return the JSON document that `handrail ARGUMENTS --format json` prints."""
        document: dict[str, Any] = json.loads(self.run(*arguments, "--format", "json").stdout)
        return document

    @contextmanager
    def database(self) -> Iterator[Connection]:
        """A connection to look at the database with; it commits each statement."""
        with for_url(self.url).connect(Purpose.STATE) as conn:
            yield conn

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what a query returns."""
        with self.database() as conn:
            return [tuple(row) for row in conn.exec_driver_sql(sql)]

    def execute(self, *statements: str) -> None:
        """Run statements, each committed."""
        with self.database() as conn:
            for sql in statements:
                conn.exec_driver_sql(sql)

    def _env(self, extra: Mapping[str, str] | None) -> dict[str, str]:
        return {**os.environ, "HANDRAIL_TEST_URL": self.url, **(extra or {})}

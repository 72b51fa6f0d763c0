"""Models for a scratch project, and the revision that Alembic's autogenerate would write for them."""

from __future__ import annotations

import json
import sys
import warnings
from textwrap import dedent
from types import ModuleType
from typing import Any

from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from sqlalchemy import MetaData
from workbench import Workbench

from handrail.engines.base import Purpose, for_url

_ENV_PY = """
import sys
from pathlib import Path

from alembic import context
from sqlalchemy import create_engine, pool

sys.path.insert(0, str(Path(__file__).parent.parent))
import models

engine = create_engine(context.config.get_main_option("sqlalchemy.url"), poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=models.metadata, {options})
    with context.begin_transaction():
        context.run_migrations()
"""


def metadata(code: str) -> MetaData:
    """Return the metadata that such code defines, in this process."""
    module = ModuleType("models")
    sys.modules["models"] = module  # SQLAlchemy looks for the names of annotations there
    try:
        exec(compile(dedent(code), "models.py", "exec"), module.__dict__)  # noqa: S102 - the test's own text
    finally:
        del sys.modules["models"]
    found = module.metadata
    assert isinstance(found, MetaData)
    return found


class Modelled:
    """A scratch project with models, whose first revision was generated from them."""

    def __init__(self, bench: Workbench, code: str, *, options: str = "") -> None:
        self.bench = bench
        self.models(code, options=options)

    def models(self, code: str, *, options: str = "") -> MetaData:
        """Write models.py; `code` defines `metadata`. `options` are further arguments of context.configure()."""
        (self.bench.root / "models.py").write_text(dedent(code))
        (self.bench.root / "migrations" / "env.py").write_text(_ENV_PY.format(options=options))
        return metadata(code)

    def migrate(self, code: str, parent: str | None = None) -> None:
        """Write what autogenerate says as a revision, and apply it."""
        with for_url(self.bench.url).connect(Purpose.MIGRATE) as conn, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what Alembic cannot compare on SQLite
            operations = produce_migrations(MigrationContext.configure(conn), metadata(code)).upgrade_ops
        assert operations is not None
        imports = "from sqlalchemy.dialects import postgresql\nfrom sqlalchemy import String, Text\n"
        self.bench.revision("aaa1", parent, imports + dedent(render_python_code(operations)).replace("\n    ", "\n"))
        done = self.bench.run("apply", "--yes")
        assert done.returncode == 0, done.stderr

    def agrees(self, code: str) -> bool:
        """Whether `alembic check` finds nothing to do."""
        with for_url(self.bench.url).connect(Purpose.MIGRATE) as conn, warnings.catch_warnings():
            warnings.simplefilter("ignore")
            found = compare_metadata(MigrationContext.configure(conn), metadata(code))
        return not [f for f in found if "handrail" not in str(f)]

    def check(self, name: str, *arguments: str) -> dict[str, Any]:
        """Return what `handrail verify` says of that one check, with the exit status under `exit`."""
        done = self.bench.run("verify", "--check", name, "--format", "json", *arguments)
        assert "Traceback" not in done.stderr, done.stderr
        [judgement] = json.loads(done.stdout)["checks"]
        return {**judgement, "exit": done.returncode}

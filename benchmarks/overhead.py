"""What Handrail adds to a migration: `handrail apply` beside `alembic upgrade head` on the same generated project.

Two cases on each engine: many pending revisions, and none. Each side gets its own database for every round, in which
its own tables (alembic_version, Handrail's log) are already there; the sides take turns.
"""

from __future__ import annotations

import argparse
import secrets
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from stopwatch import BIN, Cost, Table, run

from handrail.engines.postgresql.servers.sandbox import fresh_database, open_for_tests

FIRST = "r0000"

SETTINGS = """\
[tool.handrail.environments.bench]
url = "env:DATABASE_URL"
"""

INI = """\
[alembic]
script_location = %(here)s/migrations
"""

ENV_PY = """\
import os

from alembic import context
from sqlalchemy import create_engine, pool

with create_engine(os.environ["DATABASE_URL"], poolclass=pool.NullPool).connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

REVISION = '''\
"""{title}"""

import sqlalchemy as sa
from alembic import op

revision = "{revision}"
down_revision = {parent!r}
branch_labels = None
depends_on = None


def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
'''


def body(number: int) -> tuple[str, str, str]:
    """Return title, upgrade and downgrade of the revision: a table, then two columns and an index on it, and so on."""
    table = f"t{number // 4 * 4}"
    match number % 4:
        case 0:
            columns = 'sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(100), nullable=False)'
            return f"create {table}", f'op.create_table("{table}", {columns})', f'op.drop_table("{table}")'
        case 3:
            index = f"ix_{table}_c1"
            return (
                f"index {table}",
                f'op.create_index("{index}", "{table}", ["c1"])',
                f'op.drop_index("{index}", "{table}")',
            )
        case rest:
            column = f'sa.Column("c{rest}", sa.Integer)'
            return (
                f"widen {table}",
                f'op.add_column("{table}", {column})',
                f'op.drop_column("{table}", "c{rest}")',
            )


def make_project(folder: Path, revisions: int) -> Path:
    """Return a project of that many revisions after the first, which sets the scene and is not measured."""
    versions = folder / "migrations" / "versions"
    versions.mkdir(parents=True)
    (folder / "pyproject.toml").write_text(SETTINGS)
    (folder / "alembic.ini").write_text(INI)
    (folder / "migrations" / "env.py").write_text(ENV_PY)
    parent = None
    for number in range(revisions + 1):
        revision = f"r{number:04}"
        title, upgrade, downgrade = body(number)
        text = REVISION.format(title=title, revision=revision, parent=parent, upgrade=upgrade, downgrade=downgrade)
        (versions / f"{revision}_{title.replace(' ', '_')}.py").write_text(text)
        parent = revision
    return folder


Database = Callable[[], AbstractContextManager[str]]
SIDES: dict[str, Callable[[str], list[str]]] = {
    "alembic upgrade": lambda target: [str(BIN / "alembic"), "upgrade", target],
    "handrail apply": lambda target: [str(BIN / "handrail"), "apply", target, "-e", "bench", "--yes"],
}


def one_round(project: Path, database: Database, command: Callable[[str], list[str]]) -> tuple[Cost, Cost]:
    """Return the cost of all pending revisions, and of asking again when none is pending."""
    # The journal remembers which database the environment means; every round has another one.
    shutil.rmtree(project / ".handrail", ignore_errors=True)
    with database() as url:
        env = {"DATABASE_URL": url}
        run(command(FIRST), cwd=project, env=env)
        return run(command("head"), cwd=project, env=env), run(command("head"), cwd=project, env=env)


@contextmanager
def engines(folder: Path) -> Iterator[dict[str, Database]]:
    """Give a maker of fresh databases for each engine."""

    @contextmanager
    def sqlite() -> Iterator[str]:
        path = folder / f"{secrets.token_hex(6)}.db"
        yield f"sqlite:///{path}"
        path.unlink()

    with open_for_tests() as server:
        yield {"postgresql": lambda: fresh_database(server), "sqlite": sqlite}


def main() -> None:
    """Print medians over the rounds; the first round only fills caches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revisions", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory() as temporary, engines(Path(temporary)) as databases:
        projects = {side: make_project(Path(temporary) / side, options.revisions) for side in SIDES}
        for number in range(options.rounds + 1):
            for engine, database in databases.items():
                for side, command in SIDES.items():
                    applied, asked = one_round(projects[side], database, command)
                    if number:
                        table.add(f"{engine}, {options.revisions} revisions", side, applied)
                        table.add(f"{engine}, nothing pending", side, asked)
    table.print()


if __name__ == "__main__":
    main()

"""Writes small Alembic projects for tests: the templates that Alembic itself ships, and revisions given as text."""

from __future__ import annotations

import shutil
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import alembic

from handrail.history.files import graph as graphs
from handrail.history.files.graph import Graph
from handrail.history.files.project import Project, find
from handrail.model.revision import Direction, Revision

TEMPLATES = Path(alembic.__file__).parent / "templates"

REVISION = '''"""{id}."""
import sqlalchemy as sa
from alembic import op

revision = {id!r}
down_revision = {parent!r}
branch_labels = None
depends_on = None


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''

FLASK_APP = """
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


class Player(db.Model):
    id = db.Column(db.Integer, primary_key=True)


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = {url!r}
    db.init_app(app)
    Migrate(app, db, compare_type=False, render_as_batch=True)
    return app
"""


@dataclass
class Written:
    """A project on disk, with the ids of its revisions in order."""

    root: Path
    ids: list[str] = field(default_factory=list)
    versions: Path = Path()

    @property
    def project(self) -> Project:
        return find(self.root)

    @property
    def graph(self) -> Graph:
        return graphs.load(self.project)

    @property
    def env_py(self) -> Path:
        return self.project.env_py

    def revision(self, upgrade: str, downgrade: str = "pass", *, id: str | None = None) -> str:  # noqa: A002 - the field's word
        """Add a revision after the last one."""
        identity = id or f"{len(self.ids) + 1:04d}"
        body = REVISION.format(
            id=identity,
            parent=self.ids[-1] if self.ids else None,
            upgrade=textwrap.indent(textwrap.dedent(upgrade).strip(), "    "),
            downgrade=textwrap.indent(textwrap.dedent(downgrade).strip(), "    "),
        )
        (self.versions / f"{identity}_.py").write_text(body)
        self.ids.append(identity)
        return identity

    def steps(self, direction: Direction = Direction.UPGRADE) -> list[tuple[Revision, Direction]]:
        """Every revision in the order of that direction."""
        graph = self.graph
        ids = self.ids if direction is Direction.UPGRADE else list(reversed(self.ids))
        return [(graph.revisions[identity], direction) for identity in ids]


def write(root: Path, *, template: str = "generic", url: str = "postgresql://dead@127.0.0.1:1/nowhere") -> Written:
    """Write a project made from one of Alembic's templates: generic, async, pyproject, pyproject_async, multidb."""
    migrations = root / "migrations"
    versions = migrations / "versions"
    versions.mkdir(parents=True)
    source = TEMPLATES / template
    shutil.copy(source / "env.py", migrations / "env.py")
    if template.startswith("pyproject"):
        (root / "pyproject.toml").write_text(
            '[tool.alembic]\nscript_location = "%(here)s/migrations"\nprepend_sys_path = ["."]\n'
        )
    ini = ["[alembic]", f"sqlalchemy.url = {url.replace('%', '%%')}"]
    if not template.startswith("pyproject"):
        ini += ["script_location = %(here)s/migrations", "prepend_sys_path = ."]
    if template == "multidb":
        ini += ["databases = engine1, engine2", "[engine1]", ini[1], "[engine2]", ini[1]]
    (root / "alembic.ini").write_text("\n".join(ini) + "\n")
    return Written(root=root, versions=versions)


def write_flask(root: Path, *, url: str) -> Written:
    """Write a project made by Flask-Migrate, its ini inside the folder of the migrations."""
    import flask_migrate  # noqa: PLC0415 - only the tests of Flask need it

    migrations = root / "migrations"
    versions = migrations / "versions"
    versions.mkdir(parents=True)
    shutil.copy(Path(flask_migrate.__file__).parent / "templates" / "flask" / "env.py", migrations / "env.py")
    (migrations / "alembic.ini").write_text("[alembic]\n")
    (root / "app.py").write_text(FLASK_APP.format(url=url))
    return Written(root=root, versions=versions)

"""Alembic projects of many shapes, made by the commands that make them, and `handrail` run in them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from forge import Forge

MODELS = """
from sqlalchemy import Column, Integer, MetaData, String, Table

metadata = MetaData()
Table("users", metadata, Column("id", Integer, primary_key=True), Column("name", String(50), nullable=False))
"""
REVISION = '''"""Create users."""
from alembic import op
import sqlalchemy as sa

revision = "aaa1"
down_revision = None
branch_labels = None
depends_on = None


def upgrade():
    op.create_table(
        "users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50), nullable=False)
    )


def downgrade():
    op.drop_table("users")
'''
_FLASK_APP = """
import os

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

db = SQLAlchemy()


class User(db.Model):
    __tablename__ = "users"
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(50), nullable=False)


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    db.init_app(app)
    Migrate(app, db)
    return app
"""
_FORGE = Forge()
_LIMIT_S = 120


@dataclass
class Site:
    """One project on disk; `env` are the variables that its owner sets."""

    root: Path
    versions: Path
    env: dict[str, str] = field(default_factory=dict)

    def run(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run `handrail ARGUMENTS` in the project's folder."""
        cleared = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        given = cleared | self.env | dict(env or {})
        return _FORGE.run(arguments, cwd=self.root, env=given, die_at=None, limit_s=_LIMIT_S)

    def json(self, *arguments: str) -> dict[str, Any]:
        """Return the document that `handrail ARGUMENTS --format json` prints."""
        done = self.run(*arguments, "--format", "json")
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def files(self) -> dict[str, bytes]:
        """Every file and what is in it."""
        return {str(p.relative_to(self.root)): p.read_bytes() for p in sorted(self.root.rglob("*")) if p.is_file()}


def _init(folder: Path, ini: Path, template: str = "generic") -> None:
    """What `alembic -c INI init -t TEMPLATE FOLDER` does."""
    config = Config(ini, toml_file=ini.parent / "pyproject.toml" if template.startswith("pyproject") else None)
    command.init(config, str(folder), template=template)


def _edit(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text, path
    path.write_text(text.replace(before, after, 1))


def _url(ini: Path, url: str) -> None:
    _edit(ini, "sqlalchemy.url = driver://user:pass@localhost/dbname", f"sqlalchemy.url = {url.replace('%', '%%')}")


def _models(env_py: Path, module: str = "models") -> None:
    _edit(env_py, "target_metadata = None", f"from {module} import metadata\n\ntarget_metadata = metadata")


def plain(root: Path, url: str) -> Site:
    """`alembic init`, the URL written into the ini, a pyproject.toml that knows nothing of it."""
    root.mkdir()
    _init(root / "migrations", root / "alembic.ini")
    _url(root / "alembic.ini", url)
    _models(root / "migrations" / "env.py")
    (root / "models.py").write_text(MODELS)
    (root / "pyproject.toml").write_text('[project]\nname = "plain" # the shop\nversion = "1"\n')
    return Site(root, root / "migrations" / "versions")


def pyproject(root: Path, url: str) -> Site:
    """`alembic init -t pyproject`."""
    root.mkdir()
    _init(root / "alembic", root / "alembic.ini", "pyproject")
    _url(root / "alembic.ini", url)
    _models(root / "alembic" / "env.py")
    (root / "models.py").write_text(MODELS)
    return Site(root, root / "alembic" / "versions")


def several_databases(root: Path) -> Site:
    """`alembic init -t multidb`, which Handrail does not drive."""
    root.mkdir()
    _init(root / "alembic", root / "alembic.ini", "multidb")
    return Site(root, root / "alembic" / "versions")


def asynchronous(root: Path, url: str) -> Site:
    """`alembic init -t async`; the variable in an application's settings module, read by env.py."""
    root.mkdir()
    _init(root / "migrations", root / "alembic.ini", "async")
    env_py = root / "migrations" / "env.py"
    _models(env_py, "shop.models")
    _edit(
        env_py,
        "config = context.config\n",
        "config = context.config\n\nfrom shop.settings import DB_URL\n\n"
        'config.set_main_option("sqlalchemy.url", DB_URL.replace("%", "%%"))\n',
    )
    (root / "shop").mkdir()
    (root / "shop" / "__init__.py").touch()
    (root / "shop" / "models.py").write_text(MODELS)
    (root / "shop" / "settings.py").write_text('import os\n\nDB_URL = os.environ["SHOP_DATABASE_URL"]\n')
    driver = "postgresql+asyncpg" if url.startswith("postgresql") else "sqlite+aiosqlite"
    return Site(root, root / "migrations" / "versions", {"SHOP_DATABASE_URL": f"{driver}:{url.partition(':')[2]}"})


def flask(root: Path, url: str) -> Site:
    """`flask db init` with an application factory."""
    import flask_migrate  # noqa: PLC0415 - only the layout of Flask needs it
    from flask import Flask  # noqa: PLC0415 - see above
    from flask_sqlalchemy import SQLAlchemy  # noqa: PLC0415 - see above

    root.mkdir()
    (root / "app.py").write_text(_FLASK_APP)
    app = Flask("made_by_init")
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite://"
    flask_migrate.Migrate(app, SQLAlchemy(app))
    with app.app_context():
        flask_migrate.init(directory=str(root / "migrations"))
    return Site(root, root / "migrations" / "versions", {"DATABASE_URL": url})


def several_locations(root: Path, url: str) -> Site:
    """Two version locations; env.py itself reads the variable."""
    site = plain(root, "driver://nobody")
    _edit(root / "alembic.ini", "path_separator = os", "path_separator = os\nversion_locations = old:migrations/new")
    _edit(
        root / "migrations" / "env.py",
        "config = context.config\n",
        'config = context.config\n\nimport os\nif os.getenv("ORDERS_DSN"):\n'
        '    config.set_main_option("sqlalchemy.url", os.environ["ORDERS_DSN"].replace("%", "%%"))\n',
    )
    for name in ("old", "migrations/new"):
        (root / name).mkdir()
    (root / "old" / "aaa1_create_users.py").write_text(REVISION)
    return Site(root, root / "old", {"ORDERS_DSN": url} | site.env)


def subfolder(root: Path, url: str) -> Site:
    """The ini two folders down, a script_location of another name, no pyproject.toml at all."""
    home = root / "backend" / "db"
    home.mkdir(parents=True)
    _init(home / "schema", home / "alembic.ini")
    _url(home / "alembic.ini", url)
    _edit(home / "alembic.ini", f"script_location = {home / 'schema'}", "script_location = %(here)s/schema")
    _edit(home / "alembic.ini", "prepend_sys_path = .", "prepend_sys_path = %(here)s/..")
    (root / "backend" / "models.py").write_text(MODELS)
    _models(home / "schema" / "env.py")
    return Site(root, home / "schema" / "versions")


LAYOUTS: dict[str, Callable[[Path, str], Site]] = {
    layout.__name__: layout for layout in (plain, pyproject, asynchronous, flask, several_locations, subfolder)
}

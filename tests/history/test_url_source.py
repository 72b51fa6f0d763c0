from __future__ import annotations

from pathlib import Path

import pytest
from projects import write, write_flask

from handrail.history.files.url_source import url_in_ini, variable


def _env_py(root: Path, text: str) -> str:
    written = write(root, url="driver://user:pass@localhost/dbname")
    written.env_py.write_text(text)
    found = variable(written.project)
    return f"{found.name} {Path(found.place.file).name}:{found.place.line}" if found else ""


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('import os\nurl = os.environ["DATABASE_URL"]', "DATABASE_URL env.py:2"),
        ('from os import environ\nurl = environ.get("DB_DSN", "sqlite://")', "DB_DSN env.py:2"),
        ('import os\nurl = os.getenv("SQLALCHEMY_DATABASE_URI")', "SQLALCHEMY_DATABASE_URI env.py:2"),
        ('from environs import env\nurl = env.str("PG_URL")', "PG_URL env.py:2"),
        ('from decouple import config\nurl = config("DATABASE_URL")', "DATABASE_URL env.py:2"),
        ('import os\na = os.environ["REDIS_URL"]\nb = os.environ["DATABASE_URL"]', "DATABASE_URL env.py:3"),
        ('import os\na = os.environ["TEST_DATABASE_URL"]\nb = os.environ["MY_URL"]', "MY_URL env.py:3"),
        ('import os\na = os.environ["HOME"]\nb = app.config["SQLALCHEMY_DATABASE_URI"]', ""),
        ('import os\nurl = os.environ["SHOP_DB"]', "SHOP_DB env.py:2"),
        ('import os\na = os.environ["SHOP_DB"]\nb = os.environ["SHOP_DB_HOST"]', ""),
        ("not python at all (", ""),
    ],
)
def test_the_variable_that_env_py_reads_is_found(text: str, found: str, tmp_path: Path) -> None:
    assert _env_py(tmp_path, text) == found


def test_the_modules_that_env_py_imports_are_read_too(tmp_path: Path) -> None:
    shop = tmp_path / "shop"
    shop.mkdir()
    (shop / "__init__.py").touch()
    (shop / "db.py").write_text("from .core.settings import Settings\nfrom . import nothing\n")
    (shop / "core").mkdir()
    (shop / "core" / "__init__.py").touch()
    (shop / "core" / "settings.py").write_text(
        "class Settings(BaseSettings):\n"
        '    model_config = SettingsConfigDict(env_prefix="shop_")\n'
        "    debug: bool = False\n    database_url: str\n"
    )
    assert _env_py(tmp_path, "from shop import db\n") == "SHOP_DATABASE_URL settings.py:1"


def test_a_flask_application_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = write_flask(tmp_path, url="sqlite://")
    (tmp_path / "app.py").unlink()
    monkeypatch.setenv("FLASK_APP", "shop:create_app()")
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text('import os\nURL = os.environ["SHOP_DB_URL"]\n')
    found = variable(written.project)
    assert found is not None
    assert found.name == "SHOP_DB_URL"


@pytest.mark.parametrize(
    ("url", "name", "literal"),
    [
        ("sqlite:///app.db", "", "sqlite:///app.db"),
        ("driver://user:pass@localhost/dbname", "", ""),
        ("${DATABASE_URL}", "DATABASE_URL", ""),
        ("%%(DB_URL)s", "DB_URL", ""),
        ("postgresql://${DB_USER}:${DB_PASSWORD}@localhost/x", "", ""),
        ("postgresql://u:pa$WORD@localhost/x", "", "postgresql://u:pa$WORD@localhost/x"),
    ],
)
def test_a_url_in_the_ini_is_told_from_a_place_for_one(url: str, name: str, literal: str, tmp_path: Path) -> None:
    written = write(tmp_path)
    ini = tmp_path / "alembic.ini"
    ini.write_text(f"[alembic]\nsqlalchemy.url = {url}\nscript_location = %(here)s/migrations\n")
    found = variable(written.project)
    assert (found.name if found else "") == name
    assert url_in_ini(written.project) == literal


def test_a_variable_interpolated_into_the_ini_is_found(tmp_path: Path) -> None:
    written = write(tmp_path)
    text = "[alembic]\nscript_location = %(here)s/migrations\n# the owner's\nsqlalchemy.url = %(DATABASE_URL)s\n"
    (tmp_path / "alembic.ini").write_text(text)
    found = variable(written.project)
    assert found is not None
    assert (found.name, found.place.line) == ("DATABASE_URL", 4)

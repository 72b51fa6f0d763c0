"""Finds a Flask application as Flask's own command line does, for an env.py written by Flask-Migrate."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

_FILES = ("wsgi.py", "app.py")


def find_app(root: Path) -> Any:
    """Return the application that FLASK_APP names, else the one in wsgi.py or app.py under `root`.

    Runs project code. Raises what Flask raises where there is none.
    Source: https://flask.palletsprojects.com/en/stable/cli/#application-discovery
    """
    from flask import cli  # noqa: PLC0415 - only a project that has Flask gets here

    cli.load_dotenv()
    beside = next((str(root / name) for name in _FILES if (root / name).is_file()), None)
    return cli.ScriptInfo(app_import_path=os.environ.get("FLASK_APP") or beside).load_app()

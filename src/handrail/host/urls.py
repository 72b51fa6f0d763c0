"""Turns an environment's `url` setting into the URL it names."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from handrail.errors import SettingsInvalid
from handrail.host import secrets

_COMMAND_TIMEOUT_S = 30.0


def resolve(setting: str, *, environment: str, root: Path) -> str:
    """Return the URL behind `env:NAME`, `file:PATH`, `command:WORDS` or a literal URL.

    Its password is masked in all output from now on.
    Raises SettingsInvalid: variable unset, file unreadable, command failed, or a literal password outside development.
    """
    scheme, _, rest = setting.partition(":")
    match scheme:
        case "env":
            url = _from_environment(rest, environment)
        case "file":
            url = _from_file(root / rest, environment)
        case "command":
            url = _from_command(rest, environment, root)
        case _:
            url = setting
            _refuse_literal_password(url, environment)
    url = url.strip()
    if url.startswith("postgres://"):  # what hosting platforms hand out; SQLAlchemy knows only the long name
        url = "postgresql://" + url.removeprefix("postgres://")
    password = _password(url)
    if password:
        secrets.remember(password)
    return url


def _from_environment(name: str, environment: str) -> str:
    url = os.environ.get(name, "")
    if not url:
        raise SettingsInvalid(
            what=f"the URL of {environment} is not known; nothing was touched",
            why=f"the environment variable {name} is not set",
            fix=f"set {name} to the database's URL",
        )
    return url


def _from_file(path: Path, environment: str) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise SettingsInvalid(
            what=f"the URL of {environment} is not known; nothing was touched",
            why=f"{path} cannot be read: {type(exc).__name__}",
            fix="write the URL into that file, readable to you",
        ) from exc


def _from_command(command: str, environment: str, root: Path) -> str:
    try:
        done = subprocess.run(
            shlex.split(command), cwd=root, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired) as exc:
        why = f"`{command}` could not be run: {type(exc).__name__}"
    else:
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout
        why = f"`{command}` ended with status {done.returncode} and printed no URL"
    raise SettingsInvalid(
        what=f"the URL of {environment} is not known; nothing was touched", why=why, fix="run the command by hand"
    )


def _refuse_literal_password(url: str, environment: str) -> None:
    if environment != "development" and _password(url):
        raise SettingsInvalid(
            what=f"the settings hold the password of {environment}; nothing was touched",
            why="a password in a file under version control is known to everybody who reads it",
            fix=f'write url = "env:DATABASE_URL" for {environment} and set the variable',
        )


def _password(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""

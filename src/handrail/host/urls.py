"""Turns an environment's `url` setting into the URL it names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from configparser import ConfigParser
from configparser import Error as IniError
from pathlib import Path
from urllib.parse import urlsplit

from handrail.errors import SettingsInvalid
from handrail.host import secrets

_COMMAND_TIMEOUT_S = 30.0
#: Everything from the user's colon to the last @: a password that should have been percent-encoded may hold any sign.
_CREDENTIALS = re.compile(r"[^:/]*://[^:@/]*:(.+)@")
_QUERY_PASSWORD = re.compile(r"[?&]password=([^&]+)")


def resolve(setting: str, *, environment: str, root: Path) -> str:
    """Return the URL behind `env:NAME`, `file:PATH`, `ini:PATH`, `command:WORDS` or a literal URL.

    Its password is masked in all output from now on.
    Raises SettingsInvalid: variable unset, file or ini unreadable, command failed, a literal password outside
    development.
    """
    scheme, _, rest = setting.partition(":")
    match scheme:
        case "env":
            url = _from_environment(rest, environment)
        case "file":
            url = _from_file(root / rest, environment)
        case "ini":
            url = _from_ini(root / rest, environment)
            _refuse_literal_password(url, environment)
        case "command":
            url = _from_command(rest, environment, root)
        case _:
            url = setting
            _refuse_literal_password(url, environment)
    url = url.strip()
    if url.startswith("postgres://"):  # what hosting platforms hand out; SQLAlchemy knows only the long name
        url = "postgresql://" + url.removeprefix("postgres://")
    for password in _passwords(url):
        secrets.remember(password, beside=_names(url))
    return url


def _names(url: str) -> tuple[str, ...]:
    """Return what of the URL is shown openly."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return ()
    return (parts.scheme, parts.username or "", parts.hostname or "", parts.path)


def _from_environment(name: str, environment: str) -> str:
    url = os.environ.get(name, "")
    if not url.strip():
        raise SettingsInvalid(
            what=f"the URL of {environment} is not known; nothing was touched",
            why=f"the environment variable {name} is {'blank' if url else 'not set'}",
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


def _from_ini(path: Path, environment: str) -> str:
    """Return the URL that `sqlalchemy.url` of Alembic's ini holds, read as Alembic reads it."""
    parser = ConfigParser({"here": path.parent.as_posix()})
    try:
        parser.read_string(path.read_text(encoding="locale"))
        return parser.get("alembic", "sqlalchemy.url")
    except (OSError, UnicodeDecodeError, IniError) as exc:
        raise SettingsInvalid(
            what=f"the URL of {environment} is not known; nothing was touched",
            why=f"sqlalchemy.url cannot be read from {path}: {type(exc).__name__}",
            fix='write it under [alembic] there, or name another place: url = "env:DATABASE_URL"',
        ) from exc


def _from_command(command: str, environment: str, root: Path) -> str:
    # `python` is the one Handrail is installed in, also where its environment is not activated.
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    try:
        done = subprocess.run(
            shlex.split(command),
            cwd=root,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
            timeout=_COMMAND_TIMEOUT_S,
            check=False,
        )
    except (OSError, ValueError, IndexError, subprocess.TimeoutExpired) as exc:  # IndexError: no words at all
        why = f"`{command}` could not be run: {type(exc).__name__}"
    else:
        if done.returncode == 0 and done.stdout.strip():
            return done.stdout
        printed = "" if done.stdout.strip() else " and printed no URL"
        why = f"`{command}` ended with status {done.returncode}{printed}"
    raise SettingsInvalid(
        what=f"the URL of {environment} is not known; nothing was touched", why=why, fix="run the command by hand"
    )


def _refuse_literal_password(url: str, environment: str) -> None:
    if environment != "development" and _passwords(url):
        raise SettingsInvalid(
            what=f"the settings hold the password of {environment}; nothing was touched",
            why="a password in a file under version control is known to everybody who reads it",
            fix=f'write url = "env:DATABASE_URL" for {environment} and set the variable',
        )


def _passwords(url: str) -> list[str]:
    """Return what may be a password in the URL, also in one that cannot be read: the longest reading comes first."""
    found = [match[1] for match in (_CREDENTIALS.match(url), _QUERY_PASSWORD.search(url)) if match]
    try:
        read = urlsplit(url).password
    except ValueError:
        read = None
    return [password for password in dict.fromkeys([*found, read]) if password]

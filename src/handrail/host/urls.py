"""Turns an environment's `url` setting into the URL it names."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from handrail.errors import SettingsInvalid
from handrail.host import secrets

_COMMAND_TIMEOUT_S = 30.0
#: Everything from the user's colon to the last @: a password that should have been percent-encoded may hold any sign.
_CREDENTIALS = re.compile(r"[^:/]*://[^:@/]*:(.+)@")
_QUERY_PASSWORD = re.compile(r"[?&]password=([^&]+)")


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
            why=f"the environment variable {name} is not set"
            if not url
            else f"the environment variable {name} is blank",
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

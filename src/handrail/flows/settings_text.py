"""Settings of Handrail as text, to be added to a file whose own text stays as it is."""

from __future__ import annotations

import json
from collections.abc import Mapping

_WHY = {
    "rules_from": "header and style rules apply to the revisions after this one",
    "default_environment": "what a command means without -e",
}
_BACKED_UP = 'requires = ["backup-proved"]  # each run makes a backup first, and proves it'
_POLICY = {"staging": (_BACKED_UP,), "production": ("protected = true", _BACKED_UP)}


def appended(text: str, *, prefix: str, top: Mapping[str, str], urls: Mapping[str, str]) -> str:
    """Return `text` with the settings at its end: those of the top that are not empty, and an environment for each URL.

    `prefix` is the table they stand in, '' for a file of their own.
    """
    lines = [f"{key} = {_string(value)}{_comment(key)}" for key, value in top.items() if value]
    if prefix and lines:
        lines.insert(0, f"[{prefix}]")
    for name, url in urls.items():
        table = f"{prefix}.environments.{name}" if prefix else f"environments.{name}"
        lines += [""] if lines else []
        lines += [f"[{table}]", f"url = {_string(url)}"]
        lines += _POLICY.get(name, ())
    newline = "\r\n" if "\r\n" in text else "\n"
    before = text.rstrip("\r\n") + newline * 2 if text.strip() else ""
    return before + "".join(line + newline for line in lines)


def _comment(key: str) -> str:
    return f"  # {_WHY[key]}" if key in _WHY else ""


def _string(value: str) -> str:
    """Return a TOML basic string: JSON's form is one. Source: https://toml.io/en/v1.0.0#string."""
    return json.dumps(value, ensure_ascii=False)

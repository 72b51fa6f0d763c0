"""Portraits of databases as files: versioned JSON, for nobody but us, there whole or not at all."""

from __future__ import annotations

from pathlib import Path

import msgspec

from handrail.errors import UsageRefused
from handrail.host import partial
from handrail.model.portrait import SCHEMA, Portrait

KIND = "database"


def write(path: Path, portrait: Portrait, *, over: bool) -> None:
    """Write the file with mode 0600, atomically. Raises UsageRefused where one is there, unless `over` it."""
    if path.exists() and not over:
        raise UsageRefused(
            what=f"{path} is there already; nothing was written",
            why="a file that another review may rest on is not replaced unasked",
            fix="name another file, or add --force",
        )
    document = {"kind": KIND, **msgspec.to_builtins(portrait)}
    try:
        partial.write(path, msgspec.json.format(msgspec.json.encode(document), indent=2) + b"\n")
    except OSError as exc:
        raise UsageRefused(
            what=f"{path} cannot be written; nothing was touched",
            why=exc.strerror or str(exc),
            fix="name a file in a folder that exists and may be written",
        ) from exc


def read(path: Path) -> Portrait:
    """Return the portrait in that file. Raises UsageRefused for a file that is none."""
    try:
        return _decoded(path.read_bytes())
    except (OSError, ValueError, msgspec.MsgspecError) as exc:
        raise UsageRefused(
            what=f"the snapshot {path} cannot be used; nothing was touched",
            why=" ".join((exc.strerror if isinstance(exc, OSError) and exc.strerror else str(exc)).split()),
            fix="take a new one: handrail status -e ENVIRONMENT --save FILE",
        ) from exc


def _decoded(content: bytes) -> Portrait:
    document = msgspec.json.decode(content)
    if not isinstance(document, dict) or document.pop("kind", None) != KIND:
        raise ValueError("it is no snapshot of a database")
    if document.get("schema") != SCHEMA:
        raise ValueError(f"its schema number is {document.get('schema')}, and this version reads {SCHEMA}")
    return msgspec.convert(document, Portrait)

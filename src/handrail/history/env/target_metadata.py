"""The models that env.py names: how many tables they have, and how it names them."""

from __future__ import annotations

import ast
from pathlib import Path

from handrail.history.env import models
from handrail.history.env.env_py import EnvPy


def tables(env: EnvPy) -> int | None:
    """Return how many tables the target_metadata has in all; None where env.py gives none."""
    given = models.metadata(env)
    return sum(len(metadata.tables) for metadata in given) if given else None


def as_written(env_py: Path) -> str:
    """Return the expression that env.py gives as its target_metadata, read from its text; '' where there is none."""
    try:
        tree = ast.parse(env_py.read_bytes())
    except (OSError, SyntaxError, ValueError):
        return ""
    assigned, given = "", ""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=[ast.Name(id="target_metadata")], value=value):
                assigned = ast.unparse(value)
            case ast.AnnAssign(target=ast.Name(id="target_metadata"), value=ast.expr() as value):
                assigned = ast.unparse(value)
            case ast.keyword(arg="target_metadata", value=value):
                given = ast.unparse(value)
            case _:
                pass
    found = assigned if given in {"", "target_metadata"} else given
    return "" if found == "None" else found

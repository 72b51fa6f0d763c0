"""Which of the project's own modules a revision imports, and what they contained."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from handrail.history.project import Project
from handrail.model.revision import Revision

_PARTS = ("body", "orelse", "finalbody", "handlers")


def local_imports(revision: Revision, project: Project) -> tuple[tuple[str, str], ...]:
    """Return (module, sha256) of each module under the project's root that the revision imports, sorted by name.

    Only what the file itself names, by reading it; nothing is imported.
    """
    found = {}
    for name in _imported(revision.source):
        path = _file(name, (project.root, *project.prepend_sys_path))
        if path is not None:
            found[name] = hashlib.sha256(path.read_bytes()).hexdigest()
    return tuple(sorted(found.items()))


def _imported(source: str) -> Iterator[str]:
    waiting: list[ast.AST] = list(ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        # an import is a statement, and statements stand only in statements: expressions need no visit
        waiting += [inner for part in _PARTS for inner in getattr(node, part, ())]


@cache
def _file(module: str, roots: tuple[Path, ...]) -> Path | None:
    relative = Path(*module.split("."))
    candidates = (root / tail for root in roots for tail in (relative.with_suffix(".py"), relative / "__init__.py"))
    return next((path for path in candidates if path.is_file()), None)

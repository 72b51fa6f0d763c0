"""Which of the project's own modules a file imports, and what they contained."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

from handrail.history.files.project import Project
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


def imported_files(start: Iterable[Path], project: Project, *, most: int) -> Iterator[Path]:
    """Yield those files that exist, then the project's own modules that they import, nearest first, at most `most`.

    Files that cannot be read or parsed are yielded, and lead no further; nothing is imported.
    """
    waiting = [path for path in start if path.is_file()]
    seen: set[Path] = set()
    while waiting and len(seen) < most:
        path = waiting.pop(0)
        if path in seen:
            continue
        seen.add(path)
        yield path
        roots = (project.root, *project.prepend_sys_path, project.script_location, project.root / "src")
        try:
            names = list(_imported(path.read_text(encoding="utf-8"), package=_package(path, roots)))
        except (OSError, SyntaxError, ValueError):
            continue
        waiting += [file for file in (_file(name, roots) for name in names) if file is not None]


def _package(path: Path, roots: tuple[Path, ...]) -> tuple[str, ...]:
    """Return the package that a module stands in, from the nearest folder of the import path."""
    inside = [path.parent.relative_to(root).parts for root in roots if path.is_relative_to(root)]
    return min(inside, key=len, default=())


def _imported(source: str, package: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the modules a source names; relative imports only where its package is known."""
    waiting: list[ast.AST] = list(ast.parse(source).body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and (package or not node.level):
            above = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join((*above, node.module) if node.module else above)
            if module:
                yield module
                yield from (f"{module}.{alias.name}" for alias in node.names)
        # an import is a statement, and statements stand only in statements: expressions need no visit
        waiting += [inner for part in _PARTS for inner in getattr(node, part, ())]


@cache
def _file(module: str, roots: tuple[Path, ...]) -> Path | None:
    relative = Path(*module.split("."))
    candidates = (root / tail for root in roots for tail in (relative.with_suffix(".py"), relative / "__init__.py"))
    return next((path for path in candidates if path.is_file()), None)

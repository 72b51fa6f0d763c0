"""Prints what has outgrown its room, and exits 1: modules and functions of src/, and pins that name a host.

Complexity is ruff's to measure (C901); this looks at what ruff does not.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MODULE_LINES = 400
FUNCTION_LINES = 60
HOST = re.compile(r"://|--(?:extra-)?index-url|--find-links|--trusted-host")


def long_modules(sources: dict[Path, str]) -> Iterator[str]:
    """Yield one line for each module over its cap."""
    for path, text in sources.items():
        lines = len(text.splitlines())
        if lines > MODULE_LINES:
            yield f"{path}: {lines} lines, at most {MODULE_LINES}"


def long_functions(sources: dict[Path, str]) -> Iterator[str]:
    """Yield one line for each function over its cap, its docstring counted."""
    for path, text in sources.items():
        for node in ast.walk(ast.parse(text, filename=str(path))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    yield f"{path}:{node.lineno}: {node.name} has {lines} lines, at most {FUNCTION_LINES}"


def tracked_locks(root: Path) -> Iterator[str]:
    """Yield one line for each tracked uv.lock: it names the registry it was made against."""
    # The checkout may belong to somebody else (a container's mount); only names are read.
    command = ["git", "-c", "safe.directory=*", "ls-files", "--", "uv.lock", "**/uv.lock"]
    found = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    yield from (f"{name}: is tracked, and names a registry" for name in found.stdout.split())


def pinned_hosts(root: Path) -> Iterator[str]:
    """Yield one line for each line of requirements.txt that names where a package comes from."""
    for number, line in enumerate((root / "requirements.txt").read_text().splitlines(), start=1):
        if HOST.search(line):
            yield f"requirements.txt:{number}: names a host: {line.strip()}"


def main(root: Path = ROOT) -> int:
    """Print every offender, or one line where there is none. Return the exit status."""
    sources = {path.relative_to(root): path.read_text() for path in sorted((root / "src").rglob("*.py"))}
    offenders = [*long_modules(sources), *long_functions(sources), *tracked_locks(root), *pinned_hosts(root)]
    for offender in offenders:
        print(offender)
    if not offenders:
        print(f"{len(sources)} modules within {MODULE_LINES} lines, their functions within {FUNCTION_LINES}")
    return 1 if offenders else 0


if __name__ == "__main__":
    sys.exit(main())

"""Whether what a revision does depends on where and when it runs: the environment, the clock, chance, files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from handrail.model.hazards.syntax import syntax
from handrail.model.reviewed import ReviewedRevision
from handrail.model.revision import Direction

_OUTSIDE = re.compile(
    r"\benviron\b|\bgetenv\b|\b(?:datetime|date)\.(?:now|today|utcnow)\b|\btime\.(?:time|localtime|gmtime)\b"
    r"|\brandom\.|\bsecrets\.|\bgethostname\b|\bplatform\.(?:node|system)\b|\.(?:exists|is_file|is_dir|isfile|isdir)\("
)
_ASKS_DATABASE = re.compile(r"\b(?:inspect|execute|scalar|select|bind|conn|connection|session)\b", re.IGNORECASE)
_ACTS = re.compile(r"\bop\b|\bexecute\b|\bbatch|\breturn\b")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A line at which the function chooses, and the expression that it chooses by."""

    line: int
    by: str


def choices(revision: ReviewedRevision, direction: Direction) -> Iterator[Choice]:
    """Yield where the function takes one way or another by what lies outside of the revision and its database."""
    source = revision.revision.source
    tree = syntax(source) if _OUTSIDE.search(source) else None
    if tree is None:
        return
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    function = functions.get(direction.value)
    if function is None:
        return
    named = _named(tree) | _named(function) | {name: ast.unparse(node) for name, node in functions.items()}
    for node in ast.walk(function):
        if not isinstance(node, ast.If) or not _ACTS.search(_branches(node)):
            continue
        asked = " ".join((ast.unparse(node.test), *(named.get(name, "") for name in _names(node.test))))
        if _OUTSIDE.search(asked) and not _ASKS_DATABASE.search(asked):
            yield Choice(line=node.lineno, by=ast.unparse(node.test))


def _branches(node: ast.If) -> str:
    return "\n".join(map(ast.unparse, (*node.body, *node.orelse)))


def _named(scope: ast.Module | ast.FunctionDef) -> dict[str, str]:
    """Return what names stand for that are given a value there."""
    return {
        target.id: ast.unparse(node.value)
        for node in ast.walk(scope)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _names(test: ast.expr) -> Iterator[str]:
    return (node.id for node in ast.walk(test) if isinstance(node, ast.Name))

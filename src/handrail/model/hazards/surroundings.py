"""Whether what a revision does depends on where and when it runs: the environment, the clock, chance, files."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from handrail.model.hazards.syntax import syntax
from handrail.model.reviewed import ReviewedRevision
from handrail.model.revision import Direction

#: What is another text on another machine, or for another who runs it.
_ENVIRONMENT = re.compile(
    r"\benviron\b|\bgetenv\b|\bget_x_argument\b|\bsys\.argv\b|\bgethostname\b|\bplatform\.(?:node|system)\b"
)
_OUTSIDE = re.compile(
    _ENVIRONMENT.pattern + r"|\b(?:datetime|date)\.(?:now|today|utcnow)\b|\btime\.(?:time|localtime|gmtime)\b"
    r"|\brandom\.|\bsecrets\.|\.(?:exists|is_file|is_dir|isfile|isdir)\("
    r"|\b(?:r?glob|iterdir|listdir|scandir|os\.walk)\("
)
_ASKS_DATABASE = re.compile(r"\b(?:inspect|execute|scalar|select|bind|conn|connection|session)\b", re.IGNORECASE)
_ACTS = re.compile(r"\bop\b|\bexecute\b|\bbatch|\breturn\b")
_SENDS = re.compile(r"\b(?:op|batch\w*)\.\w+\(|\bexecute\(")


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """A line at which the function chooses, and the expression that it chooses by.

    `sent_by` are the lines of the one statement that it is about, empty for a branch or a loop.
    """

    line: int
    by: str
    sent_by: range = range(0)


def choices(revision: ReviewedRevision, direction: Direction) -> Iterator[Choice]:
    """Yield where the function takes one way or another by what lies outside of the revision and its database.

    That is a branch, a loop, or an operation whose own words come from the environment.
    """
    source = revision.revision.source
    tree = syntax(source) if _OUTSIDE.search(source) else None
    if tree is None:
        return
    functions = {node.name: node for node in tree.body if isinstance(node, ast.FunctionDef)}
    for function in _called(functions, direction.value):
        named = _named(tree) | _named(function) | {name: ast.unparse(node) for name, node in functions.items()}
        for node in ast.walk(function):
            yield from _choice(node, named)


def _called(functions: Mapping[str, ast.FunctionDef], first: str) -> list[ast.FunctionDef]:
    """Return that function and those of the file that it names, and they in turn."""
    found = [functions[first]] if first in functions else []
    for function in found:
        named = (functions[name] for name in _names(function) if name in functions)
        found.extend(f for f in dict.fromkeys(named) if f not in found)
    return found


def _choice(node: ast.AST, named: Mapping[str, str]) -> Iterator[Choice]:
    match node:
        case ast.If(test=by) | ast.While(test=by) | ast.For(iter=by) | ast.Match(subject=by):
            chooses = _ACTS.search(_branches(node)) is not None
        case ast.IfExp(test=by) | ast.BoolOp(values=[by, *_]):
            chooses = _SENDS.search(ast.unparse(node)) is not None
        case ast.Expr(value=sent) | ast.Assign(value=sent) if _SENDS.search(ast.unparse(sent)):
            if _ENVIRONMENT.search(_asked(sent, named)):
                lines = range(node.lineno, (node.end_lineno or node.lineno) + 1)
                yield Choice(line=node.lineno, by=ast.unparse(sent), sent_by=lines)
            return
        case _:
            return
    asked = _asked(by, named) if chooses else ""
    if _OUTSIDE.search(asked) and not _ASKS_DATABASE.search(asked):
        yield Choice(line=by.lineno, by=ast.unparse(by))


def _asked(by: ast.expr, named: Mapping[str, str]) -> str:
    """Return the expression with what the names in it stand for."""
    return " ".join((ast.unparse(by), *(named.get(name, "") for name in _names(by))))


def _branches(node: ast.If | ast.While | ast.For | ast.Match) -> str:
    if isinstance(node, ast.Match):
        return "\n".join(map(ast.unparse, node.cases))
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


def _names(test: ast.AST) -> Iterator[str]:
    return (node.id for node in ast.walk(test) if isinstance(node, ast.Name))

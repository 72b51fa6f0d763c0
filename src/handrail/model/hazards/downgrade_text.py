"""What the text of `downgrade()` says, where running it tells nothing: that it is missing, raises, has a comment."""

from __future__ import annotations

import ast
import re

from handrail.model.hazards.syntax import syntax
from handrail.model.reviewed import ReviewedRevision

#: What begins a comment or a docstring: where there is none, the file need not be parsed.
_MAY_SAY = re.compile(r"#|(?:^|:)\s*[rRuU]?[\"']", re.MULTILINE)


def raises_on_purpose(revision: ReviewedRevision) -> bool:
    """Return whether `downgrade()` does nothing but raise, by itself or by a function of its file."""
    function = _function(revision) if "raise" in revision.revision.source else None
    return function is not None and any(
        isinstance(node, ast.Raise) or _raises(_function(revision, _called(node))) for node in function.body
    )


def _raises(function: ast.FunctionDef | None) -> bool:
    return function is not None and any(isinstance(node, ast.Raise) for node in function.body)


def _called(node: ast.stmt) -> str:
    """Return the name of the function that a line does nothing but call, '' for another line."""
    match node:
        case ast.Expr(value=ast.Call(func=ast.Name(id=name))) | ast.Return(value=ast.Call(func=ast.Name(id=name))):
            return name
        case _:
            return ""


def is_missing(revision: ReviewedRevision) -> bool:
    """Return whether the file has no `downgrade` at all, neither defined, nor imported or assigned."""
    if revision.revision.downgrade_line is not None:
        return False
    tree = syntax(revision.revision.source)
    return tree is not None and not any(_binds_downgrade(node) for node in ast.walk(tree))


def _binds_downgrade(node: ast.AST) -> bool:
    match node:
        case ast.Name(id=name, ctx=ast.Store()) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return name == "downgrade"
        case ast.alias(name=imported, asname=alias):
            return (alias or imported) in {"downgrade", "*"}
        case _:
            return False


def _function(revision: ReviewedRevision, name: str = "downgrade") -> ast.FunctionDef | None:
    """Return the syntax of that function, None where the file does not define it at its top level."""
    tree = syntax(revision.revision.source)
    body = tree.body if tree else ()
    return next((n for n in body if isinstance(n, ast.FunctionDef) and n.name == name), None)


def said_in_downgrade(revision: ReviewedRevision) -> str:
    """Return what its docstring and its comments say."""
    _, found, rest = revision.revision.source.partition("def downgrade")
    function = None if found and not _MAY_SAY.search(rest) else _function(revision)
    if function is None:
        return ""
    lines = revision.revision.source.splitlines()[function.lineno - 1 : function.end_lineno]
    comments = " ".join(line.partition("#")[2] for line in lines)
    return f"{ast.get_docstring(function) or ''} {comments}"

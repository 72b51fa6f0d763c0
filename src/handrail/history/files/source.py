"""One revision file, read as text and syntax tree; its code is never run."""

from __future__ import annotations

import ast
import hashlib
import re
import warnings
from collections.abc import Iterator
from importlib.util import decode_source
from pathlib import Path

from handrail.history.files import header
from handrail.history.files.problem import Problem, ProblemKind
from handrail.model.revision import Revision

#: Names that tell a revision's place in the graph.
_IDENTITY = ("revision", "down_revision", "branch_labels", "depends_on")
_FUNCTIONS = ("upgrade", "downgrade")
#: Before it had `revision`, Alembic took the id from the name. Source: alembic/script/base.py, _legacy_rev.
_LEGACY_NAME = re.compile(r"([a-f0-9]+)\.py")
#: Alembic refuses these in an id. Source: alembic/script/revision.py, _revision_illegal_chars.
_ILLEGAL = frozenset("@-+:")
#: As targets these mean something else, and such a revision is never found. Source: _resolve_revision_number there.
_TAKEN = frozenset({"base", "head", "heads"})

#: Statements that cannot set a name of the module, or only one that is plainly seen.
_HIDES_NOTHING = (
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
    ast.Expr,
    ast.Import,
    ast.ImportFrom,
    ast.AnnAssign,
)

_Value = str | tuple[str, ...] | None


class _Unreadable(Exception):
    """Why a file does not tell its place, with the line where it should."""

    def __init__(self, reason: str, line: int | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.line = line


def read(path: Path) -> tuple[Revision | None, tuple[Problem, ...]]:
    """Return the revision a file states, None where it states none, and what is wrong with the file."""
    try:
        code = path.read_bytes()
    except OSError as error:
        return None, (_unreadable(path, _Unreadable(error.strerror or str(error))),)
    return parse(code, path)


def parse(code: bytes, path: Path) -> tuple[Revision | None, tuple[Problem, ...]]:
    """Return the revision that the bytes of a file state, as `read` does; `path` only names it."""
    try:
        source, tree = _tree(code)
        values = _identity(tree)
        identity = _id(values, path)
        if identity is None:
            return None, (_stray(path),)
    except _Unreadable as error:
        return None, (_unreadable(path, error),)
    functions = {
        node.name: node.lineno for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    revision = Revision(
        id=identity,
        parents=_tuple(values["down_revision"]),
        depends_on=_tuple(values.get("depends_on")),
        branch_labels=_tuple(values.get("branch_labels")),
        path=path,
        code=code,
        source=source,
        digest=hashlib.sha256(code).hexdigest(),
        header=header.parse(ast.get_docstring(tree) or ""),
        upgrade_line=functions.get("upgrade"),
        downgrade_line=functions.get("downgrade"),
    )
    missing = [name for name in _FUNCTIONS if name not in functions]
    return revision, tuple(_without_function(revision, name, tree) for name in missing)


def _tree(code: bytes) -> tuple[str, ast.Module]:
    try:
        source = decode_source(code)
        with warnings.catch_warnings():
            # "\d" in a string is the file's own affair; Python warns when it runs.
            warnings.simplefilter("ignore")
            return source, ast.parse(code)
    except UnicodeDecodeError as error:
        reason = f"its bytes are not {error.encoding}, and no other encoding is declared"
        raise _Unreadable(reason, code.count(b"\n", 0, error.start) + 1) from error
    except SyntaxError as error:
        raise _Unreadable(error.msg, error.lineno) from error
    except (ValueError, RecursionError, MemoryError) as error:
        raise _Unreadable(f"Python cannot parse it: {str(error) or type(error).__name__}") from error


def _identity(tree: ast.Module) -> dict[str, _Value]:
    """Return the values of the identity's names; a later assignment wins, as it does when the file runs."""
    known: dict[str, _Value] = {}
    for statement in tree.body:
        for target, value in _assignments(statement):
            try:
                known[target.id] = _value(value, known)
            except _Unreadable:
                known.pop(target.id, None)
                if target.id in _IDENTITY:
                    raise
        for name in _hidden_assignments(statement):
            raise _Unreadable(f"{name.id} is not set plainly at the top level", name.lineno)
    return known


def _assignments(statement: ast.stmt) -> Iterator[tuple[ast.Name, ast.expr]]:
    match statement:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _pairs(target, value)
        case ast.AnnAssign(target=ast.Name() as name, value=ast.expr() as value):
            yield name, value
        case _:
            return


def _pairs(target: ast.expr, value: ast.expr) -> Iterator[tuple[ast.Name, ast.expr]]:
    match target, value:
        case ast.Name() as name, _:
            yield name, value
        case ast.Tuple(elts=names), ast.Tuple(elts=values) if len(names) == len(values):
            for inner, single in zip(names, values, strict=True):
                yield from _pairs(inner, single)
        case _:
            return


def _hidden_assignments(statement: ast.stmt) -> Iterator[ast.Name]:
    """Yield the identity's names where a condition, a loop or an unpacking sets them at module level."""
    if isinstance(statement, _HIDES_NOTHING):
        return
    if isinstance(statement, ast.Assign) and all(isinstance(target, ast.Name) for target in statement.targets):
        return
    plain = {id(name) for name, _ in _assignments(statement)}
    for node in ast.walk(statement):
        match node:
            case ast.Name(id=name, ctx=ast.Store()) if name in _IDENTITY and id(node) not in plain:
                yield node


def _value(node: ast.expr, known: dict[str, _Value]) -> _Value:
    match node:
        case ast.Constant(value=str() | None as constant):
            return constant
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return tuple(_text(element, known) for element in elements)
        case ast.Call(func=ast.Name(id="tuple" | "list" | "set" | "frozenset"), args=[], keywords=[]):
            return ()
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _text(left, known) + _text(right, known)
        case ast.Name(id=name) if name in known:
            return known[name]
        case _:
            raise _Unreadable(
                f"{ast.unparse(node)} is computed; only text, None and lists of text can be read", node.lineno
            )


def _text(node: ast.expr, known: dict[str, _Value]) -> str:
    value = _value(node, known)
    if not isinstance(value, str):
        raise _Unreadable(f"{ast.unparse(node)} is not text", node.lineno)
    return value


def _tuple(value: _Value) -> tuple[str, ...]:
    if isinstance(value, tuple):
        return value
    return (value,) if value else ()


def _id(values: dict[str, _Value], path: Path) -> str | None:
    legacy = _LEGACY_NAME.fullmatch(path.name)
    identity = values.get("revision", legacy[1] if legacy else None)
    if identity is None and "revision" not in values:
        return None
    if not isinstance(identity, str) or not identity:
        raise _Unreadable("revision is not a text")
    if "down_revision" not in values:
        raise _Unreadable("it has a revision, but no down_revision")
    if illegal := _ILLEGAL.intersection(identity):
        raise _Unreadable(f"the revision id {identity} has {' '.join(sorted(illegal))} in it, which Alembic refuses")
    if identity in _TAKEN:
        raise _Unreadable(f"the revision id {identity} is what Alembic calls a place in the history")
    return identity


def _unreadable(path: Path, error: _Unreadable) -> Problem:
    where = f"{path}, line {error.line}" if error.line else str(path)
    return Problem(
        kind=ProblemKind.UNREADABLE,
        what=f"cannot read the revision {where}",
        why=error.reason,
        fix="correct the file, or move it out of the versions folder",
        files=(path,),
        line=error.line,
    )


def _stray(path: Path) -> Problem:
    return Problem(
        kind=ProblemKind.STRAY,
        what=f"{path} is no revision",
        why="it sets no `revision`; Alembic itself stops at such a file",
        fix="move it out of the versions folder",
        files=(path,),
    )


def _without_function(revision: Revision, name: str, tree: ast.Module) -> Problem:
    elsewhere = next((line for line in (_binding_line(node, name) for node in ast.walk(tree)) if line), None)
    return Problem(
        kind=ProblemKind.MISSING_FUNCTION if elsewhere is None else ProblemKind.FUNCTION_ELSEWHERE,
        what=f"revision {revision.id} does not define {name}()",
        why=f"{revision.path} has no such function" if elsewhere is None else "it is imported, assigned or conditional",
        fix=f"write def {name}() at the top level of {revision.path}",
        files=(revision.path,),
        revisions=(revision.id,),
        line=elsewhere,
    )


def _binding_line(node: ast.AST, name: str) -> int | None:
    match node:
        case ast.Name(id=bound, ctx=ast.Store(), lineno=line) | ast.FunctionDef(name=bound, lineno=line):
            return line if bound == name else None
        case ast.AsyncFunctionDef(name=bound, lineno=line):
            return line if bound == name else None
        case ast.alias(name=imported, asname=alias, lineno=line):
            return line if (alias or imported) in {name, "*"} else None
        case _:
            return None

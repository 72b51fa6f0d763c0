"""Where a project takes its database's URL from, as its files say it: nothing of it is imported or run."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handrail.history.files.imports import imported_files
from handrail.history.files.project import Project
from handrail.model.operation import Place

#: What Alembic's templates write for somebody to replace.
_PLACEHOLDER = "driver://"
_MOST_FILES = 300
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")
_ENDS = ("URL", "URI", "DSN")
#: What may hold a URL too, unless it stands beside the parts that one is put together of.
_VAGUE_ENDS = ("DB", "DATABASE", "CONNECTION", "CONNECTION_STRING")
_PARTS = ("HOST", "USER", "USERNAME", "PASSWORD", "PASS", "PORT")
_DATABASE = re.compile(r"DATABASE|SQLALCHEMY|POSTGRES|PG|SQLITE|(?:^|_)DB")
#: A variable in the ini's URL, which env.py puts its value for.
_IN_INI = re.compile(r"%\((?!here\))(\w+)\)s|\$\{(\w+)\}")
#: Where Flask looks for an application; what it imports is read too.
_FLASK_FILES = ("wsgi.py", "app.py")


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """An environment variable that holds the URL, and the line that reads it."""

    name: str
    place: Place


def variable(project: Project) -> Variable | None:
    """Return the variable that the ini, env.py or what it imports takes the URL from; None where none is seen.

    One whose name is of a database goes before others, one for tests comes last; then the nearest to env.py counts.
    Where no name ends as a URL's does, one that a database's URL may have counts, unless it is put together of parts.
    """
    every = list(_variables(project))
    in_ini = _IN_INI.fullmatch((project.option("sqlalchemy.url") or "").strip())
    named = (in_ini[1] or in_ini[2]) if in_ini else ""
    vague = () if any(v.name.endswith(_PARTS) for v in every) else _VAGUE_ENDS
    found = [v for v in every if v.name == named or v.name.endswith(_ENDS)] or [
        v for v in every if v.name.endswith(vague)
    ]
    return min(found, key=lambda v: ("TEST" in v.name, _DATABASE.search(v.name) is None), default=None)


def url_in_ini(project: Project) -> str:
    """Return the URL that the ini itself holds, '' where it holds none or only Alembic's placeholder."""
    url = (project.option("sqlalchemy.url") or "").strip()
    return "" if project.ini is None or url.startswith(_PLACEHOLDER) or _IN_INI.search(url) else url


def _variables(project: Project) -> Iterator[Variable]:
    in_ini = _IN_INI.fullmatch((project.option("sqlalchemy.url") or "").strip())
    if in_ini and project.ini is not None:
        yield Variable(name=in_ini[1] or in_ini[2], place=Place(file=str(project.ini), line=_line(project.ini)))
    start = [project.env_py]
    if b"current_app" in project.env_py.read_bytes():
        start += [project.root / name for name in (*_FLASK_FILES, *_flask_app())]
    for path in imported_files(start, project, most=_MOST_FILES):
        try:
            tree = ast.parse(path.read_bytes())
        except (OSError, SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            for name in _names(node):
                if _VARIABLE.fullmatch(name):
                    yield Variable(name=name, place=Place(file=str(path), line=getattr(node, "lineno", 1)))


def _flask_app() -> Iterator[str]:
    module = os.environ.get("FLASK_APP", "").partition(":")[0]
    if module:
        relative = module.removesuffix(".py").replace(".", "/")
        yield from (f"{relative}.py", f"{relative}/__init__.py")


def _line(ini: Path) -> int:
    lines = ini.read_text(encoding="locale").splitlines()
    return next((number for number, line in enumerate(lines, 1) if line.startswith("sqlalchemy.url")), 1)


def _names(node: ast.AST) -> Iterator[str]:
    """Yield the variables that an expression reads, and those that fill the fields of pydantic's settings."""
    match node:
        case ast.Subscript(value=holder, slice=ast.Constant(value=str(name))) if _last(holder) == "environ":
            yield name
        case ast.Call(func=function, args=[ast.Constant(value=str(name)), *_]) if _reads_environment(function):
            yield name
        case ast.ClassDef(bases=bases, body=body) if any(_last(base).endswith("Settings") for base in bases):
            prefix = _prefix(body)
            fields = [s.target.id for s in body if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)]
            yield from (f"{prefix}{field}".upper() for field in fields)
        case _:
            pass


def _reads_environment(function: ast.expr) -> bool:
    """Whether it is os.getenv, os.environ.get, or the call of environs, starlette or decouple."""
    if isinstance(function, ast.Attribute) and function.attr in {"get", "pop", "setdefault"}:
        return _last(function.value) == "environ"
    root = function
    while isinstance(root, ast.Attribute):
        root = root.value
    return _last(function) == "getenv" or (isinstance(root, ast.Name) and root.id in {"env", "config"})


def _prefix(body: list[ast.stmt]) -> str:
    """Return pydantic's env_prefix of a class, '' for none."""
    for node in (node for statement in body for node in ast.walk(statement)):
        match node:
            case ast.keyword(arg="env_prefix", value=ast.Constant(value=str(prefix))):
                return prefix
            case ast.Assign(targets=[ast.Name(id="env_prefix")], value=ast.Constant(value=str(prefix))):
                return prefix
            case _:
                pass
    return ""


def _last(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""

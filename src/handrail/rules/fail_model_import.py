"""A revision imports the application's models.

What happens: the revision works until the models change, and then fails, or writes something else, on every database
that has not run it yet: in CI, on a colleague's machine, in the next environment.

Why: a revision runs against the schema of its own day, the models describe that of today.

The safe way: write the tables that the revision needs into it, as `sa.table("users", sa.column("email"))`, or as SQL.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.syntax import syntax
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

#: Packages that are never the application.
_OTHERS = frozenset({"alembic", "geoalchemy2", "pgvector", "sqlalchemy", "sqlalchemy_utils", "sqlmodel"})
_MODELS = re.compile(r"models?|\w+_models?|orm|entities|tables")
#: Where statements stand in statements.
_PARTS = ("body", "orelse", "finalbody", "handlers", "cases")
_NAMES = frozenset({"Base", "Model", "db", "metadata", "SessionLocal"})
#: A word of the two above: most files hold none, and need not be parsed.
_TELLING = re.compile(rf"(?:\b|_)(?:models?|orm|entities|tables|{'|'.join(sorted(_NAMES))})\b")


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each import of what looks like the application's models."""
    tree = syntax(revision.revision.source) if _TELLING.search(revision.revision.source) else None
    for line, what in _imports(tree, revision.revision.source) if tree else ():
        yield RULE.in_file(
            revision,
            line=line,
            what=f"the revision imports {what}, which changes after it",
            why="a revision runs against the schema of its own day, the models describe that of today",
            fix=f"write the table into the revision, with the columns it uses, and work with that:\n{_instead(what)}",
        )


def _instead(what: str) -> str:
    """Return the lines for the classes in `User from app.models`, for `users` where there are none."""
    classes = re.findall(r"\b[A-Z]\w*[a-z]\w*\b", what.partition(" from ")[0]) if " from " in what else []
    names = [re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in classes if name not in _NAMES] or [
        "users"
    ]
    return "\n".join(f'{name} = sa.table("{name}", sa.column("id"), ...)' for name in names)


def _imports(tree: ast.AST, source: str) -> Iterator[tuple[int, str]]:
    for node in _run(tree, expressions="import_module" in source):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    if _models(alias.name):
                        yield node.lineno, alias.name
            case ast.ImportFrom(module=module, names=names, level=level):
                path = "." * level + (module or "")
                named = [alias.name for alias in names]
                if _models(path) or (_ours(path) and (_NAMES & set(named) or any(map(_models_word, named)))):
                    yield node.lineno, f"{', '.join(named)} from {path}"
            case ast.Call(
                func=ast.Name(id="import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(path))],
            ) if _models(path):
                yield node.lineno, path


def _run(tree: ast.AST, *, expressions: bool) -> Iterator[ast.AST]:
    """Yield the nodes that run: what stands under `if TYPE_CHECKING` does not. Most of a file is expressions."""
    waiting = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        yield node
        inner = ast.iter_child_nodes(node) if expressions else (n for part in _PARTS for n in getattr(node, part, ()))
        waiting += reversed(list(inner))


def _ours(path: str) -> bool:
    top = path.partition(".")[0]
    return path.startswith(".") or (top not in _OTHERS and top not in sys.stdlib_module_names)


def _models(path: str) -> bool:
    return _ours(path) and any(map(_models_word, path.split(".")))


def _models_word(word: str) -> bool:
    return _MODELS.fullmatch(word) is not None


RULE = Rule(
    name="fail-model-import",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/cookbook.html",
    findings=findings,
    examples=(
        Example(
            body="""
            from shop.models import User
            op.execute(sa.update(User).where(User.id == 1).values(name="x"))
            """,
            flagged=True,
            not_run="there is no application here",
        ),
        Example(
            body="""
            import shop.models as models
            models.Base.metadata.create_all(op.get_bind())
            """,
            flagged=True,
            not_run="there is no application here",
        ),
        Example(
            body="""
            from shop import db
            db.session.commit()
            """,
            flagged=True,
            not_run="there is no application here",
        ),
        Example(
            body="""
            import importlib
            importlib.import_module("shop.orm.models")
            """,
            flagged=True,
            not_run="there is no application here",
        ),
        Example(
            body="""
            from sqlalchemy.orm import Session
            from sqlalchemy import MetaData, text
            Session(bind=op.get_bind()).execute(text("SELECT 1"))
            """,
            flagged=False,
        ),
        Example(
            body="""
            from typing import TYPE_CHECKING
            if TYPE_CHECKING:
                from shop.models import User
            """,
            flagged=False,
        ),
        Example(
            body="""
            from sqlalchemy.ext.declarative import declarative_base
            import json
            """,
            flagged=False,
        ),
    ),
)

"""What stands in a DO block: its statements, as far as their text is there before it runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from handrail.engines.postgresql.syntax import Node, kind_of, library, unwrap

Tree = Any
"""A part of what libpg_query makes of PL/pgSQL: objects and lists of JSON."""


def statements_inside(node: Node) -> Iterator[str]:
    """Yield the SQL of each statement of a DoStmt in order, and of each EXECUTE of a plain string.

    Whether and how often one runs is not known: it may stand under IF, in a loop or before an EXCEPTION. Nothing for
    another language than PL/pgSQL and for what does not parse.
    """
    options = {option.defname: unwrap(option.arg) for option in map(unwrap, node.args)}
    body, language = options.get("as"), options.get("language")
    if body is None or (language is not None and language.sval.lower() != "plpgsql"):
        return
    tag = "$handrail$"
    if tag in body.sval:
        return
    try:
        parsed = library().parse_plpgsql(f"DO {tag}{body.sval}{tag}")
    except library().PgQueryError:
        return
    yield from _statements(parsed)


def _statements(tree: Tree) -> Iterator[str]:
    if isinstance(tree, list):
        for item in tree:
            yield from _statements(item)
        return
    if not isinstance(tree, dict):
        return
    for key, value in tree.items():
        if key == "PLpgSQL_stmt_execsql":
            yield value["sqlstmt"]["PLpgSQL_expr"]["query"]
        elif key == "PLpgSQL_stmt_dynexecute":
            yield from _plain(value["query"]["PLpgSQL_expr"]["query"])
        else:
            yield from _statements(value)


def _plain(expression: str) -> Iterator[str]:
    """Yield the text of an expression that is one string literal."""
    try:
        tree = library().parse(f"SELECT {expression}")
    except library().PgQueryError:
        return
    value = unwrap(unwrap(tree.stmts[0].stmt).target_list[0]).val
    constant = unwrap(value)
    if kind_of(constant) == "A_Const" and constant.WhichOneof("val") == "sval":
        yield constant.sval.sval

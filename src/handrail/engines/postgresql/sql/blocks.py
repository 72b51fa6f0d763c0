"""What a DO block does, as far as its text tells: the statements that stand in it, and what it makes at run time."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from handrail.engines.postgresql.sql.syntax import Node, library, strings, unwrap

_TAG = "$handrail$"
#: A condition that only asks the catalogue whether something is there: what follows is done, or was done before.
_ASKS_CATALOGUE = re.compile(r"\b(?:pg_\w+|information_schema\.\w+|to_reg\w+)\b", re.IGNORECASE)
_LITERAL = re.compile(r"\s*'((?:[^']|'')*)'\s*")
_ASSIGNED = re.compile(r"[^:=']*:?=\s*", re.DOTALL)
_CHOICES = frozenset({"PLpgSQL_stmt_if", "PLpgSQL_if_elsif", "PLpgSQL_stmt_case"})
_BRANCH = re.compile(r"PLpgSQL_(?:if_elsif|stmt_(?:case|dynfors|forc|foreach_a|fori|fors|if|loop|while))")
#: RawParseMode in src/include/parser/parser.h: a statement, an expression; what is above is an assignment.
_STATEMENT, _EXPRESSION = 0, 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Inside:
    """One SQL text of a block; `guarded` where it runs only if something is not there yet, or may fail quietly."""

    sql: str
    guarded: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """Why a part of a block was not read; `anything` is whether it may be any statement."""

    reason: str
    anything: bool = False


def inside(node: Node) -> Iterator[Inside | Unread]:
    """Yield every SQL text of a DoStmt in the order written, and what cannot be read of it.

    Source: https://www.postgresql.org/docs/current/plpgsql-statements.html.
    """
    arguments = {item.defname: item.arg for item in map(unwrap, node.args)}
    body = "".join(strings([arguments["as"]])) if "as" in arguments else ""
    language = "".join(strings([arguments["language"]])) if "language" in arguments else "plpgsql"
    if language.lower() != "plpgsql":
        yield Unread(reason=f"it is a DO block in {language}", anything=True)
        return
    try:
        tree = library().parse_plpgsql(f"DO {_TAG}{body}{_TAG}")
    except library().PgQueryError:
        yield Unread(reason="it is a DO block that does not parse as PL/pgSQL", anything=True)
        return
    yield from _walk(tree, guarded=False)


def _walk(part: Any, *, guarded: bool) -> Iterator[Inside | Unread]:
    if isinstance(part, list):
        for item in part:
            yield from _walk(item, guarded=guarded)
    elif isinstance(part, dict):
        for kind, value in part.items():
            yield from _of(kind, value, guarded=guarded)


def _of(kind: str, value: Any, *, guarded: bool) -> Iterator[Inside | Unread]:
    if kind == "PLpgSQL_expr":
        yield Inside(sql=_sql(value), guarded=guarded)
        return
    if kind in {"PLpgSQL_stmt_dynexecute", "PLpgSQL_stmt_dynfors"}:
        yield _at_run_time(value["query"]["PLpgSQL_expr"]["query"], guarded=guarded)
        value = {name: part for name, part in value.items() if name != "query"}
    if kind in _CHOICES and not _ASKS_CATALOGUE.search(str(value.get("cond", ""))):
        yield Unread(reason="it is a DO block, and what it does depends on what it finds")
    careful = bool(_BRANCH.fullmatch(kind)) or (kind == "PLpgSQL_stmt_block" and "exceptions" in value)
    yield from _walk(value, guarded=guarded or careful)


def _at_run_time(query: str, *, guarded: bool) -> Inside | Unread:
    """Return the text that EXECUTE is given, where it stands there."""
    literal = _LITERAL.fullmatch(query)
    if literal:
        return Inside(sql=literal[1].replace("''", "'"), guarded=guarded)
    made = " ".join(query.split())
    return Unread(reason=f"it is a DO block that executes a text made at run time: EXECUTE {made}", anything=True)


def _sql(expression: Any) -> str:
    query, mode = str(expression["query"]), expression.get("parseMode", _STATEMENT)
    if mode == _STATEMENT:
        return query
    return f"SELECT {query if mode == _EXPRESSION else _ASSIGNED.sub('', query, count=1)}"

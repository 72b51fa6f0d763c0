"""The lines that build an index beside the writers, with all that the user's own statement says of it."""

from __future__ import annotations

import re

from handrail.model.action import CreateIndex
from handrail.model.hazards.spelling import alone, listed, made_up, revisions, send, sql_name, table_words
from handrail.model.reviewed import ReviewedStatement

_START = re.compile(r"CREATE\s+(?:UNIQUE\s+)?INDEX\b(?!\s+CONCURRENTLY)", re.IGNORECASE)
_NOTE = re.compile(r"/\*.*?\*/|--[^\n]*", re.DOTALL)
#: An index on columns by their names: all of it is in the arguments of op.create_index().
_NAME = r'(?:"[^"]+"|\w+)'
_PLAIN = re.compile(rf"CREATE (?:UNIQUE )?INDEX {_NAME} ON {_NAME}(?:\.{_NAME})? \({_NAME}(?:, {_NAME})*\)")


def concurrently(statement: ReviewedStatement, action: CreateIndex) -> str:
    """Return the revision that builds the index of a table, or of each partition of one, with CONCURRENTLY."""
    known = statement.before.table(action.table)
    if known is not None and known.partition_by:
        return _by_partition(statement, action)
    return alone(_line(statement, action))


def _line(statement: ReviewedStatement, action: CreateIndex) -> str:
    sql = _text(statement)
    index = action.index
    if index.name and (len(statement.actions) > 1 or _PLAIN.fullmatch(sql)):
        quoted, schema = table_words(action.table)
        unique = ", unique=True" if index.unique else ""
        return (
            f'op.create_index("{index.name}", {quoted}, {listed(index.columns)}{unique}{schema},'
            " postgresql_concurrently=True)"
        )
    return send(_START.sub(_with_word, sql, count=1))


def _with_word(start: re.Match[str]) -> str:
    word = "concurrently" if start[0].islower() else "CONCURRENTLY"
    return f"{start[0]} {word}"


def _by_partition(statement: ReviewedStatement, action: CreateIndex) -> str:
    name = sql_name(action.index.name or made_up("ix", action.table, *action.index.columns))
    table, columns = sql_name(action.table), ", ".join(action.index.columns)
    unique = "UNIQUE " if action.index.unique else ""
    partitions = [t.name for t in statement.before.tables.values() if t.partition_of == action.table]
    part = sql_name(partitions[0] if partitions else f"{action.table}_1")
    own = sql_name(made_up("ix", part, *action.index.columns))
    return revisions(
        send(f"CREATE {unique}INDEX {name} ON ONLY {table} ({columns})"),
        f"for {part} and each other partition, outside the transaction:\n"
        + send(f"CREATE {unique}INDEX CONCURRENTLY {own} ON {part} ({columns})"),
        send(f"ALTER INDEX {name} ATTACH PARTITION {own}") + "\nand so on: with the last one the index is valid",
    )


def _text(statement: ReviewedStatement) -> str:
    return " ".join(_NOTE.sub(" ", statement.statement.sql).split()).rstrip("; ")

"""The grammar of PostgreSQL, through libpg_query, and names as SQL writes them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache, lru_cache
from importlib import import_module
from types import ModuleType
from typing import Any

from handrail.errors import UsageRefused

Node = Any
"""A protobuf message of libpg_query; its fields are those of PostgreSQL's parse tree."""

#: The statements that write rows, at the top or in WITH.
WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")


@cache
def library() -> ModuleType:
    """Return postgast. Imported on first use: its import costs more than all of `handrail --help` may take.

    Raises UsageRefused where it is not installed.
    """
    try:
        return import_module("postgast")
    except ModuleNotFoundError as exc:
        raise UsageRefused(
            what="SQL of PostgreSQL cannot be read: postgast is not installed; nothing was touched",
            why="Handrail reads it with PostgreSQL's own parser, which belongs to the extra postgresql",
            fix="pip install 'handrail[postgresql]', or review for another engine: handrail review --engine sqlite",
        ) from exc


@lru_cache(maxsize=256)
def statements(sql: str) -> tuple[Node, ...] | None:
    """Return the statements of `sql`, each the node of its own kind (`IndexStmt`, ...); None where unreadable."""
    postgast = library()
    try:
        tree = postgast.parse(sql)
    except (postgast.PgQueryError, UnicodeEncodeError):
        return None
    return tuple(unwrap(raw.stmt) for raw in tree.stmts)


def unwrap(node: Node) -> Node:
    """Return the one message that a generic Node holds."""
    kind = node.WhichOneof("node")
    return getattr(node, kind) if kind else node


def kind_of(node: Node) -> str:
    """Return the name of a node's kind in PostgreSQL's source, e.g. `AlterTableStmt`."""
    return str(node.DESCRIPTOR.name)


def find(node: Node, *kinds: str) -> Iterable[Node]:
    """Return every message of those kinds inside `node`, itself included, in no promised order."""
    waiting = [node]
    while waiting:
        inner = waiting.pop()
        if inner.DESCRIPTOR.name in kinds:
            yield inner
        for field, value in inner.ListFields():
            if field.message_type is None:
                continue
            # `is_repeated` is not in protobuf 5, which postgast takes as well
            waiting.extend([value] if hasattr(value, "DESCRIPTOR") else value)


def analyzes(node: Node) -> bool:
    """Return whether an EXPLAIN runs its statement; said of `ANALYZE false` too, which nobody writes."""
    return any(option.defname == "analyze" for option in map(unwrap, node.options))


def quote(identifier: str) -> str:
    """Return an identifier in double quotes, always."""
    return '"' + identifier.replace('"', '""') + '"'


def qualified(schema: str, name: str) -> str:
    """Return a quoted name, with its schema where there is one: what `to_regclass` and DDL accept."""
    return f"{quote(schema)}.{quote(name)}" if schema else quote(name)


def display(schema: str, name: str) -> str:
    """Return a name as the model writes it: bare, with its schema where the statement names one."""
    return f"{schema}.{name}" if schema else name


def relation(node: Node) -> str:
    """Return a RangeVar's name as the model writes it."""
    return display(node.schemaname, node.relname)


def strings(nodes: Iterable[Node]) -> list[str]:
    """Return the texts of a list of String nodes, e.g. the parts of a qualified name."""
    return [item.sval for item in map(unwrap, nodes) if kind_of(item) == "String"]


def dotted(nodes: Iterable[Node]) -> tuple[str, str]:
    """Return (schema, name) of a name given as a list of String nodes."""
    parts = strings(nodes)
    return (parts[-2] if len(parts) > 1 else "", parts[-1] if parts else "")

"""What upkeep, rights and numbers are about: statements that leave columns and constraints alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from handrail.engines.postgresql.sql.syntax import Node, display, kind_of, library, relation, strings, unwrap
from handrail.model import action as act
from handrail.model.action import Action


def rights(node: Node) -> Iterator[Action]:
    """Yield one action for each relation that rights are given on or taken from; one without a name for the rest."""
    what = "GRANT" if node.is_grant else "REVOKE"
    tables = [item for item in map(unwrap, node.objects) if kind_of(item) == "RangeVar"]
    for table in tables:
        yield act.Other(what=what, table=relation(table))
    if not tables:
        yield act.Other(what=what)


def sequence(node: Node) -> Iterator[Action]:
    """Yield whether a sequence begins again or gets another owner, or is altered in another way."""
    name, own = relation(node.sequence), owner(node)
    if own is not None:
        yield act.OwnSequence(sequence=name, table=own[0], column=own[1])
    restart = next((option for option in map(unwrap, node.options) if option.defname == "restart"), None)
    first = restart is not None and (not restart.HasField("arg") or unwrap(restart.arg).ival <= 1)
    if first or own is None or len(node.options) > 1:
        yield act.Other(what="RESTART SEQUENCE" if first else "ALTER SEQUENCE", table=name)


def new_sequence(node: Node) -> Iterator[Action]:
    """Yield CREATE SEQUENCE."""
    table, column = owner(node) or ("", "")
    yield act.CreateObject(kind="sequence", name=relation(node.sequence), table=table, column=column)


def owner(node: Node) -> tuple[str, str] | None:
    """Return the table and column that OWNED BY names, two '' for NONE, None where it is not said."""
    said = next((option for option in map(unwrap, node.options) if option.defname == "owned_by"), None)
    if said is None:
        return None
    *path, column = strings(unwrap(said.arg).items)
    return (display(path[-2] if len(path) > 1 else "", path[-1]), column) if path else ("", "")


def reindex(node: Node) -> Iterator[Action]:
    """Yield REINDEX."""
    kind = library().pg_query_pb2.ReindexObjectType.Name(node.kind).removeprefix("REINDEX_OBJECT_").lower()
    concurrently = any(option.defname == "concurrently" for option in map(unwrap, node.params))
    yield act.Reindex(kind=kind, name=relation(node.relation) or node.name, concurrently=concurrently)


def vacuum(node: Node) -> Iterator[Action]:
    """Yield VACUUM or ANALYZE, for each table that is named."""
    full = "full" in {option.defname for option in map(unwrap, node.options)}
    what = ("VACUUM FULL" if full else "VACUUM") if node.is_vacuumcmd else "ANALYZE"
    for item in node.rels or ():
        yield act.Other(what=what, table=relation(unwrap(item).relation))
    if not node.rels:
        yield act.Other(what=what)


def of_table(what: str) -> Callable[[Node], Iterator[Action]]:
    """Return a reader of a statement that is about one table."""

    def read(node: Node) -> Iterator[Action]:
        yield act.Other(what=what, table=relation(node.relation))

    return read


def refresh(node: Node) -> Iterator[Action]:
    """Yield REFRESH MATERIALIZED VIEW."""
    what = "REFRESH MATERIALIZED VIEW CONCURRENTLY" if node.concurrent else "REFRESH MATERIALIZED VIEW"
    yield act.Other(what=what, table=relation(node.relation))

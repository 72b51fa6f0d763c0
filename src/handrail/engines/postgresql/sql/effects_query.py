"""Which locks a query or a write takes: the tables it names, and whatever the functions may lock that it calls."""

from __future__ import annotations

from collections.abc import Iterator

from handrail.engines.postgresql.sql.effects_lock import ANYTHING, UNKNOWN, Lock
from handrail.engines.postgresql.sql.functions import calls_unknown
from handrail.engines.postgresql.sql.lock_modes import ACCESS_EXCLUSIVE, ACCESS_SHARE, ROW_EXCLUSIVE, ROW_SHARE
from handrail.engines.postgresql.sql.syntax import WRITES, Node, find, kind_of, relation
from handrail.model.effect import Cost
from handrail.model.verdict import Confidence

# A function that a write calls for each row computes a value, or writes other rows.
_ROWS_ANYWHERE = Lock(relation=ANYTHING, mode=ROW_EXCLUSIVE, cost=Cost.SCAN, confidence=Confidence.LOW)


def select(node: Node) -> Iterator[Lock]:
    """Yield the locks of a query, also of one that makes a table; an unknown function may lock anything."""
    created = relation(node.into_clause.rel)
    if created:
        yield Lock(relation=created, mode=ACCESS_EXCLUSIVE, created=True)
    yield from query(node, skip=created)
    if calls_unknown(node):
        yield UNKNOWN


def create_as(node: Node) -> Iterator[Lock]:
    """Yield the locks of CREATE TABLE AS and CREATE MATERIALIZED VIEW."""
    yield Lock(relation=relation(node.into.rel), mode=ACCESS_EXCLUSIVE, created=True)
    yield from query(node.query)
    if calls_unknown(node.query):
        yield UNKNOWN


def write(node: Node) -> Iterator[Lock]:
    """Yield the locks of INSERT, UPDATE, DELETE and MERGE."""
    yield Lock(relation=relation(node.relation), mode=ROW_EXCLUSIVE, cost=Cost.SCAN)
    yield from query(node, skip=relation(node.relation))
    if calls_unknown(node):
        yield _ROWS_ANYWHERE


def copy(node: Node) -> Iterator[Lock]:
    """Yield the locks of COPY, of a table or of a query."""
    if node.relation.relname:
        mode = ROW_EXCLUSIVE if node.is_from else ACCESS_SHARE
        yield Lock(relation=relation(node.relation), mode=mode, cost=Cost.SCAN)
    yield from query(node.query)
    if calls_unknown(node):
        yield UNKNOWN


def query(node: Node, skip: str = "") -> Iterator[Lock]:
    """Yield the tables a query reads or, in WITH, writes; names of WITH queries are no tables."""
    if kind_of(node) == "Node" and node.WhichOneof("node") is None:
        return
    names = {item.ctename for item in find(node, "CommonTableExpr")}
    locked = bool(next(iter(find(node, "LockingClause")), None))
    written = {relation(write.relation) for write in find(node, *WRITES)}
    for table in find(node, "RangeVar"):
        name = relation(table)
        if name == skip or (not table.schemaname and name in names):
            continue
        mode = ROW_EXCLUSIVE if name in written else ROW_SHARE if locked else ACCESS_SHARE
        yield Lock(relation=name, mode=mode, cost=Cost.SCAN)

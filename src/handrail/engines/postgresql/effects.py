"""Which locks a statement takes, read from its text alone.

What only the catalogue knows is not here; `locks.blockers` adds it: the tables at the other end of severed foreign
keys, partitions and children, the table of an index. What cannot be read is assumed to lock anything as strongly as
there is.

Source: https://www.postgresql.org/docs/current/explicit-locking.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from handrail.engines.postgresql import effects_alter
from handrail.engines.postgresql.lock_modes import (
    ACCESS_EXCLUSIVE,
    ACCESS_SHARE,
    BLOCKS,
    EXCLUSIVE,
    MODES,
    ROW_EXCLUSIVE,
    ROW_SHARE,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from handrail.engines.postgresql.syntax import (
    Node,
    display,
    find,
    kind_of,
    library,
    relation,
    statements,
    strings,
    unwrap,
)
from handrail.model.effect import Cost, Effect
from handrail.model.verdict import Confidence

LOCKING = "https://www.postgresql.org/docs/current/explicit-locking.html"
ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html"

_COSTS = (Cost.INSTANT, Cost.SCAN, Cost.REWRITE)
ANYTHING = "*"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lock:
    """One lock before lines of the same relation are joined."""

    relation: str
    mode: str
    cost: Cost = Cost.INSTANT
    confidence: Confidence = Confidence.HIGH
    created: bool = False
    severs: tuple[str, ...] = ()
    source: str = LOCKING


_UNKNOWN = _Lock(relation=ANYTHING, mode=ACCESS_EXCLUSIVE, cost=Cost.REWRITE, confidence=Confidence.LOW)


@lru_cache(maxsize=4096)  # asked in the plan and again when the statement is sent
def effects(sql: str, *, server_major: int) -> tuple[Effect, ...]:  # noqa: ARG001 - 14 to 18 agree on these locks
    """Return the strongest lock per relation, in the order met; several statements in one text are joined.

    A DO block, a CALL and what cannot be parsed lock `*` in ACCESS EXCLUSIVE mode with Confidence.LOW. ALTER COLUMN
    TYPE counts as a rewrite with Confidence.LOW: the text does not show the old type.
    """
    nodes = statements(sql)
    if nodes is None:
        return (_effect(_UNKNOWN),)
    joined: dict[str, _Lock] = {}
    for lock in (lock for node in nodes for lock in _locks(node)):
        known = joined.get(lock.relation)
        joined[lock.relation] = lock if known is None else _stronger(known, lock)
    return tuple(_effect(lock) for lock in joined.values())


def _locks(node: Node) -> Iterator[_Lock]:
    read = _READERS.get(kind_of(node))
    if read is not None:
        yield from read(node)
    elif kind_of(node) not in _WITHOUT_TABLES:
        yield _UNKNOWN


def _stronger(one: _Lock, other: _Lock) -> _Lock:
    mode = max(one.mode, other.mode, key=MODES.index)
    cost = max(one.cost, other.cost, key=_COSTS.index)
    low = Confidence.LOW in {one.confidence, other.confidence}
    return _Lock(
        relation=one.relation,
        mode=mode,
        cost=cost,
        confidence=Confidence.LOW if low else Confidence.HIGH,
        created=one.created,
        severs=(*one.severs, *other.severs),
        source=one.source if one.mode == mode else other.source,
    )


def _effect(lock: _Lock) -> Effect:
    return Effect(
        relation=lock.relation,
        lock=lock.mode,
        blocks=BLOCKS[lock.mode],
        cost=lock.cost,
        confidence=lock.confidence,
        created_here=lock.created,
        severs=lock.severs,
        source=lock.source,
    )


def _alter_table(node: Node) -> Iterator[_Lock]:
    kind = library().pg_query_pb2.ObjectType.Name(node.objtype)
    name = relation(node.relation)
    if kind == "OBJECT_TYPE":  # a composite type has a relation of its own that nobody reads
        return
    for command in map(unwrap, node.cmds):
        touch = effects_alter.touch(command)
        confidence = touch.confidence
        if kind == "OBJECT_INDEX" and touch.lock == ACCESS_EXCLUSIVE:
            confidence = Confidence.LOW  # its table is not named
        yield _Lock(
            relation=name,
            mode=touch.lock,
            cost=touch.cost,
            confidence=confidence,
            severs=touch.severs,
            source=ALTER_TABLE,
        )
        for other in touch.others:
            yield _Lock(relation=other, mode=touch.others_lock, cost=touch.others_cost, source=ALTER_TABLE)


def _create_table(node: Node) -> Iterator[_Lock]:
    yield _Lock(relation=relation(node.relation), mode=ACCESS_EXCLUSIVE, created=True)
    for constraint in effects_alter.constraints(node):
        if other := effects_alter.referenced(constraint):
            yield _Lock(relation=other, mode=SHARE_ROW_EXCLUSIVE)
    partition = node.HasField("partbound")
    for parent in map(unwrap, node.inh_relations):
        # A new partition may have to be kept out of the default one, which is scanned under ACCESS EXCLUSIVE.
        yield _Lock(relation=relation(parent), mode=ACCESS_EXCLUSIVE if partition else SHARE_UPDATE_EXCLUSIVE)
    for like in map(unwrap, node.table_elts):
        if kind_of(like) == "TableLikeClause":
            yield _Lock(relation=relation(like.relation), mode=ACCESS_SHARE)


def _create_as(node: Node) -> Iterator[_Lock]:
    yield _Lock(relation=relation(node.into.rel), mode=ACCESS_EXCLUSIVE, created=True)
    yield from _query(node.query)


def _view(node: Node) -> Iterator[_Lock]:
    yield _Lock(relation=relation(node.view), mode=ACCESS_EXCLUSIVE, created=not node.replace)
    yield from _query(node.query)


def _index(node: Node) -> Iterator[_Lock]:
    mode = SHARE_UPDATE_EXCLUSIVE if node.concurrent else SHARE
    yield _Lock(relation=relation(node.relation), mode=mode, cost=Cost.SCAN)


def _drop(node: Node) -> Iterator[_Lock]:
    kind = library().pg_query_pb2.ObjectType.Name(node.remove_type)
    for item in map(unwrap, node.objects):
        parts = strings(item.items) if kind_of(item) == "List" else []
        if kind in {"OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}:
            parts = parts[:-1]
        elif kind not in _DROPPED_RELATIONS:
            continue
        name = display(parts[-2] if len(parts) > 1 else "", parts[-1] if parts else ANYTHING)
        # Of an index only the index is named: the lock of its table is the same, and reads of the table wait for it.
        mode = SHARE_UPDATE_EXCLUSIVE if node.concurrent else ACCESS_EXCLUSIVE
        yield _Lock(relation=name, mode=mode, severs=("*",) if kind == "OBJECT_TABLE" else ())


def _rename(node: Node) -> Iterator[_Lock]:
    kind = library().pg_query_pb2.ObjectType.Name(node.rename_type)
    if not node.relation.relname:
        return
    # ALTER INDEX ... RENAME is the exception to ACCESS EXCLUSIVE: https://www.postgresql.org/docs/current/sql-alterindex.html
    mode = SHARE_UPDATE_EXCLUSIVE if kind == "OBJECT_INDEX" else ACCESS_EXCLUSIVE
    yield _Lock(relation=relation(node.relation), mode=mode)


def _relation(mode: str, cost: Cost = Cost.INSTANT, field: str = "relation") -> Callable[[Node], Iterator[_Lock]]:
    """Return a reader for statements that lock the one relation they name, always in the same mode."""

    def read(node: Node) -> Iterator[_Lock]:
        target = getattr(node, field)
        if target.relname:
            yield _Lock(relation=relation(target), mode=mode, cost=cost)

    return read


def _comment(node: Node) -> Iterator[_Lock]:
    kind = library().pg_query_pb2.ObjectType.Name(node.objtype)
    target = unwrap(node.object)
    parts = strings(target.items) if kind_of(target) == "List" else []
    mode = SHARE_UPDATE_EXCLUSIVE
    if kind == "OBJECT_COLUMN":
        parts = parts[:-1]
    elif kind in {"OBJECT_TABCONSTRAINT", "OBJECT_TRIGGER", "OBJECT_POLICY", "OBJECT_RULE"}:
        parts, mode = parts[:-1], ACCESS_SHARE
    elif kind not in _DROPPED_RELATIONS:
        return
    name = display(parts[-2] if len(parts) > 1 else "", parts[-1] if parts else ANYTHING)
    yield _Lock(relation=name, mode=mode)


def _truncate(node: Node) -> Iterator[_Lock]:
    cascade = library().pg_query_pb2.DropBehavior.Name(node.behavior) == "DROP_CASCADE"
    for item in map(unwrap, node.relations):
        yield _Lock(relation=relation(item), mode=ACCESS_EXCLUSIVE, severs=("*",) if cascade else ())


def _lock_table(node: Node) -> Iterator[_Lock]:
    for item in map(unwrap, node.relations):
        yield _Lock(relation=relation(item), mode=MODES[node.mode - 1])


def _refresh(node: Node) -> Iterator[_Lock]:
    mode, cost = (EXCLUSIVE, Cost.SCAN) if node.concurrent else (ACCESS_EXCLUSIVE, Cost.REWRITE)
    yield _Lock(relation=relation(node.relation), mode=mode, cost=cost)


def _vacuum(node: Node) -> Iterator[_Lock]:
    options = {option.defname for option in map(unwrap, node.options)}
    full = "full" in options and node.is_vacuumcmd
    mode, cost = (ACCESS_EXCLUSIVE, Cost.REWRITE) if full else (SHARE_UPDATE_EXCLUSIVE, Cost.SCAN)
    targets = [relation(unwrap(item).relation) for item in node.rels] or [ANYTHING]
    for name in targets:
        yield _Lock(relation=name, mode=mode, cost=cost)


def _reindex(node: Node) -> Iterator[_Lock]:
    concurrently = any(option.defname == "concurrently" for option in map(unwrap, node.params))
    mode = SHARE_UPDATE_EXCLUSIVE if concurrently else SHARE
    if not node.relation.relname:
        yield _Lock(relation=ANYTHING, mode=mode, cost=Cost.SCAN)
        return
    index = library().pg_query_pb2.ReindexObjectType.Name(node.kind) == "REINDEX_OBJECT_INDEX"
    # REINDEX takes ACCESS EXCLUSIVE on each index, so even reads that plan with it wait.
    strong = ACCESS_EXCLUSIVE if index and not concurrently else mode
    yield _Lock(relation=relation(node.relation), mode=strong, cost=Cost.SCAN)


def _trigger(node: Node) -> Iterator[_Lock]:
    yield _Lock(relation=relation(node.relation), mode=SHARE_ROW_EXCLUSIVE)
    if node.constrrel.relname:
        yield _Lock(relation=relation(node.constrrel), mode=SHARE_ROW_EXCLUSIVE)


def _sequence(node: Node) -> Iterator[_Lock]:
    target = node.sequence
    created = kind_of(node) == "CreateSeqStmt"
    yield _Lock(relation=relation(target), mode=SHARE_ROW_EXCLUSIVE, created=created)
    for option in map(unwrap, node.options):
        owner = strings(unwrap(option.arg).items) if option.defname == "owned_by" else []
        if len(owner) > 1:
            yield _Lock(relation=display(owner[-3] if len(owner) > 2 else "", owner[-2]), mode=ACCESS_SHARE)  # noqa: PLR2004 - schema.table.column


def _statistics(node: Node) -> Iterator[_Lock]:
    for item in map(unwrap, node.relations):
        yield _Lock(relation=relation(item), mode=SHARE_UPDATE_EXCLUSIVE)


def _write(node: Node) -> Iterator[_Lock]:
    yield _Lock(relation=relation(node.relation), mode=ROW_EXCLUSIVE, cost=Cost.SCAN)
    yield from _query(node, skip=relation(node.relation))


def _copy(node: Node) -> Iterator[_Lock]:
    if node.relation.relname:
        mode = ROW_EXCLUSIVE if node.is_from else ACCESS_SHARE
        yield _Lock(relation=relation(node.relation), mode=mode, cost=Cost.SCAN)
    yield from _query(node.query)


def _explain(node: Node) -> Iterator[_Lock]:
    yield from _locks(unwrap(node.query))


def _select(node: Node) -> Iterator[_Lock]:
    created = relation(node.into_clause.rel)
    if created:
        yield _Lock(relation=created, mode=ACCESS_EXCLUSIVE, created=True)
    yield from _query(node, skip=created)


def _query(node: Node, skip: str = "") -> Iterator[_Lock]:
    """Yield the tables a query reads or, in WITH, writes; names of WITH queries are no tables."""
    if kind_of(node) == "Node" and node.WhichOneof("node") is None:
        return
    names = {item.ctename for item in find(node, "CommonTableExpr")}
    locked = bool(next(iter(find(node, "LockingClause")), None))
    written = {relation(w.relation) for kind in _WRITES for w in find(node, kind)}
    for table in find(node, "RangeVar"):
        name = relation(table)
        if name == skip or (not table.schemaname and name in names):
            continue
        mode = ROW_EXCLUSIVE if name in written else ROW_SHARE if locked else ACCESS_SHARE
        yield _Lock(relation=name, mode=mode, cost=Cost.SCAN)


def _anything(node: Node) -> Iterator[_Lock]:  # noqa: ARG001 - the shape of a reader
    yield _UNKNOWN


_WRITES = ("InsertStmt", "UpdateStmt", "DeleteStmt", "MergeStmt")
_DROPPED_RELATIONS = frozenset(
    {
        "OBJECT_TABLE",
        "OBJECT_INDEX",
        "OBJECT_VIEW",
        "OBJECT_MATVIEW",
        "OBJECT_SEQUENCE",
        "OBJECT_FOREIGN_TABLE",
    }
)  # fmt: skip - a list of words

_READERS: dict[str, Callable[[Node], Iterator[_Lock]]] = {
    "AlterTableStmt": _alter_table,
    "AlterObjectSchemaStmt": _relation(ACCESS_EXCLUSIVE),
    "AlterOwnerStmt": _relation(ACCESS_EXCLUSIVE),
    "AlterPolicyStmt": _relation(ACCESS_EXCLUSIVE, field="table"),
    "AlterSeqStmt": _sequence,
    "CallStmt": _anything,
    "ClusterStmt": _relation(ACCESS_EXCLUSIVE, Cost.REWRITE),
    "CommentStmt": _comment,
    "CopyStmt": _copy,
    "CreatePolicyStmt": _relation(ACCESS_EXCLUSIVE, field="table"),
    "CreateSeqStmt": _sequence,
    "CreateStatsStmt": _statistics,
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_as,
    "CreateTrigStmt": _trigger,
    "DeleteStmt": _write,
    "DropStmt": _drop,
    "ExplainStmt": _explain,
    "IndexStmt": _index,
    "InsertStmt": _write,
    "LockStmt": _lock_table,
    "MergeStmt": _write,
    "RefreshMatViewStmt": _refresh,
    "ReindexStmt": _reindex,
    "RenameStmt": _rename,
    "RuleStmt": _relation(ACCESS_EXCLUSIVE),
    "SelectStmt": _select,
    "TruncateStmt": _truncate,
    "UpdateStmt": _write,
    "VacuumStmt": _vacuum,
    "ViewStmt": _view,
}

# Statements that lock no table a client works with.
_WITHOUT_TABLES = frozenset(
    {
        "AlterDatabaseSetStmt",
        "AlterDatabaseStmt",
        "AlterDefaultPrivilegesStmt",
        "AlterEnumStmt",
        "AlterFunctionStmt",
        "AlterRoleSetStmt",
        "AlterRoleStmt",
        "AlterTypeStmt",
        "CheckPointStmt",
        "CompositeTypeStmt",
        "ConstraintsSetStmt",
        "CreateCastStmt",
        "CreateDomainStmt",
        "CreateEnumStmt",
        "CreateExtensionStmt",
        "CreateFunctionStmt",
        "CreateRangeStmt",
        "CreateRoleStmt",
        "CreateSchemaStmt",
        "DeallocateStmt",
        "DefineStmt",
        "DiscardStmt",
        "DropRoleStmt",
        "GrantRoleStmt",
        "GrantStmt",
        "ListenStmt",
        "NotifyStmt",
        "TransactionStmt",
        "UnlistenStmt",
        "VariableSetStmt",
        "VariableShowStmt",
    }
)  # fmt: skip - a list of words

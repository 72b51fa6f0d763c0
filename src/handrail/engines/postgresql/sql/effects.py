"""Which locks a statement takes, read from its text alone.

What only the catalogue knows is not here; `locks.blockers` adds it: the tables at the other end of severed foreign
keys, partitions and children, the table of an index. What cannot be read is assumed to lock anything as strongly as
there is.

Source: https://www.postgresql.org/docs/current/explicit-locking.html.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from handrail.engines.postgresql.sql import effects_alter, effects_query
from handrail.engines.postgresql.sql.effects_lock import ANYTHING, UNKNOWN, Lock, effect, stronger
from handrail.engines.postgresql.sql.lock_modes import (
    ACCESS_EXCLUSIVE,
    ACCESS_SHARE,
    EXCLUSIVE,
    MODES,
    SHARE,
    SHARE_ROW_EXCLUSIVE,
    SHARE_UPDATE_EXCLUSIVE,
)
from handrail.engines.postgresql.sql.syntax import (
    Node,
    analyzes,
    display,
    kind_of,
    library,
    relation,
    statements,
    strings,
    unwrap,
)
from handrail.model.effect import Cost, Effect
from handrail.model.verdict import Confidence

ALTER_TABLE = "https://www.postgresql.org/docs/current/sql-altertable.html"


@lru_cache(maxsize=4096)  # asked in the plan and again when the statement is sent
def effects(sql: str, *, server_major: int) -> tuple[Effect, ...]:  # noqa: ARG001 - 14 to 18 agree on these locks
    """Return the strongest lock per relation, in the order met; several statements in one text are joined.

    A DO block, a CALL, a query that calls an unknown function and what cannot be parsed lock `*` in ACCESS EXCLUSIVE
    mode with Confidence.LOW; an INSERT, UPDATE, DELETE or MERGE that calls one writes rows of `*`. ALTER COLUMN TYPE
    counts as a rewrite with Confidence.LOW: the text does not show the old type.
    """
    nodes = statements(sql)
    if nodes is None:
        return (effect(UNKNOWN),)
    joined: dict[str, Lock] = {}
    for lock in (lock for node in nodes for lock in _locks(node)):
        known = joined.get(lock.relation)
        joined[lock.relation] = lock if known is None else stronger(known, lock)
    return tuple(effect(lock) for lock in joined.values())


def _locks(node: Node) -> Iterator[Lock]:
    read = _READERS.get(kind_of(node))
    if read is not None:
        yield from read(node)
    elif kind_of(node) not in _WITHOUT_TABLES:
        yield UNKNOWN


def _alter_table(node: Node) -> Iterator[Lock]:
    kind = library().pg_query_pb2.ObjectType.Name(node.objtype)
    name = relation(node.relation)
    if kind == "OBJECT_TYPE":  # a composite type has a relation of its own that nobody reads
        return
    for command in map(unwrap, node.cmds):
        touch = effects_alter.touch(command)
        confidence = touch.confidence
        if kind == "OBJECT_INDEX" and touch.lock == ACCESS_EXCLUSIVE:
            confidence = Confidence.LOW  # its table is not named
        yield Lock(
            relation=name,
            mode=touch.lock,
            cost=touch.cost,
            confidence=confidence,
            severs=touch.severs,
            source=ALTER_TABLE,
        )
        for other in touch.others:
            yield Lock(relation=other, mode=touch.others_lock, cost=touch.others_cost, source=ALTER_TABLE)


def _create_table(node: Node) -> Iterator[Lock]:
    yield Lock(relation=relation(node.relation), mode=ACCESS_EXCLUSIVE, created=True)
    for constraint in effects_alter.constraints(node):
        if other := effects_alter.referenced(constraint):
            yield Lock(relation=other, mode=SHARE_ROW_EXCLUSIVE)
    partition = node.HasField("partbound")
    for parent in map(unwrap, node.inh_relations):
        # A new partition may have to be kept out of the default one, which is scanned under ACCESS EXCLUSIVE.
        yield Lock(relation=relation(parent), mode=ACCESS_EXCLUSIVE if partition else SHARE_UPDATE_EXCLUSIVE)
    for like in map(unwrap, node.table_elts):
        if kind_of(like) == "TableLikeClause":
            yield Lock(relation=relation(like.relation), mode=ACCESS_SHARE)


def _view(node: Node) -> Iterator[Lock]:
    yield Lock(relation=relation(node.view), mode=ACCESS_EXCLUSIVE, created=not node.replace)
    yield from effects_query.query(node.query)


def _index(node: Node) -> Iterator[Lock]:
    mode = SHARE_UPDATE_EXCLUSIVE if node.concurrent else SHARE
    yield Lock(relation=relation(node.relation), mode=mode, cost=Cost.SCAN)


def _drop(node: Node) -> Iterator[Lock]:
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
        yield Lock(relation=name, mode=mode, severs=("*",) if kind == "OBJECT_TABLE" else ())


def _rename(node: Node) -> Iterator[Lock]:
    kind = library().pg_query_pb2.ObjectType.Name(node.rename_type)
    if not node.relation.relname:
        return
    # ALTER INDEX ... RENAME is the exception to ACCESS EXCLUSIVE: https://www.postgresql.org/docs/current/sql-alterindex.html
    mode = SHARE_UPDATE_EXCLUSIVE if kind == "OBJECT_INDEX" else ACCESS_EXCLUSIVE
    yield Lock(relation=relation(node.relation), mode=mode)


def _relation(mode: str, cost: Cost = Cost.INSTANT, field: str = "relation") -> Callable[[Node], Iterator[Lock]]:
    """Return a reader for statements that lock the one relation they name, always in the same mode."""

    def read(node: Node) -> Iterator[Lock]:
        target = getattr(node, field)
        if target.relname:
            yield Lock(relation=relation(target), mode=mode, cost=cost)

    return read


def _comment(node: Node) -> Iterator[Lock]:
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
    yield Lock(relation=name, mode=mode)


def _truncate(node: Node) -> Iterator[Lock]:
    cascade = library().pg_query_pb2.DropBehavior.Name(node.behavior) == "DROP_CASCADE"
    for item in map(unwrap, node.relations):
        yield Lock(relation=relation(item), mode=ACCESS_EXCLUSIVE, severs=("*",) if cascade else ())


def _lock_table(node: Node) -> Iterator[Lock]:
    for item in map(unwrap, node.relations):
        yield Lock(relation=relation(item), mode=MODES[node.mode - 1])


def _refresh(node: Node) -> Iterator[Lock]:
    mode, cost = (EXCLUSIVE, Cost.SCAN) if node.concurrent else (ACCESS_EXCLUSIVE, Cost.REWRITE)
    yield Lock(relation=relation(node.relation), mode=mode, cost=cost)


def _vacuum(node: Node) -> Iterator[Lock]:
    options = {option.defname for option in map(unwrap, node.options)}
    full = "full" in options and node.is_vacuumcmd
    mode, cost = (ACCESS_EXCLUSIVE, Cost.REWRITE) if full else (SHARE_UPDATE_EXCLUSIVE, Cost.SCAN)
    targets = [relation(unwrap(item).relation) for item in node.rels] or [ANYTHING]
    for name in targets:
        yield Lock(relation=name, mode=mode, cost=cost)


def _reindex(node: Node) -> Iterator[Lock]:
    concurrently = any(option.defname == "concurrently" for option in map(unwrap, node.params))
    mode = SHARE_UPDATE_EXCLUSIVE if concurrently else SHARE
    if not node.relation.relname:
        yield Lock(relation=ANYTHING, mode=mode, cost=Cost.SCAN)
        return
    index = library().pg_query_pb2.ReindexObjectType.Name(node.kind) == "REINDEX_OBJECT_INDEX"
    # REINDEX takes ACCESS EXCLUSIVE on each index, so even reads that plan with it wait.
    strong = ACCESS_EXCLUSIVE if index and not concurrently else mode
    yield Lock(relation=relation(node.relation), mode=strong, cost=Cost.SCAN)


def _trigger(node: Node) -> Iterator[Lock]:
    yield Lock(relation=relation(node.relation), mode=SHARE_ROW_EXCLUSIVE)
    if node.constrrel.relname:
        yield Lock(relation=relation(node.constrrel), mode=SHARE_ROW_EXCLUSIVE)


def _sequence(node: Node) -> Iterator[Lock]:
    target = node.sequence
    created = kind_of(node) == "CreateSeqStmt"
    yield Lock(relation=relation(target), mode=SHARE_ROW_EXCLUSIVE, created=created)
    for option in map(unwrap, node.options):
        owner = strings(unwrap(option.arg).items) if option.defname == "owned_by" else []
        if len(owner) > 1:
            yield Lock(relation=display(owner[-3] if len(owner) > 2 else "", owner[-2]), mode=ACCESS_SHARE)  # noqa: PLR2004 - schema.table.column


def _statistics(node: Node) -> Iterator[Lock]:
    for item in map(unwrap, node.relations):
        yield Lock(relation=relation(item), mode=SHARE_UPDATE_EXCLUSIVE)


def _explain(node: Node) -> Iterator[Lock]:
    runs = analyzes(node)
    yield from (lock for lock in _locks(unwrap(node.query)) if runs or lock.relation != ANYTHING)


def _anything(node: Node) -> Iterator[Lock]:  # noqa: ARG001 - the shape of a reader
    yield UNKNOWN


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

_READERS: dict[str, Callable[[Node], Iterator[Lock]]] = {
    "AlterTableStmt": _alter_table,
    "AlterObjectSchemaStmt": _relation(ACCESS_EXCLUSIVE),
    "AlterOwnerStmt": _relation(ACCESS_EXCLUSIVE),
    "AlterPolicyStmt": _relation(ACCESS_EXCLUSIVE, field="table"),
    "AlterSeqStmt": _sequence,
    "CallStmt": _anything,
    "ClusterStmt": _relation(ACCESS_EXCLUSIVE, Cost.REWRITE),
    "CommentStmt": _comment,
    "CopyStmt": effects_query.copy,
    "CreatePolicyStmt": _relation(ACCESS_EXCLUSIVE, field="table"),
    "CreateSeqStmt": _sequence,
    "CreateStatsStmt": _statistics,
    "CreateStmt": _create_table,
    "CreateTableAsStmt": effects_query.create_as,
    "CreateTrigStmt": _trigger,
    "DeleteStmt": effects_query.write,
    "DropStmt": _drop,
    "ExplainStmt": _explain,
    "IndexStmt": _index,
    "InsertStmt": effects_query.write,
    "LockStmt": _lock_table,
    "MergeStmt": effects_query.write,
    "RefreshMatViewStmt": _refresh,
    "ReindexStmt": _reindex,
    "RenameStmt": _rename,
    "RuleStmt": _relation(ACCESS_EXCLUSIVE),
    "SelectStmt": effects_query.select,
    "TruncateStmt": _truncate,
    "UpdateStmt": effects_query.write,
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

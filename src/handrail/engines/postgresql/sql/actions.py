"""What a statement does to schema and rows, read from its text alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from functools import lru_cache

from handrail.engines.postgresql.sql import actions_upkeep as upkeep
from handrail.engines.postgresql.sql import blocks, specs
from handrail.engines.postgresql.sql.actions_alter import alter_table
from handrail.engines.postgresql.sql.functions import calls_unknown
from handrail.engines.postgresql.sql.lock_modes import MODES
from handrail.engines.postgresql.sql.syntax import (
    WRITES,
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
from handrail.model import action as act
from handrail.model.action import Action, Verb
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ColumnSpec, ConstraintSpec

_OBJECTS = {
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_FUNCTION": "function",
    "OBJECT_PROCEDURE": "function",
    "OBJECT_TRIGGER": "trigger",
    "OBJECT_POLICY": "policy",
    "OBJECT_RULE": "rule",
    "OBJECT_SCHEMA": "schema",
    "OBJECT_TYPE": "type",
    "OBJECT_DOMAIN": "domain",
    "OBJECT_EXTENSION": "extension",
}
#: What stands on a table, and is named after it: DROP TRIGGER name ON table.
_OF_TABLE = frozenset({"trigger", "policy", "rule"})


@lru_cache(maxsize=4096)  # asked for each engine version, and again in the other direction
def actions(sql: str) -> tuple[Action, ...]:
    """Return every action of the text in order; Opaque for what cannot be read or runs code that is not known."""
    nodes = statements(sql)
    if nodes is None:
        return (act.Opaque(reason="it does not parse as PostgreSQL's SQL", anything=True),)
    return tuple(found for node in nodes for found in _actions(node))


def _actions(node: Node) -> Iterator[Action]:
    read = _READERS.get(kind_of(node))
    if read is not None:
        yield from read(node)
    elif kind_of(node) == "CallStmt":
        yield act.Opaque(reason="it calls a procedure")
    else:
        yield act.Other(what=_words(kind_of(node)))


def _block(node: Node) -> Iterator[Action]:
    """Yield what stands in a DO block, and what cannot be read of it."""
    for part in blocks.inside(node):
        match part:
            case blocks.Unread(reason=reason, anything=anything):
                yield act.Opaque(reason=reason, anything=anything)
            case blocks.Inside(sql=sql, guarded=guarded):
                yield from map(_unless_done, actions(sql)) if guarded else actions(sql)


def _unless_done(action: Action) -> Action:
    """Return the action as one that does nothing where it was done before."""
    known = {field.name for field in fields(action)} & {"if_not_exists", "if_exists", "replaces"}
    return replace(action, **dict.fromkeys(known, True))  # type: ignore[arg-type]  # all three are bool


def _words(kind: str) -> str:
    """Return a node's kind in words: CreateExtensionStmt is CREATE EXTENSION."""
    name = kind.removesuffix("Stmt")
    return "".join(f" {c}" if c.isupper() and i else c for i, c in enumerate(name)).upper()


def _is(node: Node, field: str, value: str) -> bool:
    """Return whether an enum of the parse tree has that name."""
    enum = node.DESCRIPTOR.fields_by_name[field].enum_type
    return bool(enum.values_by_number[getattr(node, field)].name == value)


def _cascade(node: Node) -> bool:
    return _is(node, "behavior", "DROP_CASCADE")


def _create_table(node: Node) -> Iterator[Action]:
    columns: list[ColumnSpec] = []
    constraints: list[ConstraintSpec] = []
    like = ""
    for element in map(unwrap, node.table_elts):
        match kind_of(element):
            case "ColumnDef":
                columns.append(specs.column(element))
                constraints += specs.column_constraints(element)
            case "Constraint":
                found = specs.constraint(element)
                constraints += [found] if found else []
            case "TableLikeClause":
                like = relation(element.relation)
    keyed = {name for c in constraints if c.kind is ConstraintKind.PRIMARY_KEY for name in c.columns}
    parents = [relation(unwrap(parent)) for parent in node.inh_relations]
    partition = node.HasField("partbound")
    yield act.CreateTable(
        table=relation(node.relation),
        columns=tuple(replace(c, nullable=False) if c.name in keyed else c for c in columns),
        constraints=tuple(constraints),
        if_not_exists=node.if_not_exists,
        temporary=node.relation.relpersistence == "t",
        like=like or (parents[0] if parents and not partition else ""),
        partition_of=parents[0] if parents and partition else "",
        partition_by=specs.partition_keys(node) if node.HasField("partspec") else (),
    )


def _create_as(node: Node) -> Iterator[Action]:
    name = relation(node.into.rel)
    if _is(node, "objtype", "OBJECT_MATVIEW"):
        yield act.CreateObject(
            kind="materialized view",
            name=name,
            reads=specs.tables_in([node.query]),
            definition=_columns_read(node.query),
            columns=tuple(strings(node.into.col_names)) or specs.output(node.query),
        )
    else:
        yield act.CreateTable(
            table=name,
            from_query=True,
            if_not_exists=node.if_not_exists,
            temporary=node.into.rel.relpersistence == "t",
        )


def _index(node: Node) -> Iterator[Action]:
    yield act.CreateIndex(
        table=relation(node.relation),
        index=specs.index(node),
        concurrently=node.concurrent,
        only=not node.relation.inh,
        if_not_exists=node.if_not_exists,
    )


def _drop(node: Node) -> Iterator[Action]:
    kind = library().pg_query_pb2.ObjectType.Name(node.remove_type)
    for item in map(unwrap, node.objects):
        parts = _parts(item)
        if kind == "OBJECT_TABLE":
            yield act.DropTable(table=_name(parts), cascade=_cascade(node), if_exists=node.missing_ok)
        elif kind == "OBJECT_INDEX":
            yield act.DropIndex(
                name=_name(parts), concurrently=node.concurrent, if_exists=node.missing_ok, cascade=_cascade(node)
            )
        else:
            what = _OBJECTS.get(kind, kind.removeprefix("OBJECT_").replace("_", " ").lower())
            table = _name(parts[:-1]) if what in _OF_TABLE else ""
            yield act.DropObject(
                kind=what,
                name=parts[-1] if table and parts else _name(parts),
                table=table,
                cascade=_cascade(node),
                if_exists=node.missing_ok,
            )


def _parts(item: Node) -> list[str]:
    match kind_of(item):
        case "List":
            return strings(item.items)
        case "TypeName":
            return strings(item.names)
        case "ObjectWithArgs":
            return strings(item.objname)
        case "String":
            return [str(item.sval)]
        case _:
            return []


def _name(parts: list[str]) -> str:
    return display(parts[-2] if len(parts) > 1 else "", parts[-1]) if parts else ""


def _rename(node: Node) -> Iterator[Action]:
    kind = library().pg_query_pb2.ObjectType.Name(node.rename_type)
    owner = library().pg_query_pb2.ObjectType.Name(node.relation_type)
    table, new = relation(node.relation), node.newname
    match kind:
        case "OBJECT_TABLE":
            yield act.RenameTable(table=table, new_name=display(node.relation.schemaname, new))
        case "OBJECT_COLUMN" if owner in {"OBJECT_TABLE", "OBJECT_VIEW", "OBJECT_MATVIEW"}:
            yield act.RenameColumn(table=table, column=node.subname, new_name=new)
        case "OBJECT_TABCONSTRAINT":
            yield act.RenameConstraint(table=table, name=node.subname, new_name=new)
        case "OBJECT_INDEX":
            yield act.RenameIndex(name=table, new_name=new)
        case _:
            what = _OBJECTS.get(kind, kind.removeprefix("OBJECT_").lower())
            schema, _, name = _renamed(node, what).rpartition(".")
            yield act.RenameObject(kind=what, name=display(schema, name), new_name=display(schema, new))


def _renamed(node: Node, what: str) -> str:
    """Return what gets another name; its schema, where one is named, stays."""
    if what not in _OF_TABLE and node.relation.relname:
        return relation(node.relation)
    return _name(_parts(unwrap(node.object))) if node.HasField("object") else str(node.subname)


def _set_schema(node: Node) -> Iterator[Action]:
    kind = library().pg_query_pb2.ObjectType.Name(node.object_type)
    name, new = relation(node.relation), display(node.newschema, node.relation.relname)
    if kind == "OBJECT_TABLE":
        yield act.RenameTable(table=name, new_name=new)
    elif kind in {"OBJECT_VIEW", "OBJECT_MATVIEW"}:
        yield act.RenameObject(kind=_OBJECTS[kind], name=name, new_name=new)
    else:
        yield act.Other(what="SET SCHEMA")


def _enum(node: Node) -> Iterator[Action]:
    yield act.CreateEnum(name=_name(strings(node.type_name)), values=tuple(strings(node.vals)))


def _alter_enum(node: Node) -> Iterator[Action]:
    name = _name(strings(node.type_name))
    if node.old_val:
        yield act.RenameEnumValue(name=name, value=node.old_val, new_value=node.new_val)
    else:
        yield act.AddEnumValue(name=name, value=node.new_val, if_not_exists=node.skip_if_new_val_exists)


def _view(node: Node) -> Iterator[Action]:
    aliases = tuple(strings(node.aliases))
    yield act.CreateObject(
        kind="view",
        name=relation(node.view),
        replaces=node.replace,
        reads=specs.tables_in([node.query]),
        definition=_columns_read(node.query),
        columns=aliases or specs.output(node.query),
        handed_on=specs.handed_on(node.query, aliases),
    )


def _columns_read(query: Node) -> str:
    """Return the names that a view's query uses, `*` where it takes all columns of something."""
    named = {part for ref in find(query, "ColumnRef") for part in strings(ref.fields)}
    return " ".join(sorted(named | {"*" for _ in find(query, "A_Star")}))


def _function(node: Node) -> Iterator[Action]:
    body = next((item.arg for item in map(unwrap, node.options) if item.defname == "as"), None)
    text = " ".join(strings(unwrap(body).items)) if body is not None else ""
    yield act.CreateObject(kind="function", name=_name(strings(node.funcname)), replaces=node.replace, definition=text)


def _trigger(node: Node) -> Iterator[Action]:
    yield act.CreateObject(
        kind="trigger",
        name=node.trigname,
        table=relation(node.relation),
        replaces=node.replace,
        definition=_name(strings(node.funcname)),
    )


def _policy(node: Node) -> Iterator[Action]:
    shown = specs.expression(node.qual) if node.HasField("qual") else ""
    yield act.CreateObject(kind="policy", name=node.policy_name, table=relation(node.table), definition=shown)


def _made(kind: str, name: Callable[[Node], str]) -> Callable[[Node], Iterator[Action]]:
    """Return a reader of statements that make one object with a name."""

    def read(node: Node) -> Iterator[Action]:
        yield act.CreateObject(kind=kind, name=name(node))

    return read


def _write(node: Node) -> Iterator[Action]:
    """Yield the statement's own write and those of its WITH."""
    for write in (node, *(found for found in find(node, *WRITES) if found is not node)):
        yield _one_write(write)
    if calls_unknown(node):
        yield act.Opaque(reason="it calls a function that is not known")


def _one_write(node: Node) -> Action:
    verb = Verb(kind_of(node).removesuffix("Stmt").upper())
    table = relation(node.relation)
    sets = node.cols if verb is Verb.INSERT else node.target_list if verb is Verb.UPDATE else ()
    where = node.HasField("where_clause") if verb in {Verb.UPDATE, Verb.DELETE} else False
    others = tuple(name for name in specs.tables_in([node]) if name != table)
    return act.WriteRows(
        verb=verb,
        table=table,
        where=specs.expression(node.where_clause) if where else "",
        columns=tuple(target.name for target in map(unwrap, sets)),
        reads=others,
        touch=verb is Verb.UPDATE and all(specs.expression(t.val).strip('"') == t.name for t in map(unwrap, sets)),
    )


def _select(node: Node) -> Iterator[Action]:
    if node.HasField("into_clause"):
        yield act.CreateTable(table=relation(node.into_clause.rel), from_query=True)
    for name in WRITES:
        for write in find(node, name):
            yield _one_write(write)
    if calls_unknown(node):
        yield act.Opaque(reason="it calls a function that is not known")


def _truncate(node: Node) -> Iterator[Action]:
    for item in map(unwrap, node.relations):
        yield act.WriteRows(verb=Verb.TRUNCATE, table=relation(item), cascade=_cascade(node))


def _lock(node: Node) -> Iterator[Action]:
    for item in map(unwrap, node.relations):
        yield act.LockTable(table=relation(item), mode=MODES[node.mode - 1])


def _transaction(node: Node) -> Iterator[Action]:
    word = node.DESCRIPTOR.fields_by_name["kind"].enum_type.values_by_number[node.kind].name
    yield act.TransactionControl(word=word.removeprefix("TRANS_STMT_"))


def _setting(node: Node) -> Iterator[Action]:
    values = ", ".join(specs.expression(arg).strip("'") for arg in node.args)
    yield act.SetSetting(name=node.name.lower(), value=values, local=node.is_local)


def _copy(node: Node) -> Iterator[Action]:
    if node.is_from:
        yield act.WriteRows(verb=Verb.INSERT, table=relation(node.relation), columns=tuple(strings(node.attlist)))
    else:
        yield act.Other(what="COPY", table=relation(node.relation))
    if node.is_program:
        yield act.Opaque(reason="it runs a program on the server's machine", anything=True)
    elif node.filename:
        yield act.Opaque(reason="it copies a file of the server's machine")


_READERS: dict[str, Callable[[Node], Iterator[Action]]] = {
    "AlterEnumStmt": _alter_enum,
    "AlterObjectSchemaStmt": _set_schema,
    "AlterSeqStmt": upkeep.sequence,
    "AlterTableStmt": alter_table,
    "ClusterStmt": upkeep.of_table("CLUSTER"),
    "CompositeTypeStmt": _made("type", lambda node: relation(node.typevar)),
    "CopyStmt": _copy,
    "CreateDomainStmt": _made("domain", lambda node: _name(strings(node.domainname))),
    "CreateEnumStmt": _enum,
    "CreateExtensionStmt": _made("extension", lambda node: str(node.extname)),
    "CreateFunctionStmt": _function,
    "CreatePolicyStmt": _policy,
    "CreateSchemaStmt": _made("schema", lambda node: str(node.schemaname)),
    "CreateSeqStmt": upkeep.new_sequence,
    "CreateStmt": _create_table,
    "CreateTableAsStmt": _create_as,
    "CreateTrigStmt": _trigger,
    "DeleteStmt": _write,
    "DoStmt": _block,
    "DropStmt": _drop,
    "GrantStmt": upkeep.rights,
    "IndexStmt": _index,
    "InsertStmt": _write,
    "LockStmt": _lock,
    "MergeStmt": _write,
    "RefreshMatViewStmt": upkeep.refresh,
    "ReindexStmt": upkeep.reindex,
    "RenameStmt": _rename,
    "SelectStmt": _select,
    "TransactionStmt": _transaction,
    "TruncateStmt": _truncate,
    "UpdateStmt": _write,
    "VacuumStmt": upkeep.vacuum,
    "VariableSetStmt": _setting,
    "ViewStmt": _view,
}

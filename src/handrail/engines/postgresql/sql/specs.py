"""Columns, constraints, types and expressions of the parse tree, as values of the model."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from handrail.engines.postgresql.sql.functions import called
from handrail.engines.postgresql.sql.syntax import Node, find, kind_of, library, relation, strings, unwrap
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec, ConstraintSpec, IndexSpec, Unknown

# What format_type() calls them: https://www.postgresql.org/docs/current/datatype.html#DATATYPE-TABLE.
_TYPES = {
    "int2": "smallint",
    "int4": "integer",
    "int": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "varchar": "character varying",
    "bpchar": "character",
    "char": "character",
    "float4": "real",
    "float8": "double precision",
    "decimal": "numeric",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
    "varbit": "bit varying",
}
_SERIAL = {
    "serial": "integer",
    "serial4": "integer",
    "bigserial": "bigint",
    "serial8": "bigint",
    "smallserial": "smallint",
    "serial2": "smallint",
}
_ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "r": "RESTRICT"}
_VOLATILE = frozenset(
    {
        "clock_timestamp",
        "currval",
        "gen_random_uuid",
        "nextval",
        "random",
        "timeofday",
        "uuid_generate_v1",
        "uuid_generate_v1mc",
        "uuid_generate_v4",
        "uuidv4",
        "uuidv7",
    }
)  # fmt: skip - a list of words
_NOT_VOLATILE = frozenset(
    {
        "current_date",
        "date_trunc",
        "json_build_array",
        "json_build_object",
        "jsonb_build_array",
        "jsonb_build_object",
        "lower",
        "make_date",
        "md5",
        "now",
        "statement_timestamp",
        "timezone",
        "to_timestamp",
        "transaction_timestamp",
        "upper",
    }
)  # fmt: skip - a list of words


def expression(node: Node) -> str:
    """Return the SQL of an expression, '' for none."""
    if node is None or (hasattr(node, "WhichOneof") and kind_of(node) == "Node" and not node.WhichOneof("node")):
        return ""
    messages = library().pg_query_pb2
    result = messages.ParseResult(version=180004)
    select = result.stmts.add().stmt.select_stmt
    select.limit_option = messages.LIMIT_OPTION_DEFAULT
    select.op = messages.SETOP_NONE
    select.target_list.add().res_target.val.CopyFrom(node)
    try:
        return str(library().deparse(result)).removeprefix("SELECT ")
    except library().PgQueryError:
        return "?"


def type_name(node: Node) -> str:
    """Return a TypeName as format_type() would write it; of an array with its brackets."""
    names = strings(node.names)
    bare = names[-1] if names else ""
    base = _SERIAL.get(bare) or _TYPES.get(bare, bare if names[:1] == ["pg_catalog"] else ".".join(names))
    if base == "public." + bare:
        base = bare
    mods = [expression(mod) for mod in node.typmods]
    if bare == "interval":
        mods = mods[1:]  # the fields come first, as a number that says nothing to a person
    if (bare == "bpchar" and mods == ["1"]) or not mods:
        sized = "character(1)" if bare in {"bpchar", "char"} else base
    elif base.startswith(("timestamp", "time ")):
        word, _, rest = base.partition(" ")
        sized = f"{word}({mods[0]}) {rest}"
    else:
        sized = f"{base}({','.join(mods)})"
    return sized + "[]" * len(node.array_bounds)


def column(node: Node) -> ColumnSpec:
    """Return a ColumnDef; its own constraints on other things are `column_constraints`."""
    bare = (strings(node.type_name.names) or [""])[-1]
    serial = bare in _SERIAL
    parts = {constraint_kind(c): c for c in map(unwrap, node.constraints)}
    default = parts.get("CONSTR_DEFAULT")
    generated, identity = parts.get("CONSTR_GENERATED"), parts.get("CONSTR_IDENTITY")
    always = identity is not None and identity.generated_when == "a"
    return ColumnSpec(
        name=node.colname,
        type=type_name(node.type_name),
        nullable=not (serial or parts.keys() & {"CONSTR_NOTNULL", "CONSTR_PRIMARY", "CONSTR_IDENTITY"}),
        default=expression(default.raw_expr) if default is not None else None,
        generated=expression(generated.raw_expr) if generated is not None else "",
        stored=generated is None or generated.generated_kind != "v",
        identity="serial" if serial else "" if identity is None else "always" if always else "by default",
        collation=".".join(strings(node.coll_clause.collname)) if node.HasField("coll_clause") else "",
        volatile_default=_volatile(default.raw_expr) if default is not None else False,
    )


def _volatile(default: Node) -> bool | Unknown:
    """Return whether each row gets a value of its own; UNKNOWN where a function is called that is not known."""
    names = called(default)
    if names & _VOLATILE:
        return True
    return UNKNOWN if names - _NOT_VOLATILE else False


def column_constraints(node: Node) -> tuple[ConstraintSpec, ...]:
    """Return the constraints that stand at a ColumnDef."""
    found: list[ConstraintSpec] = []
    for part in map(unwrap, node.constraints):
        made, said = constraint(part, column=node.colname), constraint_kind(part)
        if made is not None:
            found.append(made)
        elif found and said in _DEFERRING:  # it comes behind the constraint that it is about
            found[-1] = replace(found[-1], deferrable=max(found[-1].deferrable, _DEFERRING[said]))
    return tuple(found)


def constraint(node: Node, *, column: str = "") -> ConstraintSpec | None:
    """Return a Constraint, None for what is a property of its column (NOT NULL, DEFAULT, GENERATED)."""
    kind = _KINDS.get(constraint_kind(node))
    if kind is None:
        return None
    keys = node.fk_attrs if kind is ConstraintKind.FOREIGN_KEY else node.keys
    columns = tuple(strings(keys)) or ((column,) if column else ())
    if kind is ConstraintKind.CHECK and not columns:
        columns = names_in(node.raw_expr)
    if kind is ConstraintKind.EXCLUDE:
        columns = tuple(element.name for element in find(node, "IndexElem") if element.name)
    foreign = kind is ConstraintKind.FOREIGN_KEY
    return ConstraintSpec(
        name=node.conname,
        kind=kind,
        columns=columns,
        expression=expression(node.raw_expr) if kind is ConstraintKind.CHECK else "",
        validated=not node.skip_validation,
        referenced_table=relation(node.pktable) if foreign else "",
        referenced_columns=tuple(strings(node.pk_attrs)) if foreign else (),
        on_delete=_ACTIONS.get(node.fk_del_action, "") if foreign else "",
        using_index=node.indexname,
        deferrable=_deferrable(deferrable=node.deferrable, deferred=node.initdeferred),
    )


def _deferrable(*, deferrable: bool, deferred: bool) -> str:
    return "DEFERRABLE" * (deferrable or deferred) + " INITIALLY DEFERRED" * deferred


_DEFERRING = {
    "CONSTR_ATTR_DEFERRABLE": _deferrable(deferrable=True, deferred=False),
    "CONSTR_ATTR_DEFERRED": _deferrable(deferrable=True, deferred=True),
}
_KINDS = {
    "CONSTR_PRIMARY": ConstraintKind.PRIMARY_KEY,
    "CONSTR_UNIQUE": ConstraintKind.UNIQUE,
    "CONSTR_FOREIGN": ConstraintKind.FOREIGN_KEY,
    "CONSTR_CHECK": ConstraintKind.CHECK,
    "CONSTR_EXCLUSION": ConstraintKind.EXCLUDE,
}


def constraint_kind(node: Node) -> str:
    """Return the kind of a Constraint in the parser's words, '' for another node."""
    return str(library().pg_query_pb2.ConstrType.Name(node.contype)) if kind_of(node) == "Constraint" else ""


def index(node: Node) -> IndexSpec:
    """Return an IndexStmt's index."""
    elements = [unwrap(element) for element in node.index_params]
    return IndexSpec(
        name=node.idxname,
        columns=tuple(element.name or expression(element.expr) for element in elements),
        unique=bool(node.unique),
        where=expression(node.where_clause) if node.HasField("where_clause") else "",
        method=node.access_method,
    )


def partition_keys(node: Node) -> tuple[str, ...]:
    """Return what PARTITION BY of a CreateStmt names: columns, and expressions as their SQL."""
    elements = map(unwrap, node.partspec.part_params)
    return tuple(element.name or expression(element.expr) for element in elements)


def names_in(node: Node) -> tuple[str, ...]:
    """Return the names of the columns that an expression mentions, each once."""
    names = (strings(reference.fields)[-1:] for reference in find(node, "ColumnRef"))
    return tuple(dict.fromkeys(name for found in names for name in found))


def output(query: Node) -> tuple[str, ...]:
    """Return the names of a query's columns, () where one of them is not in its text: `*`, a name made up."""
    select = unwrap(query) if kind_of(query) == "Node" else query
    while kind_of(select) == "SelectStmt" and select.HasField("larg"):
        select = select.larg
    names = [target.name or _last(unwrap(target.val)) for target in map(unwrap, getattr(select, "target_list", ()))]
    return tuple(names) if all(names) else ()


_PLAIN = frozenset({"target_list", "from_clause", "sort_clause", "limit_option", "op"})


def handed_on(query: Node, aliases: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Return the columns that a view hands on as they are, as (shown, read): see CreateObject."""
    select = unwrap(query)
    if kind_of(select) != "SelectStmt" or {field.name for field, _ in select.ListFields()} - _PLAIN:
        return ()
    sources, targets = [*map(unwrap, select.from_clause)], [*map(unwrap, select.target_list)]
    read = [_reference(unwrap(target.val)) for target in targets]
    if [kind_of(source) for source in sources] != ["RangeVar"] or not all(read) or (aliases and "*" in read):
        return ()
    shown = [target.name or column for target, column in zip(targets, read, strict=True)]
    return tuple(zip([*aliases, *shown[len(aliases) :]], read, strict=True))


def _reference(node: Node) -> str:
    """Return the column that is referred to, `*` for all, '' for another expression."""
    every = kind_of(node) == "ColumnRef" and kind_of(unwrap(node.fields[-1])) == "A_Star"
    return "*" if every else _last(node)


def _last(node: Node) -> str:
    """Return the last name of a reference to a column, '' for `*` and for another expression."""
    last = unwrap(node.fields[-1]) if kind_of(node) == "ColumnRef" else None
    return str(last.sval) if last is not None and kind_of(last) == "String" else ""


def tables_in(nodes: Iterable[Node]) -> tuple[str, ...]:
    """Return the relations that are named inside, each once, without those that WITH defines."""
    listed = tuple(nodes)
    own = {table.ctename for node in listed for table in find(node, "CommonTableExpr")}
    names = (relation(found) for node in listed for found in find(node, "RangeVar"))
    return tuple(dict.fromkeys(name for name in names if name not in own))

"""The contract of the application's models, read from their metadata and mappers."""

from __future__ import annotations

import enum
import importlib
from types import ModuleType
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy import MetaData, Table
from sqlalchemy.exc import CompileError
from sqlalchemy.orm import RelationshipDirection, configure_mappers
from sqlalchemy.orm.mapper import _all_registries
from sqlalchemy.types import TypeDecorator, TypeEngine

from handrail.model.contract import (
    Contract,
    ContractColumn,
    ContractKey,
    ContractRelationship,
    ContractTable,
    ContractType,
    Family,
    Source,
)

if TYPE_CHECKING:
    from sqlalchemy import Column, Dialect, Index
    from sqlalchemy.orm import Mapper, RelationshipProperty

#: Widest first: a class is looked for among the bases in this order, so that the nearest kind wins.
_FAMILIES: tuple[tuple[type[Any], Family], ...] = (
    (sa.Enum, Family.ENUM),
    (sa.Interval, Family.INTERVAL),
    (sa.ARRAY, Family.ARRAY),
    (sa.JSON, Family.JSON),
    (sa.Uuid, Family.UUID),
    (sa.LargeBinary, Family.BINARY),
    (sa.types._Binary, Family.BINARY),  # noqa: SLF001 - what BINARY and BYTEA have in common
    (sa.Boolean, Family.BOOLEAN),
    (sa.Integer, Family.INTEGER),
    (sa.Float, Family.FLOAT),
    (sa.Numeric, Family.NUMERIC),
    (sa.DateTime, Family.DATETIME),
    (sa.Date, Family.DATE),
    (sa.Time, Family.TIME),
    (sa.String, Family.STRING),
)
#: Types of the PostgreSQL dialect that are String's or Enum's children in name only.
_NOT_TEXT = frozenset({"INET", "CIDR", "MACADDR", "TSVECTOR", "HSTORE", "CITEXT"})


def imported(spec: str) -> tuple[MetaData, ...]:
    """Return the metadata that `module:attribute` names: a MetaData, or what has one (Base, db), or several of them.

    Raises what the project's code raises; LookupError where there is no such thing.
    """
    name, _, path = spec.partition(":")
    found: Any = importlib.import_module(name)
    for part in filter(None, path.split(".")):
        if not hasattr(found, part):
            raise LookupError(f"{name} has no attribute {path!r}{_instead(found)}")
        found = getattr(found, part)
    given = found if isinstance(found, (list, tuple)) else (found,)
    metadata = tuple(m for m in (getattr(each, "metadata", each) for each in given) if isinstance(m, MetaData))
    if not metadata:
        kind = "a module" if isinstance(found, ModuleType) else f"of type {type(found).__name__}"
        raise LookupError(f"{spec} is {kind}, neither a MetaData nor something that has one{_instead(found)}")
    return metadata


def _instead(found: object) -> str:
    """Return what in a module has metadata, as the end of a message, '' where nothing has."""
    held = vars(found).items() if isinstance(found, ModuleType) else ()
    named = sorted(name for name, value in held if _has_metadata(value) and not hasattr(value, "__table__"))
    return f"; it has {', '.join(named)}" if named else ""


def _has_metadata(value: object) -> bool:
    return isinstance(getattr(value, "metadata", value), MetaData)


def contract(metadata: tuple[MetaData, ...], dialect: Dialect) -> Contract:
    """Return what the models of that metadata need. Configures the mappers: raises what theirs raise."""
    configure_mappers()
    mappers: dict[Table, list[Mapper[Any]]] = {}
    for registry in _all_registries():
        for mapper in registry.mappers:
            if isinstance(mapper.local_table, Table):
                mappers.setdefault(mapper.local_table, []).append(mapper)
    tables = [_table(table, mappers.get(table, []), dialect) for table in _tables(metadata, mappers)]
    return Contract(tables=tuple(sorted(tables, key=lambda t: t.full_name)), dialect=dialect.name)


def _tables(metadata: tuple[MetaData, ...], mappers: dict[Table, list[Mapper[Any]]]) -> list[Table]:
    """Return the tables of that metadata, and those that relationships lead to which are of another, such as views."""
    found = {table.fullname: table for each in metadata for table in each.tables.values()}
    unread = list(found.values())
    while unread:
        mapped = mappers.get(unread.pop(), [])
        for relationship in (r for mapper in mapped for r in mapper.relationships):
            for table in (relationship.mapper.local_table, relationship.secondary):
                if isinstance(table, Table) and table.fullname not in found:
                    found[table.fullname] = table
                    unread.append(table)
    return list(found.values())


def _table(table: Table, mappers: list[Mapper[Any]], dialect: Dialect) -> ContractTable:
    columns = [c for c in table.columns if not mappers or any(m.columns.contains_column(c) for m in mappers)]
    unique = [tuple(c.name for c in i.columns) for i in table.indexes if i.unique and i.columns and _whole(i)]
    unique += [tuple(c.name for c in u.columns) for u in table.constraints if isinstance(u, sa.UniqueConstraint)]
    counters = [m.version_id_col.name for m in mappers if m.version_id_col is not None]
    return ContractTable(
        name=table.name,
        schema=table.schema,
        columns=tuple(_column(column, mappers, dialect) for column in columns),
        primary_key=tuple(c.name for c in table.primary_key.columns)
        or tuple(c.name for c in (mappers[0].primary_key if mappers else ())),
        unique=tuple(sorted(set(unique))),
        foreign_keys=tuple(sorted((_key(key) for key in table.foreign_key_constraints), key=lambda k: k.columns)),
        relationships=tuple(r for m in mappers for r in _relationships(m)),
        version_counter=counters[0] if counters else "",
        mapped=bool(mappers),
    )


def _whole(index: Index) -> bool:
    """Whether the index holds for every row and for nothing but columns."""
    options = index.dialect_options
    partial = any(options[name].get("where") is not None for name in ("postgresql", "sqlite"))
    return not partial and all(isinstance(expression, sa.Column) for expression in index.expressions)


def _relationships(mapper: Mapper[Any]) -> list[ContractRelationship]:
    return [
        ContractRelationship(
            name=f"{mapper.class_.__name__}.{r.key}",
            table=str(getattr(r.target, "fullname", "")),
            foreign=_children(r),
            cascade=tuple(sorted(r.cascade)),
            passive_deletes=bool(r.passive_deletes),
        )
        for r in sorted(mapper.relationships, key=lambda r: r.key)
        if r.parent is mapper and not r.viewonly
    ]


def _children(relationship: RelationshipProperty[Any]) -> tuple[str, ...]:
    """Return the columns of the children of a one-to-many relationship, () for any other."""
    if relationship.direction is not RelationshipDirection.ONETOMANY:
        return ()
    return tuple(remote.name for _, remote in relationship.synchronize_pairs)


def _key(key: sa.ForeignKeyConstraint) -> ContractKey:
    schema, table, names = None, "", []
    for element in key.elements:
        *owner, name = element.target_fullname.split(".")
        names.append(name)
        table, schema = owner[-1], ".".join(owner[:-1]) or None
    return ContractKey(
        columns=tuple(c.name for c in key.columns),
        table=table,
        schema=schema,
        referenced=tuple(names),
        on_delete=(key.ondelete or "").upper(),
    )


def _column(column: Column[Any], mappers: list[Mapper[Any]], dialect: Dialect) -> ContractColumn:
    constant = next((_identity(m, column) for m in mappers if _identity(m, column) is not None), None)
    counted = any(m.version_id_col is column for m in mappers)
    default = column.server_default
    return ContractColumn(
        name=column.name,
        type=_type(column.type, dialect),
        nullable=bool(column.nullable),
        given_by=Source.MAPPER if counted or constant is not None else _source(column),
        server_default=_text(default, dialect) if isinstance(default, sa.DefaultClause) else None,
        python_default=_plain(column.default),
        constant=constant,
        identities=tuple(sorted({str(each) for m in mappers for each in _identities(m, column)} - {constant})),
        deferred=any(p.deferred for m in mappers if (p := _property(m, column)) is not None),
        left_out=bool(mappers) and column.type.should_evaluate_none,
    )


def _plain(default: object) -> str | int | float | bool | None:
    value = default.arg if isinstance(default, sa.ColumnDefault) and default.is_scalar else None
    return value if isinstance(value, (str, int, float, bool)) and not isinstance(value, enum.Enum) else None


def _identity(mapper: Mapper[Any], column: Column[Any]) -> str | None:
    if mapper.polymorphic_on is not column or mapper.polymorphic_identity is None:
        return None
    return str(mapper.polymorphic_identity)


def _identities(mapper: Mapper[Any], column: Column[Any]) -> list[object]:
    """Return the names of the mapper's subclasses, where that column holds them."""
    if mapper.polymorphic_on is not column:
        return []
    return [m.polymorphic_identity for m in mapper.self_and_descendants if m.polymorphic_identity is not None]


def _property(mapper: Mapper[Any], column: Column[Any]) -> Any:
    return mapper._columntoproperty.get(column)  # noqa: SLF001 - get_property_by_column() raises for others' columns


def _source(column: Column[Any]) -> Source:
    if column.computed is not None or (column.identity is not None and column.identity.always):
        return Source.GENERATED
    if column.default is not None:
        return Source.MAPPER
    if column.server_default is not None or column.table._autoincrement_column is column:  # noqa: SLF001 - its decision
        return Source.SERVER
    return Source.NOTHING


def _text(default: sa.DefaultClause, dialect: Dialect) -> str:
    if isinstance(default.arg, str):
        return f"'{default.arg}'"
    return str(default.arg.compile(dialect=dialect, compile_kwargs={"literal_binds": True}))


def _type(kind: TypeEngine[Any], dialect: Dialect) -> ContractType:
    actual: Any = kind
    while isinstance(actual, TypeDecorator) and not isinstance(actual, sa.Interval):  # native where an engine has one
        decorated, actual = actual, actual.load_dialect_impl(dialect)
        if actual is decorated:
            break
    variant = actual._variant_mapping.get(dialect.name) if hasattr(actual, "_variant_mapping") else None  # noqa: SLF001 - what with_variant() made
    actual = variant if variant is not None else actual
    family = _family(actual)
    enum = family is Family.ENUM
    return ContractType(
        family=family,
        ddl=_ddl(kind, dialect),
        name=_class(actual),
        size=_bits(actual) if family is Family.INTEGER else getattr(actual, "length", None),
        precision=getattr(actual, "precision", None) if family is Family.NUMERIC else None,
        scale=getattr(actual, "scale", None) if family is Family.NUMERIC else None,
        timezone=bool(getattr(actual, "timezone", False)),
        values=tuple(actual.enums) if enum else (),
        type_name=(actual.name or "") if enum else "",
        type_schema=actual.schema if enum else None,
        native=bool(getattr(actual, "native_enum", True)),
        item=_type(actual.item_type, dialect) if family is Family.ARRAY else None,
        null_is_value=family is Family.JSON and not getattr(actual, "none_as_null", False),
    )


def _family(kind: TypeEngine[Any]) -> Family:
    if type(kind).__name__.upper() in _NOT_TEXT:
        return Family.OTHER
    return next((family for base, family in _FAMILIES if isinstance(kind, base)), Family.OTHER)


def _class(kind: TypeEngine[Any]) -> str:
    names = {c.__name__ for c in type(kind).__mro__}
    return next((n for n in ("JSONB", "Text") if n in names), type(kind).__name__)


def _bits(kind: TypeEngine[Any]) -> int:
    return 16 if isinstance(kind, sa.SmallInteger) else 64 if isinstance(kind, sa.BigInteger) else 32


def _ddl(kind: TypeEngine[Any], dialect: Dialect) -> str:
    try:
        return kind.compile(dialect=dialect)
    except (CompileError, NotImplementedError):  # a type of another dialect, or one without DDL
        return type(kind).__name__

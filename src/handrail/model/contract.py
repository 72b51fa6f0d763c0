"""What one version of the application reads and writes, as a value that needs none of its code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

#: The number of the JSON that contracts are stored as; another one is not read.
SCHEMA = 1


class Family(Enum):
    """What kind of values a column takes."""

    INTEGER = "integer"
    NUMERIC = "numeric"
    FLOAT = "float"
    STRING = "string"
    BOOLEAN = "boolean"
    DATE = "date"
    DATETIME = "datetime"
    TIME = "time"
    INTERVAL = "interval"
    BINARY = "binary"
    UUID = "uuid"
    JSON = "json"
    ENUM = "enum"
    ARRAY = "array"
    OTHER = "other"


class Source(Enum):
    """Where the value of a column comes from when the application gives none.

    NOTHING: it has to give one, or sends NULL. MAPPER: the mapper sends one (a Python default, a version counter, the
    name of a subclass). SERVER: nothing is sent (a server default, an identity, a serial key). GENERATED: it can never
    be written.
    """

    NOTHING = "nothing"
    MAPPER = "mapper"
    SERVER = "server"
    GENERATED = "generated"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractType:
    """The type of a column: `ddl` is its SQL, `name` the class it is bound by, with what it was made of.

    `values` are an enum's, `size` a string's longest value, or the bits of an integer; `item` is an array's own type.
    `null_is_value` is whether None is sent as JSON's null, which is a value to the server, instead of NULL.
    """

    family: Family
    ddl: str
    name: str = ""
    size: int | None = None
    precision: int | None = None
    scale: int | None = None
    timezone: bool = False
    values: tuple[str, ...] = ()
    type_name: str = ""
    type_schema: str | None = None
    native: bool = True
    item: ContractType | None = None
    null_is_value: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractColumn:
    """One column that the version maps.

    `server_default` is the SQL of the default that it relies on, `python_default` the plain value that its mapper sends
    where the application gives none. `constant` is the value that its mapper always sends, the name of a class,
    `identities` are those of its subclasses. One that is `left_out` its mapper does not even send NULL for.
    """

    name: str
    type: ContractType
    nullable: bool
    given_by: Source = Source.NOTHING
    server_default: str | None = None
    python_default: str | int | float | bool | None = None
    constant: str | None = None
    identities: tuple[str, ...] = ()
    deferred: bool = False
    left_out: bool = False

    @property
    def writable(self) -> bool:
        """Whether the application may send a value."""
        return self.given_by is not Source.GENERATED


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractKey:
    """A foreign key that the version knows. `on_delete` is in upper case, '' where it names none."""

    columns: tuple[str, ...]
    table: str
    schema: str | None = None
    referenced: tuple[str, ...] = ()
    on_delete: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractRelationship:
    """A relationship() of the mapper, with what it does when its parent is deleted.

    `foreign` are the columns of `table` that name the parent, () where it is the other way round or by a third table.
    """

    name: str
    table: str
    foreign: tuple[str, ...] = ()
    cascade: tuple[str, ...] = ()
    passive_deletes: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ContractTable:
    """One table or view as the version maps it. `mapped` is False where only Core knows it.

    `unique` are the sets of columns that it knows to be unique, the primary key aside. `version_counter` is the column
    that an UPDATE counts up, '' for none.
    """

    name: str
    schema: str | None = None
    columns: tuple[ContractColumn, ...] = ()
    primary_key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    foreign_keys: tuple[ContractKey, ...] = ()
    relationships: tuple[ContractRelationship, ...] = ()
    version_counter: str = ""
    mapped: bool = True

    @property
    def full_name(self) -> str:
        """The name, qualified by the schema where the models give one."""
        return f"{self.schema}.{self.name}" if self.schema else self.name

    def column(self, name: str) -> ContractColumn | None:
        """Return the column of that name, None where there is none."""
        return next((column for column in self.columns if column.name == name), None)

    def mapped_of(self, columns: tuple[str, ...]) -> tuple[str, ...]:
        """Return those of the columns that the version maps: what it knows of a key that others have joined."""
        return tuple(name for name in columns if self.column(name) is not None)

    def minimal(self) -> tuple[ContractColumn, ...]:
        """Return the columns of an INSERT when only the required attributes are set.

        A mapper sends NULL for what has no default and no value, but for JSON (`Mapper._insert_cols_as_none`); Core
        leaves it out.
        """
        sent = (Source.NOTHING, Source.MAPPER)
        return tuple(c for c in self.columns if c.given_by in sent and not self._left_out(c))

    def _left_out(self, column: ContractColumn) -> bool:
        empty = column.nullable and column.given_by is Source.NOTHING
        return empty and (column.left_out or not self.mapped)


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """Everything one version needs of the database; `schema` is the number of this format."""

    tables: tuple[ContractTable, ...]
    dialect: str
    schema: int = SCHEMA

    def table(self, name: str) -> ContractTable | None:
        """Return the table of that full name, None where there is none."""
        return next((table for table in self.tables if table.full_name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class AppVersion:
    """A version of the application: its contract, and the rows of the version table that it was written for.

    `digest` is the contract's, `owner` who answers for its deployments. Times are RFC 3339 in UTC: `registered_at` that
    of the first time, `retired_at` '' while the version is deployed.
    """

    name: str
    contract: Contract
    revisions: tuple[str, ...]
    digest: str
    registered_at: str
    ref: str = ""
    models: str = ""
    retired_at: str = ""
    owner: str = ""

    @property
    def deployed(self) -> bool:
        """Whether it may still be running somewhere."""
        return not self.retired_at


def differences(old: Contract, new: Contract) -> tuple[str, ...]:
    """Return one line for each thing that one contract needs and the other does not."""
    lines: list[str] = []
    for table in old.tables:
        other = new.table(table.full_name)
        if other is None:
            lines.append(f"- table {table.full_name}")
            continue
        lines += _of_tables(table, other)
    lines += [f"+ table {table.full_name}" for table in new.tables if old.table(table.full_name) is None]
    return tuple(lines)


def _of_tables(old: ContractTable, new: ContractTable) -> list[str]:
    where = old.full_name
    lines = [f"- column {where}.{c.name} {c.type.ddl}" for c in old.columns if new.column(c.name) is None]
    for column in new.columns:
        before = old.column(column.name)
        if before is None:
            lines.append(f"+ column {where}.{column.name} {column.type.ddl}")
        elif before != column:
            pairs = zip(_told(before), _told(column), strict=True)
            changed = [f"{was or 'nothing'} -> {now or 'nothing'}" for was, now in pairs if was != now]
            lines.append(f"~ column {where}.{column.name}: {', '.join(changed) or 'what its mapper sends'}")
    ours, theirs = _kept(old), _kept(new)
    lines += [f"- {line}" for line in sorted(ours - theirs)]
    lines += [f"+ {line}" for line in sorted(theirs - ours)]
    return lines


def _kept(table: ContractTable) -> set[str]:
    """Return what a version knows of a table beside its columns, in words."""
    where = table.full_name
    lines = {f"primary key {where} ({', '.join(table.primary_key)})"}
    lines |= {f"unique {where} ({', '.join(key)})" for key in table.unique}
    for key in table.foreign_keys:
        parent = f"{key.schema}.{key.table}" if key.schema else key.table
        deletes = f" ON DELETE {key.on_delete}" if key.on_delete else ""
        lines.add(f"foreign key {where} ({', '.join(key.columns)}) -> {parent} ({', '.join(key.referenced)}){deletes}")
    for each in table.relationships:
        how = ", ".join([*each.cascade, *(["passive deletes"] if each.passive_deletes else [])])
        by = f" by {', '.join(each.foreign)}" if each.foreign else ""
        lines.add(f"relationship {where}.{each.name} -> {each.table}{by} ({how})")
    if table.version_counter:
        lines.add(f"version counter {where}.{table.version_counter}")
    return lines | ({f"mapper of {where}"} if table.mapped else set())


def _told(column: ContractColumn) -> tuple[str, ...]:
    """Return what a version knows of a column, each thing in its place, '' for none."""
    return (
        column.type.ddl,
        "NULL" if column.nullable else "NOT NULL",
        f"values {', '.join(column.type.values)}" if column.type.values else "",
        f"DEFAULT {column.server_default}" if column.server_default is not None else "",
        f"value from {column.given_by.value}",
        f"Python default {column.python_default!r}" if column.python_default is not None else "",
        f"always {column.constant}" if column.constant is not None else "",
        "deferred" if column.deferred else "",
        "left out where it is not set" if column.left_out else "",
    )

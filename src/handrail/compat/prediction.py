"""What becomes of a version at a revision, from its contract and the schema alone: nothing is executed.

It may say that it cannot tell. It never says that something works which fails: whatever it does not fully know
(triggers, views, types of users, keys of expressions, CHECKs that are more than a list or a range) is unknown to it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from handrail.compat.children import Children, seen_to
from handrail.compat.conditions import condition, mentioned, names_of, passes_by_default, satisfiable
from handrail.compat.home import UNIQUE, Home
from handrail.compat.known_schema import KnownSchema
from handrail.model.contract import ContractColumn, ContractTable, ContractType, Family, Source
from handrail.model.matrix import Result, Trial
from handrail.model.replayed_table import ReplayedTable
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec, ConstraintSpec

#: A result, the column it is about, and why.
Foreseen = tuple[Result, str, str]
_DEEPEST = 8
_SPELLED = {
    "varchar": "character varying",
    "char": "character",
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "bool": "boolean",
    "decimal": "numeric",
    "float": "double precision",
    "float8": "double precision",
    "float(53)": "double precision",
    "timestamptz": "timestamp with time zone",
    "timestamp": "timestamp without time zone",
    "datetime": "timestamp without time zone",
    "time": "time without time zone",
    "serial": "integer",
    "bigserial": "bigint",
    "smallserial": "smallint",
}
_SIZED = re.compile(r"^([a-z][a-z ]*?)\s*(?:\(\s*(\d+)\s*(?:,\s*(\d+)\s*)?\))?$")
_BITS = {"smallint": 16, "integer": 32, "bigint": 64}
#: Types whose values a planted row can always have.
_ORDINARY = frozenset(
    {*_BITS, *_SPELLED.values(), "text", "uuid", "date", "json", "jsonb", "bytea", "interval", "real", "blob"}
)
#: Types that have no class of their own in a contract, of which every value fits.
_WRITTEN = frozenset(
    {"inet", "cidr", "macaddr", "int4range", "int8range", "numrange", "daterange", "tsrange", "tstzrange", "tsvector"}
)
#: What is never the name of an enum's value.
_NO_TEXT = frozenset({Family.INTEGER, Family.NUMERIC, Family.FLOAT, Family.BOOLEAN, Family.BINARY})
#: Base types that no value of that family goes into, whatever it is.
_REFUSING: Mapping[Family, frozenset[str]] = {
    Family.INTEGER: frozenset({"boolean", "uuid", "date", "timestamp without time zone", "jsonb", "bytea"}),
    Family.STRING: frozenset({"integer", "bigint", "smallint", "boolean", "uuid", "numeric", "jsonb", "bytea", "date"}),
    Family.ENUM: frozenset({*_BITS, "boolean", "uuid", "date", "numeric", "jsonb"}),
    Family.BOOLEAN: frozenset({"integer", "bigint", "smallint", "uuid", "date", "numeric"}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """One table of a contract on one schema.

    `home` is what the version is used to, `children` are the foreign keys whose rows it sees to, `mapped` the tables of
    its contract.
    """

    table: ContractTable
    name: str
    schema: KnownSchema
    home: Home
    children: Children = frozenset()
    mapped: Mapping[str, ContractTable] = field(default_factory=dict)

    def trials(self) -> tuple[Trial, ...]:
        """Return what will not work, or cannot be told, as if it had been tried; () where everything works."""
        live = self.schema.tables.get(self.name)
        if live is None:
            gone = self.schema.certain and self.name not in self.schema.views
            return (self._trial((Result.READ_FAILS if gone else Result.UNKNOWN, "", "no such table is known")),)
        if not self.schema.certain or not live.complete:
            return (self._trial((Result.UNKNOWN, "", "not all that the revisions do is known")),)
        missing = [column.name for column in self.table.columns if live.column(column.name) is None]
        if missing:
            return tuple(self._trial((Result.READ_FAILS, name, "there is no such column")) for name in missing)
        if self.name in self.schema.guarded:
            return (self._trial((Result.UNKNOWN, "", "a trigger, rule, policy or partition has a say")),)
        found = [*self._columns(live), *self._left_out(live), *self._keys(live), *self._checks(live)]
        found += [*self._parents(live), *self._children(live)]
        bad = [each for each in found if each[0] is not Result.WORKS]
        broken = [each for each in bad if each[0].broken]
        return tuple(dict.fromkeys(self._trial(each) for each in broken or bad))

    def _trial(self, found: Foreseen) -> Trial:
        result, column, why = found
        return Trial(result=result, table=self.name, column=column, message=f"predicted: {why}")

    def _columns(self, live: ReplayedTable) -> Iterator[Foreseen]:
        sent = {column.name for column in self.table.minimal()}
        for column in self.table.columns:
            spec = live.column(column.name)
            assert spec is not None
            yield self._type(column, spec), column.name, f"its type is {spec.type}, the version's {column.type.ddl}"
            itself = self.schema.self_numbering and live.primary_key == (column.name,)
            if not (itself and column.given_by is Source.SERVER):
                yield _nullability(column, spec, sent=column.name in sent), column.name, "whether it may be left empty"

    def _type(self, column: ContractColumn, spec: ColumnSpec) -> Result:
        if spec.type is UNKNOWN:
            return Result.UNKNOWN
        if spec.generated and column.writable:
            return Result.WRITE_FAILS
        text = str(spec.type)
        values = self._enum(text)
        if values is not None:
            if column.type.family in _NO_TEXT:
                return Result.WRITE_FAILS
            if column.type.family is not Family.ENUM or not column.type.native:
                return Result.UNKNOWN
            return Result.WORKS if set(column.type.values) <= set(values) else Result.WRITE_FAILS
        return _fits(column.type, text)

    def _enum(self, text: str) -> tuple[str, ...] | None:
        name = text.replace('"', "")
        return next((v for k, v in self.schema.enums.items() if k == name or k == name.rpartition(".")[2]), None)

    def _left_out(self, live: ReplayedTable) -> Iterator[Foreseen]:
        """Yield what becomes of INSERTs that say nothing of columns the version does not map."""
        mapped = {column.name for column in self.table.columns}
        for spec in live.columns:
            if spec.name in mapped or spec.generated or spec.identity:
                continue
            if spec.default is UNKNOWN or spec.nullable is UNKNOWN:
                yield Result.UNKNOWN, spec.name, "whether it has a default is not known"
            elif spec.default is None and not spec.nullable:
                yield Result.WRITE_FAILS, spec.name, "it is NOT NULL, has no default, and the version does not know it"
            elif spec.default is not None and any(spec.name in key.columns for key in live.foreign_keys):
                yield Result.UNKNOWN, spec.name, "whether the row that its default names is there"

    def _keys(self, live: ReplayedTable) -> Iterator[Foreseen]:
        keys = [(c.columns, "") for c in live.constraints if c.kind in UNIQUE]
        keys += [((*i.columns, i.where) if i.where else i.columns, i.where) for i in live.indexes if i.unique]
        names = {column.name for column in self.table.columns}
        for columns, where in keys:
            if any(known and set(known) <= set(columns) for known in self.home.keys):
                continue
            if where or not columns or not set(columns) <= names:
                yield Result.UNKNOWN, "", "a key under a condition, or of other columns"
            else:
                yield Result.WRITE_FAILS, columns[0], f"({', '.join(columns)}) has become unique"

    def _checks(self, live: ReplayedTable) -> Iterator[Foreseen]:
        for each in live.constraints:
            if each.kind is ConstraintKind.EXCLUDE or (
                each.kind is ConstraintKind.CHECK and not self._passed(str(each.expression), live)
            ):
                yield Result.UNKNOWN, "", "a CHECK has a say"

    def _passed(self, check: str, live: ReplayedTable) -> bool:
        """Whether rows of the version pass a CHECK for certain."""
        names = names_of(live)
        mine = {column.name for column in self.table.columns}
        asked = condition(check, names)
        if check in self.home.checks and (asked.column in mine if asked else mentioned(check, names) <= mine):
            return True
        if asked is None or asked.values is None:
            return False
        if asked.column not in mine:
            return passes_by_default(live.column(asked.column), asked)
        used_to = (condition(known, names) for known in self.home.checks)
        if any(k and k.column == asked.column and k.values and k.values <= asked.values for k in used_to):
            return True
        kind = next(column.type for column in self.table.columns if column.name == asked.column)
        return kind.family is Family.ENUM and bool(kind.values) and asked.values.issuperset(kind.values)

    def _parents(self, live: ReplayedTable) -> Iterator[Foreseen]:
        names = {column.name for column in self.table.columns}
        counted = {c.name for c in self.table.columns if c.given_by is Source.SERVER and c.server_default is None}
        for key in live.foreign_keys:
            if not set(key.columns) <= names:
                continue
            if counted.intersection(key.columns):
                yield Result.UNKNOWN, key.columns[0], "whether the row that the server counts up to is there"
                continue
            believed = next((k for k in self.table.foreign_keys if k.columns == key.columns), None)
            parent = self.schema.tables.get(key.referenced_table)
            if key.referenced_table not in self.mapped and self.table.mapped_of(key.columns) not in self.home.parents:
                yield Result.WRITE_FAILS, key.columns[0], f"it has to name a row of {key.referenced_table}"
            elif believed is not None and believed.table != key.referenced_table.rpartition(".")[2]:
                yield Result.UNKNOWN, key.columns[0], f"it names {key.referenced_table} by now"
            elif key.referenced_table == self.name or parent is None or not self._plantable(parent, _DEEPEST):
                yield Result.UNKNOWN, key.columns[0], f"whether {key.referenced_table} has such a row"

    def _children(self, live: ReplayedTable) -> Iterator[Foreseen]:
        if not self.table.primary_key:
            return
        for child, key in self.schema.children.get(self.name, ()):
            if not seen_to(child.name, key.columns, self.mapped, self.children):
                named = f"{child.name} ({', '.join(key.columns)}) names its rows"
                yield self._deletion(live, child, key), "", named

    def _deletion(self, live: ReplayedTable, child: ReplayedTable, key: ConstraintSpec) -> Result:
        if child is live or not child.complete or not self._plantable(child, _DEEPEST):
            return Result.UNKNOWN
        match key.on_delete:
            case "CASCADE":
                return Result.WORKS
            case "SET NULL":
                columns = [child.column(name) for name in key.columns]
                return Result.WORKS if all(c is not None and c.nullable is True for c in columns) else Result.UNKNOWN
            case "" | "NO ACTION" | "RESTRICT":
                return Result.DELETE_FAILS
            case _:
                return Result.UNKNOWN

    def _plantable(self, table: ReplayedTable, deepest: int) -> bool:
        """Whether a row of that table can be made for certain: ordinary types, no conditions, and parents alike."""
        if deepest == 0 or not table.complete or table.name in self.schema.guarded:
            return False
        if any(i.unique and i.where for i in table.indexes) or not satisfiable(table):
            return False
        needed = {c.name for c in table.columns if _asked_for(c)}
        if not all(_ordinary(c, self._enum(str(c.type))) for c in table.columns if c.name in needed):
            return False
        named = {name for key in table.foreign_keys for name in key.columns}
        if any(c.name in named and c.name not in needed and not _empty(c) for c in table.columns):
            return False  # a default that has to name a row
        parents = [key for key in table.foreign_keys if needed.intersection(key.columns)]
        found = [self.schema.tables.get(key.referenced_table) for key in parents]
        return all(parent is not None and self._plantable(parent, deepest - 1) for parent in found)


def _asked_for(column: ColumnSpec) -> bool:
    return not (column.nullable is True or isinstance(column.default, str) or column.identity or column.generated)


def _empty(column: ColumnSpec) -> bool:
    """Whether a row that says nothing of the column has NULL there."""
    return column.nullable is True and column.default is None


def _ordinary(column: ColumnSpec, enum: tuple[str, ...] | None) -> bool:
    return column.type is not UNKNOWN and (bool(enum) or _parsed(str(column.type))[0] in _ORDINARY)


def _nullability(column: ContractColumn, spec: ColumnSpec, *, sent: bool) -> Result:
    """Return what becomes of an INSERT that sends NULL, or nothing where the server fills the column."""
    if spec.nullable is UNKNOWN:
        return Result.UNKNOWN
    filled = isinstance(spec.default, str) or bool(spec.identity)
    if spec.identity == "always" and column.given_by is not Source.SERVER and column.writable:
        return Result.WRITE_FAILS
    unset = column.nullable and column.given_by is Source.NOTHING
    if spec.nullable or (sent and (column.type.null_is_value or not unset)):
        return Result.WORKS
    if unset and column.left_out:
        return Result.UNKNOWN if spec.default is UNKNOWN else Result.WORKS if filled else Result.MINIMAL_INSERT_FAILS
    if column.given_by is Source.SERVER:
        if spec.default is UNKNOWN:
            return Result.UNKNOWN
        serial = column.server_default is None
        return Result.WORKS if filled else Result.UNKNOWN if serial else Result.MINIMAL_INSERT_FAILS
    if not column.writable:
        return Result.WORKS if spec.generated else Result.UNKNOWN
    return Result.MINIMAL_INSERT_FAILS if sent else Result.UNKNOWN


def _fits(kind: ContractType, text: str) -> Result:  # noqa: PLR0911 - one line for each family
    """Return whether every value of the contract's type goes into a column of that type."""
    if kind.family is Family.ARRAY and kind.item is not None and text.endswith("[]"):
        return Result.WORKS if _fits(kind.item, text.removesuffix("[]")) is Result.WORKS else Result.UNKNOWN
    if kind.family is Family.OTHER and kind.ddl.lower() == text.lower() in _WRITTEN:
        return Result.WORKS
    base, size, scale = _parsed(text)
    wanted, wanted_size, wanted_scale = _parsed(kind.ddl)
    if base in _REFUSING.get(kind.family, ()):
        return Result.WRITE_FAILS
    if kind.family is Family.ENUM or not base or not wanted or kind.family is Family.OTHER:
        return Result.UNKNOWN
    if kind.family is Family.INTEGER and base in _BITS and wanted in _BITS:
        return Result.WORKS if _BITS[base] >= _BITS[wanted] else Result.WRITE_FAILS
    if kind.family is Family.STRING and base in {"text", "character varying"}:
        if base == "text" or size is None:
            return Result.WORKS
        return Result.WORKS if wanted_size is not None and wanted_size <= size else Result.WRITE_FAILS
    if kind.family is Family.NUMERIC and base == wanted == "numeric" and size is not None and wanted_size is not None:
        room, asked = size - (scale or 0), wanted_size - (wanted_scale or 0)
        return Result.WORKS if room >= asked else Result.WRITE_FAILS
    return Result.WORKS if (base, size, scale) == (wanted, wanted_size, wanted_scale) else Result.UNKNOWN


def _parsed(text: str) -> tuple[str, int | None, int | None]:
    """Return a type's base in the server's words, its size and scale; ('', ...) for one that is not read."""
    lower = " ".join(text.lower().split())
    lower = _SPELLED.get(lower, lower)
    found = _SIZED.match(lower)
    if found is None:
        return "", None, None
    base = _SPELLED.get(found[1], found[1])
    return base, int(found[2]) if found[2] else None, int(found[3]) if found[3] else None

"""A database's schema as a value, and the difference between two."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from enum import Enum

#: What an index only carries along.
CARRIED = re.compile(r"\bINCLUDE \(([^)]*)\)", re.IGNORECASE)
#: 64 bits are there against accidents, of which a schema has at most some ten thousand.
_DIGEST_DIGITS = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column. `type` and `default` are the server's own text; `generated` is its expression or ''."""

    name: str
    type: str
    nullable: bool
    default: str | None = None
    identity: str = ""
    generated: str = ""
    collation: str = ""
    position: int = 0


class ConstraintKind(Enum):
    """The kinds of constraints both engines know."""

    PRIMARY_KEY = "primary key"
    UNIQUE = "unique constraint"
    FOREIGN_KEY = "foreign key"
    CHECK = "check constraint"
    EXCLUDE = "exclusion constraint"


@dataclass(frozen=True, slots=True, kw_only=True)
class Constraint:
    """One constraint. `name` is '' where the engine keeps none; `definition` is the server's own text."""

    name: str
    kind: ConstraintKind
    definition: str
    columns: tuple[str, ...] = ()
    validated: bool = True
    referenced_table: str = ""
    referenced_columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Index:
    """One index, also where it backs a constraint. An invalid one is the leftover of a failed CONCURRENTLY."""

    name: str
    definition: str
    unique: bool = False
    valid: bool = True
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """One table. `name` is qualified by its schema unless that is the engine's default one.

    `options` holds everything else the server keeps about it (persistence, row security, privileges ...), as
    (name, text).
    """

    name: str
    columns: tuple[Column, ...]
    constraints: tuple[Constraint, ...] = ()
    indexes: tuple[Index, ...] = ()
    options: tuple[tuple[str, str], ...] = ()

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key, () where there is none."""
        return next((c.columns for c in self.constraints if c.kind is ConstraintKind.PRIMARY_KEY), ())


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaObject:
    """Anything that is not a table: view, sequence, enum, domain, function, trigger, policy, extension ..."""

    kind: str
    name: str
    definition: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """The whole schema of one database at one moment, without Handrail's own tables and Alembic's version table."""

    engine: str
    server_major: int
    tables: tuple[Table, ...]
    objects: tuple[SchemaObject, ...] = ()

    def table(self, name: str) -> Table | None:
        """Return the table of that name, None where there is none."""
        return next((t for t in self.tables if t.name == name), None)


class Change(Enum):
    """How the found schema differs from the expected one."""

    MISSING = "missing"
    UNEXPECTED = "unexpected"
    DIFFERENT = "different"


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """One difference: `kind` and `name` say where (`column`, `users.email`), `aspect` which property differs."""

    change: Change
    kind: str
    name: str
    aspect: str = ""
    expected: str = ""
    found: str = ""

    def describe(self) -> str:
        """One line, e.g. `column users.email: type is integer, expected character varying(255)`."""
        if self.change is Change.MISSING:
            return f"{self.kind} {self.name} is missing" + (f" ({self.expected})" if self.expected else "")
        if self.change is Change.UNEXPECTED:
            return f"{self.kind} {self.name} is not expected" + (f" ({self.found})" if self.found else "")
        return f"{self.kind} {self.name}: {self.aspect} is {self.found or 'none'}, expected {self.expected or 'none'}"


def diff(expected: Snapshot, found: Snapshot, *, strict: bool = False) -> tuple[Difference, ...]:
    """Return every difference between two snapshots, in the order of the expected one.

    Column order counts only when `strict`.
    """
    ours, theirs = {t.name: t for t in expected.tables}, {t.name: t for t in found.tables}
    result: list[Difference] = []
    for name, table in ours.items():
        other = theirs.get(name)
        if other is None:
            result.append(Difference(change=Change.MISSING, kind="table", name=name))
        elif other != table:
            result.extend(_diff_tables(table, other, strict=strict))
    result.extend(Difference(change=Change.UNEXPECTED, kind="table", name=name) for name in theirs if name not in ours)
    result.extend(
        _diff_named(
            {(o.kind, o.name): o.definition for o in expected.objects},
            {(o.kind, o.name): o.definition for o in found.objects},
        )
    )
    return tuple(result)


def parts(snapshot: Snapshot) -> tuple[tuple[str, str], ...]:
    """Return everything in the schema by its name, each with a digest of what it is; column order does not count."""
    return tuple((name, hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]) for name, text in _parts(snapshot))


def _parts(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    for table in snapshot.tables:
        yield f"table {table.name}", ""
        pieces: tuple[Column | Constraint | Index, ...] = (*table.columns, *table.constraints, *table.indexes)
        for part in pieces:
            what = part.kind.value if isinstance(part, Constraint) else type(part).__name__.lower()
            text = [_text(getattr(part, field.name)) for field in fields(part) if field.name != "position"]
            yield f"{what} {table.name}.{_key(part)}", "\0".join(text)
        yield from ((f"table {table.name} {name}", text) for name, text in table.options)
    yield from ((f"{item.kind} {item.name}", item.definition) for item in snapshot.objects)


def apart(before: Iterable[tuple[str, str]], after: Iterable[tuple[str, str]]) -> Iterator[str]:
    """Yield what of the `parts` of a schema is missing, another one or new in a copy made `after`."""
    found = dict(after)
    for name, digest in before:
        there = found.pop(name, None)
        if there is None:
            yield f"{name} is missing"
        elif there != digest:
            yield f"{name} is another one"
    yield from (f"{name} was not there" for name in found)


def _diff_tables(expected: Table, found: Table, *, strict: bool) -> Iterator[Difference]:
    ignored = frozenset() if strict else frozenset({"position"})
    yield from _diff_parts("column", expected.name, expected.columns, found.columns, ignored)
    yield from _diff_constraints(expected, found)
    yield from _diff_parts("index", expected.name, expected.indexes, found.indexes, frozenset())
    yield from _diff_named(
        {("table", f"{expected.name} {name}"): text for name, text in expected.options},
        {("table", f"{found.name} {name}"): text for name, text in found.options},
    )


def _diff_constraints(expected: Table, found: Table) -> Iterator[Difference]:
    for kind in ConstraintKind:
        yield from _diff_parts(
            kind.value,
            expected.name,
            tuple(c for c in expected.constraints if c.kind is kind),
            tuple(c for c in found.constraints if c.kind is kind),
            frozenset({"kind"}),
        )


def _diff_parts(
    kind: str,
    table: str,
    expected: tuple[Column, ...] | tuple[Constraint, ...] | tuple[Index, ...],
    found: tuple[Column, ...] | tuple[Constraint, ...] | tuple[Index, ...],
    ignored: frozenset[str],
) -> Iterator[Difference]:
    ours = {_key(part): part for part in expected}
    theirs = {_key(part): part for part in found}
    for key, part in ours.items():
        name = f"{table}.{key}"
        other = theirs.get(key)
        if other is None:
            yield Difference(change=Change.MISSING, kind=kind, name=name, expected=_summary(part))
            continue
        for field in fields(part):
            a, b = getattr(part, field.name), getattr(other, field.name)
            if a != b and field.name not in ignored:
                yield Difference(
                    change=Change.DIFFERENT, kind=kind, name=name, aspect=field.name, expected=_text(a), found=_text(b)
                )
    for key, part in theirs.items():
        if key not in ours:
            yield Difference(change=Change.UNEXPECTED, kind=kind, name=f"{table}.{key}", found=_summary(part))


def _diff_named(expected: dict[tuple[str, str], str], found: dict[tuple[str, str], str]) -> Iterator[Difference]:
    for (kind, name), text in expected.items():
        other = found.get((kind, name))
        if other is None:
            yield Difference(change=Change.MISSING, kind=kind, name=name, expected=text)
        elif other != text:
            yield Difference(
                change=Change.DIFFERENT, kind=kind, name=name, aspect="definition", expected=text, found=other
            )
    for (kind, name), text in found.items():
        if (kind, name) not in expected:
            yield Difference(change=Change.UNEXPECTED, kind=kind, name=name, found=text)


def _key(part: Column | Constraint | Index) -> str:
    return part.name or (part.definition if isinstance(part, Constraint) else "")


def _summary(part: Column | Constraint | Index) -> str:
    return part.type if isinstance(part, Column) else part.definition


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value)
    return "" if value is None else str(value)


def compared(columns: tuple[str, ...], definition: str) -> tuple[str, ...]:
    """Return the columns that a key or an index compares, without those that it only carries along (INCLUDE)."""
    carried = CARRIED.search(definition)
    names = {name.strip().strip('"') for name in carried[1].split(",")} if carried else set()
    return tuple(name for name in columns if name not in names)

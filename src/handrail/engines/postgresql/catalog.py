"""Reads the schema: a fingerprint made by the server, or the whole as a value. One statement each.

Both leave out system, temporary and TOAST schemas, schema `handrail`, the version table, and what extensions own (the
extension and its version are there instead). Privileges and owners count in the strict fingerprint only, because a
sandbox has other roles than its target. Operators, casts, text search configurations, publications, event triggers,
foreign servers and sequences' present values are not looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from operator import attrgetter
from typing import cast

from sqlalchemy import Connection, TextClause

from handrail.engines.postgresql.catalog_sql import FINGERPRINT, FINGERPRINT_STRICT, SNAPSHOT, VERSION_TABLE
from handrail.model.schema import Column, Constraint, ConstraintKind, Index, SchemaObject, Snapshot, Table

_KINDS = {
    "p": ConstraintKind.PRIMARY_KEY,
    "u": ConstraintKind.UNIQUE,
    "f": ConstraintKind.FOREIGN_KEY,
    "c": ConstraintKind.CHECK,
    "x": ConstraintKind.EXCLUDE,
}
_IDENTITY = {"": "", "a": "always", "d": "by default"}
_TABLE_OPTIONS = ("persistence", "row security", "replica identity", "partition by", "partition bound")

_BY_NAME = attrgetter("name")
_BY_POSITION = attrgetter("position")

_Row = tuple[str, str, str, str | None, str | None, str | None, str | None, str | None, bool, int, str]


@dataclass(slots=True)
class _Draft:
    """One table while its rows arrive. Columns are kept by attribute number, as constraints and indexes name them."""

    columns: dict[str, Column] = field(default_factory=dict)
    constraints: list[_Row] = field(default_factory=list)
    indexes: list[_Row] = field(default_factory=list)
    options: list[tuple[str, str]] = field(default_factory=list)

    def names(self, numbers: list[str]) -> tuple[str, ...]:
        """Return the columns of those numbers; expressions have number 0 and no name."""
        columns = self.columns
        return tuple([columns[number].name for number in numbers if number in columns])


def fingerprint(conn: Connection, *, strict: bool = False, version_table: str = "alembic_version") -> str:
    """Return a sha256 of the whole schema, computed by the server; `strict` counts column order and privileges too.

    One statement, one row. Equal schemas on servers of one major version give equal fingerprints.
    """
    with _unchanged_search_path(conn):
        digest: str = conn.execute(_choose(strict=strict), {"version_table": _found(conn, version_table)}).scalar_one()
    return digest


def snapshot(conn: Connection, *, version_table: str = "alembic_version") -> Snapshot:
    """Return the whole schema as a value, without privileges and owners. One statement."""
    with _unchanged_search_path(conn):
        rows = conn.execute(SNAPSHOT, {"version_table": _found(conn, version_table)}).all()
    major = conn.dialect.server_version_info
    return _decode(cast("Sequence[_Row]", rows), server_major=int(major[0]) if major else 0)


def _choose(*, strict: bool) -> TextClause:
    return FINGERPRINT_STRICT if strict else FINGERPRINT


def _found(conn: Connection, version_table: str) -> str:
    """Return the version table's name as the statements have it: a search_path may lead to another schema."""
    if "." in version_table or conn.dialect.default_schema_name in {None, "public"}:
        return version_table.removeprefix("public.")
    return conn.execute(VERSION_TABLE, {"version_table": version_table}).scalar_one_or_none() or version_table


@contextmanager
def _unchanged_search_path(conn: Connection) -> Iterator[None]:
    """Undo the statement's own search_path: by itself in autocommit, else with a savepoint or transaction of ours."""
    if getattr(conn.connection.driver_connection, "autocommit", False):
        yield
        return
    scope = conn.begin_nested() if conn.in_transaction() else conn.begin()
    try:
        yield
    finally:
        scope.rollback()


def _decode(rows: Sequence[_Row], *, server_major: int) -> Snapshot:
    """Group the rows by table in one pass, then finish each table: foreign keys name columns of others."""
    drafts: defaultdict[str, _Draft] = defaultdict(_Draft)
    objects: list[SchemaObject] = []
    for row in rows:
        kind, owner, name, a, b, c, d, e, flag, position, numbers = row
        match kind:
            case "column":
                drafts[owner].columns[numbers] = Column(
                    name=name,
                    type=a or "",
                    nullable=flag,
                    default=None if d else b,
                    identity=_IDENTITY[c or ""],
                    generated=_generated(b, d) if d else "",
                    collation=e or "",
                    position=position,
                )
            case "constraint":
                drafts[owner].constraints.append(row)
            case "index" if b != "m":
                drafts[owner].indexes.append(row)
            case "option":
                drafts[owner].options.append((name, a or ""))
            case "table":
                texts = zip(_TABLE_OPTIONS, (a, b, c, d, e), strict=True)
                drafts[owner].options.extend([(option, value) for option, value in texts if value])
            case "index":
                objects.append(SchemaObject(kind="index", name=f"{owner}.{name}", definition=a or ""))
            case _:
                objects.append(SchemaObject(kind=owner, name=name, definition=a or ""))
    return Snapshot(
        engine="postgresql",
        server_major=server_major,
        tables=tuple([_table(name, drafts) for name in sorted(drafts)]),
        objects=tuple(sorted(objects, key=attrgetter("kind", "name"))),
    )


def _generated(expression: str | None, how: str) -> str:
    """Return the expression of a generated column; a virtual one (18+) says so."""
    return f"{expression} virtual" if how == "v" else expression or ""


def _table(name: str, drafts: dict[str, _Draft]) -> Table:
    draft = drafts[name]
    columns = sorted(draft.columns.values(), key=_BY_POSITION)
    if columns and columns[-1].position != len(columns):
        # Dropped columns leave gaps in the numbers, which a freshly made table does not have.
        columns = [replace(column, position=place) for place, column in enumerate(columns, 1)]
    constraints = sorted([_constraint(row, draft, drafts) for row in draft.constraints], key=_BY_NAME)
    definitions = {constraint.name: constraint.definition for constraint in constraints}
    for row in draft.indexes:
        draft.options.extend([(mark, row[2]) for mark in row[5:7] if mark])
    return Table(
        name=name,
        columns=tuple(columns),
        constraints=tuple(constraints),
        indexes=tuple(sorted([_index(row, draft, definitions) for row in draft.indexes], key=_BY_NAME)),
        options=tuple(sorted(draft.options)),
    )


def _constraint(row: _Row, draft: _Draft, drafts: dict[str, _Draft]) -> Constraint:
    _, _, name, definition, contype, _, referenced, _, validated, _, numbers = row
    own, _, other = numbers.strip("{}").partition("}{")
    return Constraint(
        name=name,
        kind=_KINDS[contype or ""],
        definition=(definition or "") if validated else (definition or "").removesuffix(" NOT VALID"),
        columns=draft.names(own.split(",")),
        validated=validated,
        referenced_table=referenced or "",
        referenced_columns=drafts[referenced].names(other.split(",")) if referenced else (),
    )


def _index(row: _Row, draft: _Draft, definitions: dict[str, str]) -> Index:
    _, _, name, definition, _, _, _, parameters, valid, unique, numbers = row
    if definition is None:
        definition = " ".join(filter(None, (definitions.get(name, ""), parameters)))
    return Index(
        name=name,
        definition=definition,
        unique=bool(unique),
        valid=valid,
        columns=draft.names(numbers.split(" ")),
    )

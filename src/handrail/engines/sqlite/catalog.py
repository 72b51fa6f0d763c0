"""The schema of a SQLite database: its fingerprint and its value.

Columns come from `pragma_table_xinfo`, joined over all tables in one statement; everything else SQLite keeps as the
text of the CREATE statement, which is brought into one spelling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from operator import attrgetter

from sqlalchemy import Connection, Row, text

from handrail.engines.sqlite.definition import TableDefinition, read_table
from handrail.engines.sqlite.syntax import canonical, name, tokens
from handrail.model.schema import Column, Index, SchemaObject, Snapshot, Table

SERVER_MAJOR = 3

# SHARED lock while it runs; SQLite answers from the schema it holds in memory, 1,000 tables take some 35 ms.
# Tables of virtual modules are left out of the join: xinfo would load their module. One statement is one moment.
_SCHEMA = text(r"""
with ours as (
  select type, name, tbl_name, sql from sqlite_schema
  where sql is not null
    and name not like 'sqlite\_%' escape '\'
    and tbl_name not like 'handrail\_%' escape '\'
    and tbl_name <> :version_table collate nocase
)
select type, name, tbl_name, sql, null as cid, null as column_name, null as column_type, null as "notnull",
       null as dflt_value, null as hidden
from ours
union all
select 'column', o.name, o.tbl_name, null, c.cid, c.name, c.type, c."notnull", c.dflt_value, c.hidden
from ours as o join pragma_table_xinfo(o.name) as c
where o.type = 'table' and o.sql not like 'create virtual%'
""")

_COLUMN_FACTS = attrgetter("name", "type", "nullable", "default", "generated", "collation")
_CONSTRAINT_FACTS = attrgetter("kind.value", "name", "definition")
_INDEX_FACTS = attrgetter("name", "definition")
_STORED = 3  # hidden: 2 is a virtual generated column, 3 a stored one: https://www.sqlite.org/pragma.html


def fingerprint(conn: Connection, *, strict: bool = False, version_table: str = "alembic_version") -> str:
    """Return a hex digest of the whole schema: equal where `diff` of two snapshots is empty. One statement.

    `strict` counts the order of columns too.
    """
    digest = hashlib.sha256()
    found = snapshot(conn, version_table=version_table)
    for table in found.tables:
        columns = table.columns if strict else sorted(table.columns, key=attrgetter("name"))
        facts = (
            table.name,
            [_COLUMN_FACTS(column) for column in columns],
            [_CONSTRAINT_FACTS(constraint) for constraint in table.constraints],
            [_INDEX_FACTS(index) for index in table.indexes],
            table.options,
        )
        digest.update(repr(facts).encode())
    digest.update(repr([(thing.kind, thing.name, thing.definition) for thing in found.objects]).encode())
    return digest.hexdigest()


def snapshot(conn: Connection, *, version_table: str = "alembic_version") -> Snapshot:
    """Return the whole schema as a value, read in one statement."""
    definitions: dict[str, TableDefinition] = {}
    columns: dict[str, list[Column]] = {}
    indexes: dict[str, list[Index]] = {}
    objects: list[SchemaObject] = []
    column_rows: list[Row[tuple[object, ...]]] = []
    for row in conn.execute(_SCHEMA, {"version_table": version_table.removeprefix("main.")}):
        match row.type:
            case "column":
                column_rows.append(row)
            case "table" if not row.sql[:14].upper().startswith("CREATE VIRTUAL"):
                definitions[row.name] = read_table(row.sql)
            case "index":
                indexes.setdefault(row.tbl_name, []).append(_index(row.name, row.sql))
            case kind:
                kind = "virtual table" if kind == "table" else kind
                objects.append(SchemaObject(kind=kind, name=row.name, definition=canonical(tokens(row.sql))))
    for row in column_rows:
        columns.setdefault(row.name, []).append(_column(row, definitions[row.name]))
    return Snapshot(
        engine="sqlite",
        server_major=SERVER_MAJOR,
        tables=tuple(_tables(definitions, columns, indexes)),
        objects=tuple(sorted(objects, key=lambda thing: (thing.kind, thing.name))),
    )


def _tables(
    definitions: dict[str, TableDefinition], columns: dict[str, list[Column]], indexes: dict[str, list[Index]]
) -> Iterator[Table]:
    for table in sorted(definitions):
        yield Table(
            name=table,
            columns=tuple(columns.get(table, ())),
            constraints=definitions[table].constraints,
            indexes=tuple(sorted(indexes.get(table, ()), key=attrgetter("name"))),
            options=definitions[table].options,
        )


def _column(row: Row[tuple[object, ...]], definition: TableDefinition) -> Column:
    key = row.column_name.lower()
    expression = definition.generated.get(key, "")
    return Column(
        name=row.column_name,
        type=row.column_type.removesuffix(" GENERATED ALWAYS"),
        nullable=not row.notnull,
        default=None if row.dflt_value is None else canonical(tokens(row.dflt_value)),
        generated=expression and f"({expression}) {'STORED' if row.hidden == _STORED else 'VIRTUAL'}",
        collation=definition.collations.get(key, ""),
        position=row.cid,
    )


def _index(index: str, sql: str) -> Index:
    words = tokens(sql)
    opening = words.index("(")
    return Index(
        name=index,
        definition=canonical(words),
        unique=words[1].upper() == "UNIQUE",
        columns=tuple(_indexed(words[opening + 1 :])),
    )


def _indexed(words: Sequence[str]) -> Iterator[str]:
    """Yield what is indexed, up to the closing parenthesis: the column's name, or an expression in full."""
    depth = 0
    part: list[str] = []
    for word in words:
        if depth == 0 and word in {",", ")"}:
            yield name(part[0]) if "(" not in part else canonical(part)
            part = []
            if word == ")":
                return
        else:
            part.append(word)
            depth += (word == "(") - (word == ")")

"""The schema of a SQLite database: its fingerprint and its value.

Columns come from `pragma_table_xinfo`, joined over all tables in one statement; everything else SQLite keeps as the
text of the CREATE statement, which is brought into one spelling.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from operator import attrgetter
from typing import Any

from sqlalchemy import Connection, text

from handrail.engines.sqlite.sql.definition import TableDefinition, read_table
from handrail.engines.sqlite.sql.syntax import canonical, items, name, spelled, tokens
from handrail.model.schema import Column, Index, SchemaObject, Snapshot, Table

SERVER_MAJOR = 3

_OURS = r"""
  select type, name, tbl_name, sql from sqlite_schema
  where sql is not null
    and name not like 'sqlite\_%' escape '\'
    and tbl_name not like 'handrail\_%' escape '\'
    and tbl_name <> :version_table collate nocase
"""
# SHARED lock while it runs; reads the pages of the schema, some 10 ms for 1,000 tables.
_TEXTS = text(f"select type, name, sql from ({_OURS})")  # noqa: S608 - a constant of this module
# SHARED lock while it runs; SQLite answers from the schema it holds in memory, 1,000 tables take some 35 ms.
# Tables of virtual modules are left out of the join: xinfo would load their module. One statement is one moment.
_SCHEMA = text(f"""
with ours as ({_OURS})
select type, name, tbl_name, sql, null as cid, null as column_name, null as column_type, null as "notnull",
       null as dflt_value, null as hidden
from ours
union all
select 'column', o.name, o.tbl_name, null, c.cid, c.name, c.type, c."notnull", c.dflt_value, c.hidden
from ours as o join pragma_table_xinfo(o.name) as c
where o.type = 'table' and o.sql not like 'create virtual%'
""")  # noqa: S608 - a constant of this module

_VIRTUAL = re.compile(r"create\s+virtual", re.IGNORECASE)
_STORED = 3  # hidden: 2 is a virtual generated column, 3 a stored one: https://www.sqlite.org/pragma.html


def fingerprint(conn: Connection, *, strict: bool = False, version_table: str = "alembic_version") -> str:
    """Return a hex digest of the whole schema. `strict` counts the order of columns too. One statement.

    Equal digests mean equal schemas. A schema written in another way, as with a column's own UNIQUE instead of the
    table's, has another digest though `diff` finds nothing.
    """
    facts: list[tuple[str, str, list[str], list[str]]] = []
    for kind, key, sql in conn.execute(_TEXTS, {"version_table": _plain(version_table)}):
        words = spelled(tokens(sql))
        if kind != "table":
            facts.append((kind, key, words, []))
            continue
        parts, rest = items(words)
        lines = [" ".join(part) for part in parts]
        facts.append((kind, key, lines if strict else sorted(lines), list(rest)))
    return hashlib.sha256(repr(sorted(facts)).encode()).hexdigest()


def snapshot(conn: Connection, *, version_table: str = "alembic_version") -> Snapshot:
    """Return the whole schema as a value, read in one statement."""
    definitions: dict[str, TableDefinition] = {}
    columns: dict[str, list[Column]] = {}
    indexes: dict[str, list[Index]] = {}
    objects: list[SchemaObject] = []
    column_rows = []
    for kind, key, owner, sql, *column in conn.execute(_SCHEMA, {"version_table": _plain(version_table)}):
        if kind == "column":
            column_rows.append((key, column))
        elif kind == "table" and not _VIRTUAL.match(sql):
            definitions[key] = read_table(sql)
        elif kind == "index":
            indexes.setdefault(owner, []).append(_index(key, sql))
        else:
            thing = "virtual table" if kind == "table" else kind
            objects.append(SchemaObject(kind=thing, name=key, definition=canonical(tokens(sql))))
    for key, column in column_rows:
        columns.setdefault(key, []).append(_column(column, definitions[key]))
    return Snapshot(
        engine="sqlite",
        server_major=SERVER_MAJOR,
        tables=tuple(_tables(definitions, columns, indexes)),
        objects=tuple(sorted(objects, key=lambda thing: (thing.kind, thing.name))),
    )


def _plain(version_table: str) -> str:
    return version_table.removeprefix("main.")


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


def _column(facts: Sequence[Any], definition: TableDefinition) -> Column:
    position, column, declared, not_null, default, hidden = facts
    key = column.lower()
    expression = definition.generated.get(key, "")
    return Column(
        name=column,
        type=declared.removesuffix(" GENERATED ALWAYS"),
        nullable=not not_null,
        default=default and canonical(tokens(default)),
        generated=expression and f"({expression}) {'STORED' if hidden == _STORED else 'VIRTUAL'}",
        collation=definition.collations.get(key, ""),
        position=position,
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

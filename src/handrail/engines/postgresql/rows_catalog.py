"""What of a database holds rows, and how each column's values can be hashed: read from the catalogue in one statement.

Extensions' own tables and schema `handrail` are left out; version tables are not, they hold rows as others do.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Any, cast

from sqlalchemy import Connection, text

from handrail.engines.postgresql.catalog_sql import SCOPE

# A table's partitions are counted through their root. The key: primary, else the shortest unique one without nulls. A
# domain stands for what it is made of. A hash function whose declared argument is another type cannot be called by
# name. `exact`: what the type's B-tree calls equal has the same bytes (the support function equalimage:
# https://www.postgresql.org/docs/current/btree.html#BTREE-SUPPORT-FUNCS).
# Locks: ACCESS SHARE on system tables. Cost: about 1 ms for a hundred columns.
_COLUMNS = text(
    SCOPE  # noqa: S608 - a constant of ours
    + r"""
, looked_at as materialized (
  select r.oid, r.name, r.relkind, keys.numbers
  from relations r left join lateral (
    select (i.indkey::int2[])[0:i.indnkeyatts - 1] as numbers
    from pg_catalog.pg_index i
    where i.indrelid = r.oid and i.indisvalid and i.indpred is null and i.indexprs is null
      and (i.indisprimary or i.indisunique and i.indimmediate and not exists (
        select from pg_catalog.pg_attribute a
        where a.attrelid = r.oid and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]) and not a.attnotnull))
    order by i.indisprimary desc, i.indnkeyatts, i.indexrelid::regclass::text limit 1
  ) keys on true
  where r.relkind in ('r', 'p', 'f', 'm', 'S') and not r.relispartition
), types as materialized (
  select used.type, n.nspname, t.typname, t.typcategory, t.typtype, hashing.schema, hashing.function,
         hashing.callable,
         exists (
           select from pg_catalog.pg_opclass o
           join pg_catalog.pg_am m on m.oid = o.opcmethod and m.amname = 'btree'
           join pg_catalog.pg_amproc p on p.amprocfamily = o.opcfamily and p.amproclefttype = t.oid and p.amprocnum = 4
           where o.opcdefault and o.opcintype = t.oid) as exact
  from (select distinct a.atttypid as type from looked_at l
        join pg_catalog.pg_attribute a on a.attrelid = l.oid and a.attnum > 0 and not a.attisdropped) used
  join lateral (
    with recursive made_of as (
      select x.oid, x.typtype, x.typbasetype from pg_catalog.pg_type x where x.oid = used.type
      union all
      select x.oid, x.typtype, x.typbasetype
      from made_of d join pg_catalog.pg_type x on x.oid = d.typbasetype where d.typtype = 'd')
    select oid from made_of where typtype <> 'd'
  ) base on true
  join pg_catalog.pg_type t on t.oid = base.oid
  join pg_catalog.pg_namespace n on n.oid = t.typnamespace
  left join lateral (
    select fn.nspname as schema, f.proname as function, f.proargtypes[0] = t.oid as callable
    from pg_catalog.pg_opclass o
    join pg_catalog.pg_am m on m.oid = o.opcmethod and m.amname = 'hash'
    join pg_catalog.pg_amproc p on p.amprocfamily = o.opcfamily and p.amproclefttype = t.oid
      and p.amprocrighttype = t.oid and p.amprocnum = 2
    join pg_catalog.pg_proc f on f.oid = p.amproc
    join pg_catalog.pg_namespace fn on fn.oid = f.pronamespace
    where o.opcdefault and o.opcintype = t.oid
  ) hashing on true
)
select l.name, l.relkind::text, s.nspname, c.relname, a.attname, array_position(l.numbers, a.attnum),
       t.nspname = 'pg_catalog', t.typname, t.typcategory::text, t.typtype::text, t.schema, t.function, t.callable,
       t.exact
from looked_at l
join pg_catalog.pg_class c on c.oid = l.oid
join pg_catalog.pg_namespace s on s.oid = c.relnamespace
left join pg_catalog.pg_attribute a on a.attrelid = l.oid and a.attnum > 0 and not a.attisdropped and l.relkind <> 'S'
left join types t on t.type = a.atttypid
order by l.name collate "C", a.attname collate "C"
"""
)

# What a dump keeps of an extension beside its name: the rows that an application has put into its tables.
# https://www.postgresql.org/docs/current/extend-extensions.html#EXTEND-EXTENSIONS-CONFIG-TABLES
# Locks: ACCESS SHARE on system tables.
_NOT_OURS = text("""
select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname, 'of the extension ' || e.extname
from pg_catalog.pg_extension e join pg_catalog.pg_class c on c.oid = any (e.extconfig) and c.relkind in ('r', 'p')
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
union all
select 'schema handrail', 'Handrail''s own log and lease' from pg_catalog.pg_namespace where nspname = 'handrail'
union all
select 'subscription ' || s.subname, 'left out of every copy: it would take what the original waits for'
from pg_catalog.pg_subscription s
where s.subdbid = (select oid from pg_catalog.pg_database where datname = current_database())
order by 1
""")

_SEQUENCE = "S"
_LEFT_OUT = {
    "f": "a foreign table: its rows are elsewhere",
    "m": "a materialized view: made of other tables, and again after a restore",
}

_Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnType:
    """What a column's values are, below its domains.

    `function` is the extended hash function of the type as (schema, name), None where there is none; `callable` whether
    it takes the type itself. `category` and `kind` are typcategory and typtype of pg_type.
    """

    builtin: bool
    name: str
    category: str
    kind: str
    function: tuple[str, str] | None
    callable: bool
    exact: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class RowTable:
    """A table: its name as in a Snapshot, its relation as (schema, name), its columns by name in that order."""

    name: str
    relation: tuple[str, str]
    partitioned: bool
    columns: dict[str, ColumnType]
    key: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Holders:
    """Everything that holds rows: tables, sequences by name with their relation, what is left out as (name, reason)."""

    tables: tuple[RowTable, ...]
    sequences: tuple[tuple[str, tuple[str, str]], ...]
    left_out: tuple[tuple[str, str], ...]


def holders(conn: Connection, wanted: Collection[str] | None) -> Holders:
    """Return what holds rows; of tables only the wanted ones where they are named, and then no sequences."""
    tables: list[RowTable] = []
    sequences: list[tuple[str, tuple[str, str]]] = []
    left_out: list[tuple[str, str]] = []
    rows = cast("Sequence[_Row]", conn.execute(_COLUMNS, {"version_table": ""}).all())
    for (name, kind, schema, relation), group in groupby(rows, key=itemgetter(0, 1, 2, 3)):
        if wanted is not None and name not in wanted:
            continue
        if kind == _SEQUENCE:
            sequences.append((name, (schema, relation)))
        elif kind in _LEFT_OUT:
            left_out.append((name, _LEFT_OUT[kind]))
        else:
            tables.append(_table(name, (schema, relation), list(group), partitioned=kind == "p"))
    if wanted is not None:
        sequences = []
    else:
        left_out += [(name, reason) for name, reason in conn.execute(_NOT_OURS)]
    return Holders(tables=tuple(tables), sequences=tuple(sequences), left_out=tuple(left_out))


def _table(name: str, relation: tuple[str, str], rows: Sequence[_Row], *, partitioned: bool) -> RowTable:
    columns: dict[str, ColumnType] = {}
    positions: dict[str, int] = {}
    for row in rows:
        column, position, builtin, type_name, category, kind, schema, function, is_callable, exact = row[4:]
        if column is None:  # a table without columns
            continue
        columns[column] = ColumnType(
            builtin=builtin,
            name=type_name,
            category=category,
            kind=kind,
            function=(schema, function) if function is not None else None,
            callable=bool(is_callable),
            exact=exact,
        )
        if position is not None:
            positions[column] = position
    return RowTable(
        name=name,
        relation=relation,
        partitioned=partitioned,
        columns=columns,
        key=tuple(sorted(positions, key=lambda column: positions[column])),
    )

"""How large the tables are, by the server's own statistics.

Source: https://www.postgresql.org/docs/current/catalog-pg-class.html (reltuples is -1 where neither VACUUM nor ANALYZE
has looked yet) and, for the scaling to the present number of pages, estimate_rel_size in
src/backend/optimizer/util/plancat.c, which the planner itself uses.
"""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, select, table, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause
from handrail.engines.facts import SIZES_LIMIT_S
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.rights import readable
from handrail.model.size import Basis, TableSize
from handrail.model.verdict import Unsupported

#: Tables without statistics are counted up to this size of the heap, which takes some 20 ms.
COUNTED_UP_TO_BYTES = 8 << 20

# ACCESS SHARE on each table for the moment its files are looked at; some 0.05 ms a table. A partitioned table is the
# sum of its leaves; rows are null where one of them has no statistics, or says 0 though it has pages.
_SIZES = text("""
with wanted as (
  select c.oid, c.relkind, case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname as name
  from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm') and n.nspname not in ('information_schema', 'handrail') and n.nspname !~ '^pg_'
), parts as (
  select w.name, w.oid as part from wanted w where w.relkind <> 'p'
  union all
  select w.name, t.relid from wanted w, lateral pg_partition_tree(w.oid) t where w.relkind = 'p' and t.isleaf
), measured as (
  select p.name, pg_table_size(p.part) as bytes, pg_indexes_size(p.part) as index_bytes,
         pg_relation_size(p.part) as heap, c.reltuples, c.relpages
  from parts p join pg_catalog.pg_class c on c.oid = p.part
)
select w.name, coalesce(sum(m.bytes), 0)::bigint, coalesce(sum(m.index_bytes), 0)::bigint,
       coalesce(sum(m.heap), 0)::bigint,
       case when count(*) filter (where m.heap > 0 and (m.reltuples <= 0 or m.relpages = 0)) = 0
            then coalesce(sum(case when m.heap > 0 then m.reltuples::float8 / nullif(m.relpages, 0)
                                     * (m.heap / current_setting('block_size')::int) else 0 end), 0)::bigint
       end
from wanted w left join measured m on m.name = w.name
group by w.name order by w.name
""")

# No lock: what VACUUM or ANALYZE wrote down last, which is all that can be had of a table that is locked.
_REMEMBERED = text("""
select case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname,
       case when c.reltuples > 0 then c.reltuples::bigint end
from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and n.nspname not in ('information_schema', 'handrail') and n.nspname !~ '^pg_'
order by 1
""")


def measure(conn: Connection) -> tuple[TableSize, ...]:
    """Return the size of every table and materialized view; older, and rows alone, where a lock keeps from looking."""
    try:
        rows = conn.execute(_SIZES).all()
    except DBAPIError as exc:
        if classify(exc) in {Cause.LOCK_TIMEOUT, Cause.CANCELED}:
            return _remembered(conn)
        raise
    until = time.monotonic() + SIZES_LIMIT_S
    found = []
    for name, total, indexes, heap, estimated in rows:
        size = TableSize(table=name, bytes=total, index_bytes=indexes)
        if not heap:
            size = _rows(size, 0, Basis.COUNTED)
        elif estimated is not None:
            size = _rows(size, estimated, Basis.STATISTICS)
        elif heap <= COUNTED_UP_TO_BYTES and time.monotonic() < until:
            size = _counted(conn, size)
        found.append(size)
    return tuple(found)


def _remembered(conn: Connection) -> tuple[TableSize, ...]:
    sizes = ((TableSize(table=name), rows) for name, rows in conn.execute(_REMEMBERED))
    return tuple(size if rows is None else _rows(size, rows, Basis.STATISTICS) for size, rows in sizes)


def _counted(conn: Connection, size: TableSize) -> TableSize:
    """Return the size with its rows counted: ACCESS SHARE, one scan of a small table. As it was where we may not."""
    name = readable(conn, size.table)
    if isinstance(name, Unsupported):
        return size
    try:
        rows = conn.execute(select(func.count()).select_from(table(name.table, schema=name.schema))).scalar_one()
    except DBAPIError as exc:
        if classify(exc) in {Cause.LOCK_TIMEOUT, Cause.CANCELED, Cause.MISSING}:
            return size
        raise
    return _rows(size, rows, Basis.COUNTED)


def _rows(size: TableSize, rows: int, basis: Basis) -> TableSize:
    return TableSize(table=size.table, rows=rows, basis=basis, bytes=size.bytes, index_bytes=size.index_bytes)

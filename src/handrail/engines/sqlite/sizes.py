"""How large the tables are: counted, for SQLite keeps no numbers of its own."""

from __future__ import annotations

import time

from sqlalchemy import Connection, func, select, table, text

from handrail.engines.facts import SIZES_LIMIT_S
from handrail.engines.sqlite.bounded import answered
from handrail.model.size import Basis, TableSize
from handrail.model.spec import UNKNOWN

# SHARED lock; reads the pages of the schema.
_TABLES = text(r"""
select name from sqlite_schema
where type = 'table' and name not like 'sqlite\_%' escape '\' and name not like 'handrail\_%' escape '\'
  and sql not like 'create virtual%'
order by name
""")
# SHARED lock; reads every page of the file. The module is a build option: https://www.sqlite.org/dbstat.html.
_BYTES = text("""
select coalesce(m.tbl_name, s.name), coalesce(m.type, 'table') = 'index', sum(s.pgsize)
from dbstat as s left join sqlite_schema as m on m.name = s.name
where s.aggregate = true
group by 1, 2
""")


def measure(conn: Connection) -> tuple[TableSize, ...]:
    """Return the size of every table. SHARED lock while a table is counted; what takes too long is UNKNOWN."""
    until = time.monotonic() + SIZES_LIMIT_S
    names = conn.execute(_TABLES).scalars().all()
    rows = {name: _rows(conn, name, until - time.monotonic()) for name in names}
    taken = answered(conn, lambda: conn.execute(_BYTES).all(), limit_s=max(0.0, until - time.monotonic()))
    sizes = {(owner, bool(index)): size for owner, index, size in taken} if isinstance(taken, list) else {}
    return tuple(
        TableSize(
            table=name,
            rows=UNKNOWN if number is None else number,
            basis=Basis.NONE if number is None else Basis.COUNTED,
            bytes=sizes.get((name, False), UNKNOWN),
            index_bytes=sizes.get((name, True), 0) if sizes else UNKNOWN,
        )
        for name, number in rows.items()
    )


def _rows(conn: Connection, name: str, left_s: float) -> int | None:
    """Return how many rows the table has, None where the time is up; a scan of its smallest index."""
    if left_s <= 0:
        return None
    query = select(func.count()).select_from(table(name))
    counted = answered(conn, lambda: conn.execute(query).scalar_one(), limit_s=left_s)
    return counted if isinstance(counted, int) else None

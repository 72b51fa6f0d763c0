"""An empty copy of a schema in memory, for code that looks at a table in order to make it anew."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from handrail.engines.base import opening

# SHARED lock; the pages of the schema. Tables stand before their indexes, triggers and views, as they were created;
# what SQLite or a virtual table makes by itself is left out.
_SCRIPT = text(r"""
select s.sql from sqlite_schema s
where s.sql is not null and s.name not like 'sqlite\_%' escape '\' and not exists (
  select from_.name from sqlite_schema from_
  where from_.sql like 'create virtual%' and s.name like replace(from_.name, '_', '\_') || '\_%' escape '\')
order by s.type <> 'table', s.rowid
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """The statements that make the copy."""

    script: tuple[str, ...]

    @contextmanager
    def open(self) -> Iterator[Connection | None]:
        """Make the copy and give its connection, in autocommit; it is gone at the end.

        None where this SQLite lacks a module or function that the schema uses.
        """
        with opening():
            engine = create_engine("sqlite+pysqlite://", poolclass=StaticPool, isolation_level="AUTOCOMMIT")
            conn = engine.connect()
        try:
            yield conn if self._make(conn) else None
        finally:
            conn.close()
            engine.dispose()

    def _make(self, conn: Connection) -> bool:
        try:
            for sql in self.script:
                conn.exec_driver_sql(sql)
        except DBAPIError:
            return False
        return True


#: Of a database without a table.
EMPTY = Shadow(script=())


def shadow(conn: Connection) -> Shadow:
    """Return the schema behind `conn`."""
    return Shadow(script=tuple(conn.execute(_SCRIPT).scalars()))

"""Sees who is connected, what they wrote last, and which statements the server has counted."""

from __future__ import annotations

import re
import time
from typing import Any

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.postgresql.sql.statements import kind
from handrail.engines.postgresql.sql.syntax import quote
from handrail.model.operation import StatementKind
from handrail.model.query import Query
from handrail.model.sighting import Presence
from handrail.model.verdict import Unsupported

_UTC = """to_char({} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')"""
# No lock; one row per session of others. Everybody sees names and backend_xid; state, times and query only their owner
# and members of pg_read_all_stats: https://www.postgresql.org/docs/current/monitoring-stats.html.
_SESSIONS = text(f"""
select a.pid::text as session, coalesce(a.application_name, '') as name, coalesce(a.usename, '') as user,
       coalesce({_UTC.format("a.backend_start")}, '') as began_at, a.backend_start is not null as readable,
       a.backend_xid is not null as writing, {_UTC.format("clock_timestamp()")} as now,
       coalesce({_UTC.format("a.query_start")}, '') as last, coalesce(a.query, '') as query
from pg_catalog.pg_stat_activity a
where a.datname = current_database() and a.usesysid is not null and a.pid <> pg_backend_pid()
  and coalesce(a.backend_type, 'client backend') = 'client backend'
  and coalesce(a.application_name, '') !~ '^handrail(:|$)'
order by a.backend_start, a.pid
""")  # noqa: S608 - constants of ours

# No lock; at most one row.
_EXTENSION = text("""
select n.nspname from pg_catalog.pg_extension e join pg_catalog.pg_namespace n on n.oid = e.extnamespace
where e.extname = 'pg_stat_statements'
""")
# No lock; takes a shared look at the extension's memory. What others sent is hidden without pg_read_all_stats:
# https://www.postgresql.org/docs/current/pgstatstatements.html.
_COUNTED = """
select s.query, sum(s.calls)::bigint
from {view} s join pg_catalog.pg_database d on d.oid = s.dbid
where d.datname = current_database()
group by s.query order by 2 desc, 1
"""
_WRITE = re.compile(r"\s*(?:insert|update|delete|merge|truncate|copy\s+\S+\s+from)\b", re.IGNORECASE)
_HIDDEN = "<insufficient privilege>"

# No lock; one row. Sessions count when they begin: https://www.postgresql.org/docs/current/monitoring-stats.html
_VISITS = text("select sessions from pg_catalog.pg_stat_database where datname = current_database()")
# No lock.
_VERSION = text("select current_setting('server_version_num')::int")
#: Before 15 a collector hands the numbers out, up to half a second late: src/backend/postmaster/pgstat.c of 14.
_COLLECTED_BEFORE = 150000
_COLLECTOR_S = 1.0


def presences(conn: Connection) -> tuple[Presence, ...]:
    """Return every client session of this database but Handrail's own, the oldest first.

    A write is seen where the session has a transaction id now, or its last statement was one; what came before its
    last statement the server does not tell.
    """
    conn.rollback()  # the look of an earlier transaction is not repeated
    return tuple(map(_presence, conn.execute(_SESSIONS)))


def queries(conn: Connection) -> tuple[Query, ...] | Unsupported:
    """Return what pg_stat_statements has counted here, most called first."""
    schema = conn.execute(_EXTENSION).scalar_one_or_none()
    if schema is None:
        return Unsupported(
            reason="the extension pg_stat_statements is not in this database: shared_preload_libraries = "
            "'pg_stat_statements', then CREATE EXTENSION pg_stat_statements"
        )
    view = f"{quote(schema)}.pg_stat_statements"
    try:
        rows = conn.exec_driver_sql(_COUNTED.format(view=view)).all()
    except DBAPIError as exc:
        conn.rollback()
        return Unsupported(reason=f"pg_stat_statements cannot be read: {str(exc.orig).splitlines()[0]}")
    seen = tuple(
        Query(text=query, calls=calls, place="pg_stat_statements") for query, calls in rows if query != _HIDDEN
    )
    if len(seen) < len(rows):
        return Unsupported(
            reason="statements of other roles are hidden: GRANT pg_read_all_stats TO the role of the environment's url"
        )
    return seen


def visits(conn: Connection) -> int:
    """Return how many sessions this database has had; our own has counted itself before its first statement."""
    conn.rollback()
    if conn.execute(_VERSION).scalar_one() < _COLLECTED_BEFORE:
        time.sleep(_COLLECTOR_S)
    found: int = conn.execute(_VISITS).scalar_one()
    conn.rollback()
    return found


def _presence(row: Row[Any]) -> Presence:
    last = row.last if row.readable and _writes(row.query) else ""
    return Presence(
        session=row.session,
        name=row.name,
        user=row.user,
        began_at=row.began_at,
        wrote_at=row.now if row.writing else last,
        readable=row.readable,
    )


def _writes(query: str) -> bool:
    """Tell whether it says so itself; the server keeps the first kilobyte of a statement, which may not be readable."""
    if _WRITE.match(query):
        return True
    return query.lstrip()[:4].lower() == "with" and kind(query) is StatementKind.DATA

"""Finds rows that break what a pending statement demands."""

from __future__ import annotations

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines import breach
from handrail.engines.base import Cause
from handrail.engines.breach import Breach
from handrail.engines.postgresql import casts, orphans
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.rights import readable
from handrail.model.demand import Demand
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation, ViolationKind

# No lock. For the session, which is closed afterwards: counting takes one process of the server, not several.
_LIMIT = text("""
select set_config('statement_timeout', :limit_ms, false), set_config('max_parallel_workers_per_gather', '0', false)
""")


def look(conn: Connection, wanted: Demand, *, limit_s: float) -> Violation | Unsupported | None:
    """Return the rows that break it. ACCESS SHARE, one scan or two; the server ends a query after `limit_s`."""
    try:
        conn.execute(_LIMIT, {"limit_ms": str(max(1, round(limit_s * 1000)))})
        return _found(conn, wanted)
    except DBAPIError as exc:
        if classify(exc) is Cause.CANCELED:
            return Unsupported(reason=f"the query took longer than {limit_s:.0f} s, and was ended")
        return orphans.unanswered(exc)


def _found(conn: Connection, wanted: Demand) -> Violation | Unsupported | None:
    if wanted.kind is ViolationKind.ORPHANS:
        return orphans.look(conn, breach.relation(wanted)).found
    named = tuple(c for c in (*wanted.columns, *wanted.key) if not wanted.every_row or c in wanted.key)
    plain = () if wanted.kind in {ViolationKind.DUPLICATES, ViolationKind.CHECK} else named
    name = readable(conn, wanted.table, plain)
    if isinstance(name, Unsupported):
        return name
    if wanted.kind is ViolationKind.DUPLICATES:
        return breach.duplicates(conn, wanted, name)
    if wanted.kind is ViolationKind.CAST:
        return casts.unfit(conn, wanted, name)
    return Breach(name=name, condition=breach.condition(wanted)).counted(conn, wanted)

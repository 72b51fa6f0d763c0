"""Looks before we lock: who holds what, and the statements and the lock that bound our own waiting.

Source: https://www.postgresql.org/docs/current/view-pg-locks.html.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Row, text

from handrail.engines.postgresql.effects import ANYTHING
from handrail.engines.postgresql.lock_modes import MODES
from handrail.engines.postgresql.statements import hide_literals
from handrail.engines.postgresql.syntax import qualified, quote
from handrail.model.effect import Blocker

#: The advisory lock of Handrail's lease, one per database: the letters `handrail` as a 64-bit number.
LEASE_KEY = int.from_bytes(b"handrail", "big")

_MODE_NAMES = {mode.title().replace(" ", "") + "Lock": mode for mode in MODES}
_AUTOVACUUM = "autovacuum worker"

# No lock beyond the lock table's own short latches; one row per holder. Names are resolved like the statement's own,
# exactly first, then as folded to lower case. An index stands for its table too, a parent for all below it. A prepared
# transaction has no pid; it is known by the lock on its own transaction number.
_BLOCKERS = text("""
with recursive locks as materialized (
  select * from pg_catalog.pg_locks
), prepared as (
  select l.virtualtransaction, p.gid, p.owner, p.prepared
  from locks l join pg_catalog.pg_prepared_xacts p on p.transaction = l.transactionid
  where l.pid is null and l.locktype = 'transactionid' and l.granted
), wanted as (
  select coalesce(to_regclass(name), to_regclass(lower(name)))::oid as oid
  from unnest(cast(:names as text[])) as name
  union
  select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where :anything and c.relkind in ('r', 'p', 'm', 'f')
    and n.nspname not in ('information_schema', 'handrail') and n.nspname !~ '^pg_'
), family as (
  select oid from wanted where oid is not null
  union
  select coalesce(i.indrelid, h.inhrelid)
  from family f left join pg_catalog.pg_index i on i.indexrelid = f.oid
  left join pg_catalog.pg_inherits h on h.inhparent = f.oid
  where i.indrelid is not null or h.inhrelid is not null
), holders as (
  select distinct on (l.pid, l.virtualtransaction, l.relation)
         l.pid, l.relation::regclass::text as relation, l.mode, a.usename, a.application_name, a.state, a.query,
         a.backend_type, p.gid, p.owner,
         coalesce(extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0)::float as age_s
  from locks l join family f on f.oid = l.relation
  left join pg_catalog.pg_stat_activity a on a.pid = l.pid
  left join prepared p on l.pid is null and p.virtualtransaction = l.virtualtransaction
  where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_backend_pid()
    and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
  order by l.pid, l.virtualtransaction, l.relation, array_position(cast(:modes as text[]), l.mode) desc
)
select * from holders where gid is not null or age_s >= :older_than_s order by age_s desc, pid
""")

# As above; pid 0 in pg_blocking_pids stands for a prepared transaction.
_WAITING_ON = text("""
with locks as materialized (
  select * from pg_catalog.pg_locks
), prepared as (
  select l.virtualtransaction, p.gid, p.owner, p.prepared
  from locks l join pg_catalog.pg_prepared_xacts p on p.transaction = l.transactionid
  where l.pid is null and l.locktype = 'transactionid' and l.granted
), waiting as (
  select * from locks where pid = :pid and not granted
)
select nullif(b.pid, 0) as pid, coalesce(h.relation::regclass::text, 'a row or transaction') as relation,
       coalesce(h.mode, '') as mode, a.usename, a.application_name, a.state, a.query, a.backend_type, p.gid, p.owner,
       coalesce(extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0)::float as age_s
from (select distinct unnest(pg_blocking_pids(:pid)) as pid) b
left join pg_catalog.pg_stat_activity a on a.pid = b.pid
left join lateral (
  select l.relation, l.mode, l.virtualtransaction from locks l join waiting w
    on w.locktype = l.locktype and w.database is not distinct from l.database
   and w.relation is not distinct from l.relation and w.transactionid is not distinct from l.transactionid
   and w.virtualxid is not distinct from l.virtualxid and w.objid is not distinct from l.objid
  where coalesce(l.pid, 0) = b.pid
  order by l.granted desc, array_position(cast(:modes as text[]), l.mode) desc
  limit 1
) h on true
left join prepared p on b.pid = 0 and p.virtualtransaction = h.virtualtransaction
order by age_s desc, pid
""")

# Advisory locks conflict with nothing but themselves.
_TRY_LEASE = text("select pg_try_advisory_lock(:key)")
_RELEASE_LEASE = text("select pg_advisory_unlock(:key)")
# No lock. A 64-bit key stands in two halves: https://www.postgresql.org/docs/current/view-pg-locks.html
_LEASE_TAKEN = text("""
select exists (
  select from pg_catalog.pg_locks
  where locktype = 'advisory' and granted and objsubid = 1
    and (classid::bigint << 32) | objid::bigint = :key
    and database = (select oid from pg_catalog.pg_database where datname = current_database())
)
""")


def blockers(conn: Connection, relations: tuple[str, ...], *, older_than_s: float) -> tuple[Blocker, ...]:
    """Return the strongest lock of each other session on those relations, their partitions and children.

    Only holders whose transaction is older than `older_than_s`; prepared transactions always. Oldest first. Any lock
    conflicts with ACCESS EXCLUSIVE, so every mode counts. A name is `table`, `schema.table` or quoted as in SQL; what
    does not exist is skipped; `*` asks for every user table. Where we may not see another user's transaction its age
    counts as 0. Source: https://www.postgresql.org/docs/current/monitoring-stats.html (pg_read_all_stats).
    """
    names = [_regclass_text(name) for name in relations if name != ANYTHING]
    rows = conn.execute(
        _BLOCKERS,
        {
            "names": names,
            "anything": ANYTHING in relations,
            "modes": list(_MODE_NAMES),
            "older_than_s": older_than_s,
        },
    ).all()
    return _decode(rows)


def waiting_on(conn: Connection, pid: int) -> tuple[Blocker, ...]:
    """Return who holds, or queues before us for, what the session `pid` waits for; () when it does not wait."""
    return _decode(conn.execute(_WAITING_ON, {"pid": pid, "modes": list(_MODE_NAMES)}).all())


def set_lock_timeout(timeout_s: float | None) -> str | None:
    """Return the statement that bounds lock waits for the transaction, in whole milliseconds; None lifts the bound."""
    return f"SET LOCAL lock_timeout = {_milliseconds(timeout_s)}"


def set_statement_timeout(timeout_s: float | None) -> str | None:
    """Return the statement that bounds one statement for the transaction; None lifts the bound."""
    return f"SET LOCAL statement_timeout = {_milliseconds(timeout_s)}"


def try_lease(conn: Connection) -> bool:
    """Take the database-wide advisory lock on this session; False when another session holds it."""
    return bool(conn.execute(_TRY_LEASE, {"key": LEASE_KEY}).scalar_one())


def lease_taken(conn: Connection) -> bool:
    """Return whether any session holds the advisory lock."""
    return bool(conn.execute(_LEASE_TAKEN, {"key": LEASE_KEY}).scalar_one())


def release_lease(conn: Connection) -> None:
    """Give the advisory lock back."""
    conn.execute(_RELEASE_LEASE, {"key": LEASE_KEY})


def _milliseconds(timeout_s: float | None) -> str:
    """Return a setting's text; 0 means no limit to the server, so the shortest limit is 1 ms."""
    return "0" if timeout_s is None else f"'{max(1, round(timeout_s * 1000))}ms'"


def _regclass_text(name: str) -> str:
    """Return a name as `to_regclass` reads it: quoted, unless it is written with quotes already."""
    if '"' in name:
        return name
    schema, _, table = name.rpartition(".")
    return qualified(schema, table) if schema else quote(table)


def _decode(rows: Sequence[Row[tuple[object, ...]]]) -> tuple[Blocker, ...]:
    return tuple(
        Blocker(
            pid=row.pid,
            relation=row.relation.replace('"', ""),
            lock=_MODE_NAMES.get(row.mode, row.mode),
            age_s=row.age_s,
            user=row.usename or row.owner or "",
            application=row.application_name or "",
            state=row.state or "",
            query=hide_literals(row.query) if row.query else "",
            gid=row.gid or "",
            autovacuum=row.backend_type == _AUTOVACUUM,
        )
        for row in rows
    )

"""Looks before we lock: who holds what, and the statements and the lock that bound our own waiting.

Source: https://www.postgresql.org/docs/current/view-pg-locks.html.
"""

from __future__ import annotations

import re
import time
from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import Connection, Row, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.sql.effects_lock import ANYTHING
from handrail.engines.postgresql.sql.lock_modes import CONFLICTS, MODES
from handrail.engines.postgresql.sql.statements import hide_literals
from handrail.engines.postgresql.sql.syntax import qualified, quote
from handrail.model.effect import Blocker, Effect

#: The advisory lock of Handrail's lease, one per database: the letters `handrail` as a 64-bit number.
LEASE_KEY = int.from_bytes(b"handrail", "big")

_FIRST_SEEN = "handrail.postgresql.first_seen"
_SERVER_NAMES = {mode: mode.title().replace(" ", "") + "Lock" for mode in MODES}
_MODE_NAMES = {name: mode for mode, name in _SERVER_NAMES.items()}
# Constants of the server, so they stand in the statements instead of being sent with each look.
_CONFLICTS = ", ".join(
    f"('{_SERVER_NAMES[waiting]}', '{_SERVER_NAMES[held]}')" for waiting in MODES for held in CONFLICTS[waiting]
)
_SCALE = "'{" + ",".join(_MODE_NAMES) + "}'::text[]"

# The server's own marks of an autovacuum that does not give way: its query says so; where we may not see the query, the
# table is older than the setting that starts one. An autovacuum whose backend_type we may not see is the only session
# of a database that has no user. Source: https://www.postgresql.org/docs/current/routine-vacuuming.html
_AUTOVACUUM = """(coalesce(a.backend_type = 'autovacuum worker', a.datid is not null and a.usesysid is null))"""
_WRAPAROUND = """(
  case when a.backend_type is not null then a.query like '%(to prevent wraparound)'
       else (
         select age(t.relfrozenxid) >= least(current_setting('autovacuum_freeze_max_age')::int, max(o.option_value::int)
                  filter (where o.option_name = 'autovacuum_freeze_max_age'))
             or mxid_age(t.relminmxid) >= least(current_setting('autovacuum_multixact_freeze_max_age')::int,
                  max(o.option_value::int) filter (where o.option_name = 'autovacuum_multixact_freeze_max_age'))
         from pg_catalog.pg_class t left join pg_catalog.pg_options_to_table(t.reloptions) o
           on o.option_name in ('autovacuum_freeze_max_age', 'autovacuum_multixact_freeze_max_age')
         where t.oid = l.relation group by t.oid) end)"""

# As people write it, whatever search_path we have.
_NAME = "(case n.nspname when 'public' then '' else n.nspname || '.' end || c.relname)"

# No lock beyond the lock table's own short latches; one row per holder. Names are resolved like the statement's own,
# exactly first, then as folded to lower case. An index stands for its table too, a parent for all below it, a table for
# those at the other end of the foreign keys that are cut, and a partition that goes for its parent. A prepared
# transaction has no pid; it is known by the lock on its own transaction number.
_BLOCKERS = text(f"""
with recursive locks as materialized (
  select * from pg_catalog.pg_locks
), prepared as (
  select l.virtualtransaction, p.gid, p.owner, p.prepared
  from locks l join pg_catalog.pg_prepared_xacts p on p.transaction = l.transactionid
  where l.pid is null and l.locktype = 'transactionid' and l.granted
), conflicts as (
  select * from (values {_CONFLICTS}) as pair(waiting, held)
), cut as (
  select coalesce(to_regclass(name), to_regclass(lower(name)))::oid as oid, part
  from unnest(cast(:cut_names as text[]), cast(:cut_parts as text[])) as asked(name, part)
), wanted as (
  select coalesce(to_regclass(name), to_regclass(lower(name)))::oid as oid, mode
  from unnest(cast(:names as text[]), cast(:modes as text[])) as asked(name, mode)
  union
  select c.oid, mode from unnest(cast(:anything as text[])) as mode, pg_catalog.pg_class c
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm', 'f') and n.nspname not in ('information_schema', 'handrail')
    and n.nspname !~ '^pg_'
  union
  select case when k.conrelid = cut.oid then k.confrelid else k.conrelid end, 'AccessExclusiveLock'
  from cut join pg_catalog.pg_constraint k on k.contype = 'f' and cut.oid in (k.conrelid, k.confrelid)
  where cut.part in ('*', k.conname) or exists (
    select from pg_catalog.pg_attribute a where a.attrelid = cut.oid and a.attname = cut.part
      and a.attnum = any (case when k.conrelid = cut.oid then k.conkey else k.confkey end))
  union
  select h.inhparent, 'AccessExclusiveLock'
  from cut join pg_catalog.pg_class c on c.oid = cut.oid and c.relispartition
  join pg_catalog.pg_inherits h on h.inhrelid = cut.oid
  where cut.part = '*'
), family as (
  select oid, mode from wanted where oid is not null
  union
  select coalesce(i.indrelid, h.inhrelid), f.mode
  from family f left join pg_catalog.pg_index i on i.indexrelid = f.oid
  left join pg_catalog.pg_inherits h on h.inhparent = f.oid
  where i.indrelid is not null or h.inhrelid is not null
), holders as (
  select distinct on (l.pid, l.virtualtransaction, l.relation)
         l.pid, {_NAME} as relation, l.mode, a.usename, a.application_name, a.state, a.query,
         l.virtualtransaction, p.gid, p.owner, {_AUTOVACUUM} as autovacuum,
         {_AUTOVACUUM} and not {_WRAPAROUND} as gives_way,
         extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared))::float as age_s
  from locks l join family f on f.oid = l.relation join conflicts on waiting = f.mode and held = l.mode
  join pg_catalog.pg_class c on c.oid = l.relation join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  left join pg_catalog.pg_stat_activity a on a.pid = l.pid
  left join prepared p on l.pid is null and p.virtualtransaction = l.virtualtransaction
  where l.locktype = 'relation' and l.granted and l.pid is distinct from pg_backend_pid()
    and l.database = (select oid from pg_catalog.pg_database where datname = current_database())
  order by l.pid, l.virtualtransaction, l.relation, array_position({_SCALE}, l.mode) desc
)
select * from holders
where gid is not null or age_s >= :older_than_s or age_s is null
order by age_s desc nulls last, pid
""")  # noqa: S608 - joined with constants of ours

# As above; pid 0 in pg_blocking_pids stands for a prepared transaction.
_WAITING_ON = text(f"""
with locks as materialized (
  select * from pg_catalog.pg_locks
), prepared as (
  select l.virtualtransaction, p.gid, p.owner, p.prepared
  from locks l join pg_catalog.pg_prepared_xacts p on p.transaction = l.transactionid
  where l.pid is null and l.locktype = 'transactionid' and l.granted
), waiting as (
  select * from locks where pid = :pid and not granted
)
select nullif(b.pid, 0) as pid, coalesce(l.name, 'a row or transaction') as relation,
       coalesce(l.mode, '') as mode, a.usename, a.application_name, a.state, a.query, p.gid, p.owner,
       {_AUTOVACUUM} as autovacuum, {_AUTOVACUUM} and not {_WRAPAROUND} as gives_way,
       coalesce(extract(epoch from clock_timestamp() - coalesce(a.xact_start, p.prepared)), 0)::float as age_s
from (select distinct unnest(pg_blocking_pids(:pid)) as pid) b
left join pg_catalog.pg_stat_activity a on a.pid = b.pid
left join lateral (
  select {_NAME} as name, l.relation, l.mode, l.virtualtransaction
  from locks l join waiting w
    on w.locktype = l.locktype and w.database is not distinct from l.database
   and w.relation is not distinct from l.relation and w.transactionid is not distinct from l.transactionid
   and w.virtualxid is not distinct from l.virtualxid and w.objid is not distinct from l.objid
  left join pg_catalog.pg_class c on c.oid = l.relation
  left join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where coalesce(l.pid, 0) = b.pid
  order by l.granted desc, array_position(cast(:modes as text[]), l.mode) desc
  limit 1
) l on true
left join prepared p on b.pid = 0 and p.virtualtransaction = l.virtualtransaction
order by age_s desc, pid
""")  # noqa: S608 - joined with constants of ours

# Ends one statement of the autovacuum; the launcher starts it again later. No row where it is none, prevents
# wraparound, or may not be seen by us.
_CANCEL_AUTOVACUUM = text("""
select pg_cancel_backend(pid) from pg_catalog.pg_stat_activity
where pid = :pid and backend_type = 'autovacuum worker' and query not like '%(to prevent wraparound)'
""")
# No lock.
_DEADLOCK_TIMEOUT = text("select extract(epoch from current_setting('deadlock_timeout')::interval)::float")

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


def blockers(conn: Connection, wanted: tuple[Effect, ...], *, older_than_s: float) -> tuple[Blocker, ...]:
    """Return the strongest conflicting lock of each other session on what the wanted locks touch.

    Looked at are the relations, their partitions and children, and the tables at the other end of the foreign keys
    that are severed. Only holders whose transaction is older than `older_than_s`; prepared transactions always. Oldest
    first. A name is `table`, `schema.table` or quoted as in SQL; what does not exist is skipped; `*` asks for every
    user table. Where we may not see how old another user's transaction is, it is as old as this connection knows it.
    Source: https://www.postgresql.org/docs/current/monitoring-stats.html (pg_read_all_stats).
    """
    named = [effect for effect in wanted if effect.relation != ANYTHING]
    cut = [(_regclass_text(effect.relation), part) for effect in named for part in effect.severs]
    rows = conn.execute(
        _BLOCKERS,
        {
            "names": [_regclass_text(effect.relation) for effect in named],
            "modes": [_SERVER_NAMES[effect.lock] for effect in named],
            "anything": [_SERVER_NAMES[effect.lock] for effect in wanted if effect.relation == ANYTHING],
            "cut_names": [name for name, _ in cut],
            "cut_parts": [part for _, part in cut],
            "older_than_s": older_than_s,
        },
    ).all()
    known = _known_for_s(conn, rows)
    return tuple(
        blocker if row.age_s is not None else replace(blocker, age_s=known[row.virtualtransaction])
        for row, blocker in zip(rows, _decode(rows), strict=True)
        if row.age_s is not None or row.autovacuum or known[row.virtualtransaction] >= older_than_s
    )


def _known_for_s(conn: Connection, rows: Sequence[Row[tuple[object, ...]]]) -> dict[str, float]:
    """Return for how long looks over this connection have seen each transaction whose age is hidden from us."""
    now, first = time.monotonic(), conn.info.get(_FIRST_SEEN, {})
    conn.info[_FIRST_SEEN] = {
        row.virtualtransaction: first.get(row.virtualtransaction, now) for row in rows if row.age_s is None
    }
    return {transaction: now - seen for transaction, seen in conn.info[_FIRST_SEEN].items()}


def waiting_on(conn: Connection, pid: int) -> tuple[Blocker, ...]:
    """Return who holds, or queues before us for, what the session `pid` waits for; () when it does not wait."""
    return _decode(conn.execute(_WAITING_ON, {"pid": pid, "modes": list(_MODE_NAMES)}).all())


def cancel_autovacuum(conn: Connection, pid: int) -> bool:
    """Cancel that ordinary autovacuum; False where it is none, prevents wraparound, or we may not.

    Needs superuser, or pg_signal_autovacuum_worker since 18:
    https://www.postgresql.org/docs/current/predefined-roles.html.
    """
    try:
        return bool(conn.execute(_CANCEL_AUTOVACUUM, {"pid": pid}).scalar_one_or_none())
    except DBAPIError as exc:
        if classify(exc) is Cause.DENIED:
            return False
        raise


def autovacuum_yields_after_s(conn: Connection) -> float:
    """Return deadlock_timeout and a tenth of a second more, in which the autovacuum lets go.

    Source: https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM.
    """
    return float(conn.execute(_DEADLOCK_TIMEOUT).scalar_one()) + 0.1


def set_lock_timeout(timeout_s: float | None, *, autocommit: bool = False) -> str | None:
    """Return the statement that bounds lock waits, in whole milliseconds; None lifts the bound.

    For the transaction, or with `autocommit` for the session: SET LOCAL does nothing outside a transaction.
    """
    return f"SET {'SESSION' if autocommit else 'LOCAL'} lock_timeout = {_milliseconds(timeout_s)}"


def set_statement_timeout(timeout_s: float | None, *, autocommit: bool = False) -> str | None:
    """Return the statement that bounds each statement, and idling in a transaction between two; None lifts both.

    The server ends a statement that takes longer, and a session that idles longer:
    https://www.postgresql.org/docs/current/runtime-config-client.html.
    """
    local = "false" if autocommit else "true"
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    calls = (f"set_config('{name}', {_milliseconds(timeout_s)}, {local})" for name in names)
    return f"SELECT {', '.join(calls)}"


def try_lease(conn: Connection) -> bool:
    """Take the database-wide advisory lock on this session; False when another session holds it."""
    return bool(conn.execute(_TRY_LEASE, {"key": LEASE_KEY}).scalar_one())


def lease_taken(conn: Connection) -> bool:
    """Return whether any session holds the advisory lock."""
    return bool(conn.execute(_LEASE_TAKEN, {"key": LEASE_KEY}).scalar_one())


def release_lease(conn: Connection) -> None:
    """Give the advisory lock back."""
    conn.execute(_RELEASE_LEASE, {"key": LEASE_KEY})


#: A name that is written with quotes already, in one part or both.
_QUOTED = re.compile(r'(?:[^".]+\.)?"(?:[^"]|"")+"|"(?:[^"]|"")+"\.(?:[^".]+|"(?:[^"]|"")+")')


def _milliseconds(timeout_s: float | None) -> str:
    """Return a setting's literal; 0 means no limit to the server, so the shortest limit is 1 ms."""
    return "'0'" if timeout_s is None else f"'{max(1, round(timeout_s * 1000))}ms'"


def _regclass_text(name: str) -> str:
    """Return a name as `to_regclass` reads it: quoted, unless it is written with quotes already."""
    if _QUOTED.fullmatch(name):
        return name
    schema, _, table = name.rpartition(".")
    return qualified(schema, table) if schema else quote(table)


def _decode(rows: Sequence[Row[tuple[object, ...]]]) -> tuple[Blocker, ...]:
    return tuple(
        Blocker(
            pid=row.pid,
            relation=row.relation,
            lock=_MODE_NAMES.get(row.mode, row.mode),
            age_s=row.age_s or 0.0,
            user=row.usename or row.owner or "",
            application="autovacuum" if row.autovacuum else row.application_name or "",
            state=row.state or "",
            query=hide_literals(row.query) if row.query else "",
            gid=row.gid or "",
            autovacuum=bool(row.gives_way),
        )
        for row in rows
    )

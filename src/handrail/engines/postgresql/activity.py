"""Sees what else goes on in the server, and says why not to migrate now."""

from __future__ import annotations

from sqlalchemy import Connection, text

from handrail.engines.base import Refusal
from handrail.engines.postgresql.sql.statements import hide_literals
from handrail.engines.postgresql.sql.syntax import quote
from handrail.errors import LeaseHeld

#: Whether the server, database or role makes sessions read-only, also from a session that we made read-only ourselves.
READ_ONLY_SQL = """(
  case when (select source from pg_catalog.pg_settings where name = 'default_transaction_read_only') = 'client'
       then exists (select from pg_catalog.pg_db_role_setting s
                    where s.setdatabase in (0, (select oid from pg_catalog.pg_database
                                                where datname = current_database()))
                      and s.setrole in (0, (select oid from pg_catalog.pg_roles where rolname = current_user))
                      and 'default_transaction_read_only=on' = any (s.setconfig))
       else current_setting('default_transaction_read_only')::bool end)"""

# No lock; one row. The last column is the first right that is missing to make our tables, or to write them.
_SERVER = text(f"""
select pg_is_in_recovery(), {READ_ONLY_SQL}, pg_backend_pid(), current_database(), current_user,
       case when to_regnamespace('handrail') is null
              then case when not has_database_privilege(current_database(), 'create') then 'schema' end
            when ours.tables = 0
              then case when not has_schema_privilege('handrail', 'usage')
                          or not has_schema_privilege('handrail', 'create') then 'tables' end
            when not has_schema_privilege('handrail', 'usage') or ours.denied then 'rows'
       end
from (select count(*) as tables,
             bool_or(case c.relkind
                     when 'S' then not has_sequence_privilege(c.oid, 'usage')
                     else not (has_table_privilege(c.oid, 'select') and has_table_privilege(c.oid, 'insert')
                               and has_table_privilege(c.oid, 'update') and has_table_privilege(c.oid, 'delete'))
                     end) as denied
      from pg_catalog.pg_class c
      where c.relnamespace = to_regnamespace('handrail') and c.relkind in ('r', 'S')) ours
""")  # noqa: S608 - joined with a constant of ours

# No lock; one row per session or prepared transaction that we must not run beside, oldest first. The text `(to prevent
# wraparound)` is the server's own and never translated: src/backend/postmaster/autovacuum.c.
_OTHERS = text("""
select case when a.backend_type = 'autovacuum worker' then 'wraparound'
            when a.application_name in ('pg_dump', 'pg_dumpall') then 'dump'
            else 'old' end as reason,
       a.pid::text as who, coalesce(a.usename, '') as usename, coalesce(a.application_name, '') as application,
       coalesce(a.state, '') as state, coalesce(a.query, '') as query,
       extract(epoch from clock_timestamp() - a.xact_start)::float as age_s
from pg_catalog.pg_stat_activity a
where a.datname = current_database() and a.pid <> pg_backend_pid() and a.xact_start is not null
  and (a.backend_type = 'autovacuum worker' and a.query like '%(to prevent wraparound)'
       or a.backend_type = 'client backend'
          and (a.application_name in ('pg_dump', 'pg_dumpall')
               or a.xact_start <= clock_timestamp() - make_interval(secs => :oldest_s)))
union all
select 'prepared', p.gid, p.owner, '', '', '', extract(epoch from clock_timestamp() - p.prepared)::float
from pg_catalog.pg_prepared_xacts p
where p.database = current_database() and p.prepared <= clock_timestamp() - make_interval(secs => :oldest_s)
order by age_s desc
""")

_STARTED = """to_char(backend_start at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')"""
# No lock.
_SESSION = text(f"select pid, {_STARTED} from pg_catalog.pg_stat_activity where pid = pg_backend_pid()")  # noqa: S608 - constants of ours
# Waits until the session is gone, 10 s at most: what it was committing is committed then, or never will be.
_END_SESSION = text(
    "select pg_terminate_backend(pid, 10000) from pg_catalog.pg_stat_activity"  # noqa: S608 - constants of ours
    f" where pid = :pid and {_STARTED} = :started"
)


def refusals(conn: Connection, *, oldest_transaction_s: float) -> tuple[Refusal, ...]:
    """Return every reason not to migrate now, in two statements.

    A standby, a read-only database, a missing right to make our tables or to write them, a pooler between us and the
    server, a running dump, an autovacuum against wraparound, transactions and prepared transactions older than
    `oldest_transaction_s`. Other users' transactions are seen only by members of pg_read_all_stats.
    """
    standby, read_only, pid, database, user, missing = conn.execute(_SERVER).one()
    found = []
    if standby:
        found.append(
            Refusal(
                what="the server is a standby",
                why="pg_is_in_recovery() is true: it only replays what its primary does",
                fix="name the primary in the environment's url",
            )
        )
    if read_only and not standby:
        found.append(
            Refusal(
                what=f"database {database} is read-only",
                why="default_transaction_read_only is on for the server, the database or this role",
                fix=f"ALTER DATABASE {database} RESET default_transaction_read_only, or ask who set it",
            )
        )
    if missing:
        found.append(_missing_right(missing, database, user))
    if _pooled(conn, pid):
        found.append(
            Refusal(
                what="a connection pooler stands between us and the server",
                why="the server's process is not the one we were connected to, so locks and settings of a session "
                "may end up in somebody else's",
                fix="name the server itself in the environment's url",
            )
        )
    rows = conn.execute(_OTHERS, {"oldest_s": oldest_transaction_s}).all()
    return (*found, *(_other(*row) for row in rows))


def reading_rights(user: str) -> str:
    """Return the statements that let a user look at our tables, for the owner of the schema to type."""
    role = quote(user)
    return f"GRANT USAGE ON SCHEMA handrail TO {role}; GRANT SELECT ON ALL TABLES IN SCHEMA handrail TO {role}"


def end_session(conn: Connection, pid: int, started: str) -> bool:
    """End the session `pid` only if it began at `started`, and wait until it is gone; False where it was already.

    `started` is UTC as `session` writes it. Needs membership in the session's role or pg_signal_backend. Raises
    LeaseHeld where it does not end within 20 s.
    """
    that = {"pid": pid, "started": started}
    ended = conn.execute(_END_SESSION, that).scalar_one_or_none()
    # False also says that it ended by itself between the look and the signal: then it is not found again
    if ended is False and conn.execute(_END_SESSION, that).scalar_one_or_none() is False:
        raise LeaseHeld(
            what="the session of an interrupted run does not end; nothing was touched",
            why=f"the server was told to end pid {pid}, and after 20 s it is still there",
            fix="look what it does in pg_stat_activity, and run again when it is gone",
        )
    return ended is not None


def session(conn: Connection) -> tuple[int, str]:
    """Return pid and start time (UTC, microseconds) of this session, as `end_session` wants them."""
    row = conn.execute(_SESSION).one()
    return row[0], row[1]


def _missing_right(missing: str, database: str, user: str) -> Refusal:
    role = quote(user)
    if missing == "schema":
        return Refusal(
            what=f"user {user} may not create the schema handrail in database {database}",
            why="Handrail keeps its log and its lease there, and the schema does not exist yet",
            fix=f"as the database's owner: GRANT CREATE ON DATABASE {quote(database)} TO {role}",
        )
    if missing == "tables":
        return Refusal(
            what=f"user {user} may not create tables in the schema handrail",
            why="Handrail keeps its log and its lease there, and they do not exist yet",
            fix=f"as the schema's owner: GRANT USAGE, CREATE ON SCHEMA handrail TO {role}",
        )
    return Refusal(
        what=f"user {user} may not write Handrail's tables in the schema handrail",
        why="Handrail keeps its log and its lease there",
        fix=f"as the schema's owner: GRANT USAGE ON SCHEMA handrail TO {role}; "
        f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA handrail TO {role}; "
        f"GRANT USAGE ON ALL SEQUENCES IN SCHEMA handrail TO {role}",
    )


def _pooled(conn: Connection, pid: int) -> bool:
    """Tell whether somebody else answered the startup packet: a pooler makes up the process number it hands out.

    Source: https://www.postgresql.org/docs/current/protocol-message-formats.html (BackendKeyData). False where the
    driver does not keep that number.
    """
    told = getattr(getattr(conn.connection.driver_connection, "info", None), "backend_pid", None)
    return told is not None and told != pid


def _other(reason: str, who: str, user: str, application: str, state: str, query: str, age_s: float) -> Refusal:
    age = f"{age_s:.0f} s"
    if reason == "prepared":
        return Refusal(
            what=f"prepared transaction {who} of user {user} is {age} old",
            why="it holds its locks until it is ended, through restarts too",
            fix=f"COMMIT PREPARED '{who}' or ROLLBACK PREPARED '{who}'",
        )
    if reason == "wraparound":
        return Refusal(
            what=f"autovacuum (pid {who}) prevents transaction wraparound for {age}",
            why="unlike an ordinary autovacuum it does not give way to a schema change",
            fix="wait until it is done; progress is in pg_stat_progress_vacuum",
        )
    if reason == "dump":
        return Refusal(
            what=f"{application} (pid {who}, user {user}) is running for {age}",
            why="it holds ACCESS SHARE on every table it has yet to read",
            fix="wait until it is done",
        )
    described = ", ".join(part for part in (f"user {user}", application, state) if part)
    return Refusal(
        what=f"a transaction of pid {who} ({described}) is open for {age}",
        why=f"it holds locks and keeps old rows alive; query: {hide_literals(query)}",
        fix=f"let it end, or SELECT pg_terminate_backend({who})",
    )

"""Archives of a PostgreSQL database: pg_dump under a snapshot that others can read beside it, and pg_restore."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Engine, Purpose, for_url
from handrail.engines.postgresql import clients, likeness, particulars, rows_sql
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.rows_catalog import holders
from handrail.engines.postgresql.session import Sessions, for_libpq
from handrail.engines.postgresql.syntax import quote
from handrail.errors import BackupUnproved, TargetRefused, Unreachable
from handrail.host.partial import Partial
from handrail.host.programs import Running, running
from handrail.host.secrets import mask
from handrail.model.backup import Extent, Program
from handrail.model.grants import Owner
from handrail.model.needs import Needs
from handrail.model.particular import Particular

SUFFIX = ".dump"
_DUMP = "pg_dump"
_RESTORE = "pg_restore"
#: What stands before the names in each line of an archive's table of contents: `215; 1259 16386 TABLE public players`.
_NUMBERS = 3

# No lock; asks the file system for the size of every file of the database.
_ESTIMATE = text("""
select pg_database_size(current_database()),
       (select max(age(backend_xmin)) from pg_catalog.pg_stat_activity where backend_xmin is not null)
""")
# No lock but what is read afterwards takes. Lasts as long as its longest reader: dead rows are kept meanwhile.
_BEGIN = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
# The session rests while pg_dump goes on writing; transaction_timeout is new in 17.
_PATIENT = text("""
select set_config(name, '0', true) from pg_catalog.pg_settings
where name in ('idle_in_transaction_session_timeout', 'transaction_timeout', 'statement_timeout')
""")
# No lock. Those who import the snapshot see what this transaction sees:
# https://www.postgresql.org/docs/current/functions-admin.html#FUNCTIONS-SNAPSHOT-SYNCHRONIZATION
_EXPORT = text("""
select pg_export_snapshot(), current_setting('server_version_num')::int / 10000,
       case when current_user <> session_user then current_user end
""")
# No lock; asks the file system for the size of every table.
_TABLES_BYTES = text("""
select coalesce(sum(pg_table_size(c.oid)), 0)::bigint from pg_catalog.pg_class c
join pg_catalog.pg_namespace n on n.oid = c.relnamespace
where c.relkind in ('r', 'm') and n.nspname not in ('pg_catalog', 'information_schema')
""")
# Within a transaction the server answers from its first look: src/backend/utils/activity/backend_status.c.
_FRESH = text("select pg_stat_clear_snapshot()")
# No lock; where pg_dump is now: https://www.postgresql.org/docs/current/progress-reporting.html#COPY-PROGRESS-REPORTING
_COPYING = text("""
select p.relid::bigint, pg_table_size(p.relid), p.bytes_processed from pg_catalog.pg_stat_progress_copy p
join pg_catalog.pg_stat_activity a using (pid)
where p.datname = current_database() and a.application_name = 'pg_dump' and p.relid <> 0
""")
# No lock; one row.
_EXISTS = "select from pg_catalog.pg_database where datname = %s"
# No lock; stops at the first thing that is somebody's: a schema, or what an extension or initdb has not put there.
_NOT_EMPTY = text("""
select exists (
  select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where n.nspname not in ('pg_catalog', 'information_schema') and n.nspname !~ '^pg_(toast|temp)'
    and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
  union all
  select from pg_catalog.pg_namespace n
  where n.nspname not in ('pg_catalog', 'information_schema', 'public') and n.nspname !~ '^pg_(toast|temp)'
    and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
  union all
  select from (select oid, 'pg_catalog.pg_proc'::regclass as class from pg_catalog.pg_proc
               union all select oid, 'pg_catalog.pg_type'::regclass from pg_catalog.pg_type
               where typtype in ('d', 'e', 'r')) o
  where o.oid >= 16384 and not exists (select from pg_catalog.pg_depend d
                                       where d.classid = o.class and d.objid = o.oid and d.deptype = 'e')
  union all
  select from pg_catalog.pg_largeobject_metadata)
""")


@dataclass(frozen=True, slots=True, kw_only=True)
class PgDump:
    """A running pg_dump and the session whose snapshot it reads; satisfies `Dump`."""

    conn: Connection
    before: Mapping[str, str]
    program: Program
    running: Running

    def sequences(self) -> tuple[tuple[str, str, str], ...]:
        """Return each sequence before pg_dump began and now: others move them on, whatever the snapshot.

        Source: https://www.postgresql.org/docs/current/functions-sequence.html.
        """
        now = _sequences(self.conn)
        return tuple((name, value, now.get(name, value)) for name, value in self.before.items())

    def finish(self, tell: Callable[[int, int], None]) -> Program:
        """Wait until pg_dump has ended, and return what it is. Raises BackupUnproved with its own words."""
        status = self.running.wait(_Progress(self.conn, tell))
        if status != 0:
            raise BackupUnproved(
                what="the backup failed; nothing was touched",
                why=f"pg_dump ended with status {status}: {self.running.said() or 'it gave no reason'}",
                fix=_grant(str(self.conn.engine.url.username or "the user")),
            )
        return self.program


class _Progress:
    """Tells how far pg_dump is: the tables it was seen at, and how much of the present one it has read.

    A table that is read between two looks is not counted, so small ones may be missing.
    """

    def __init__(self, conn: Connection, tell: Callable[[int, int], None]) -> None:
        self._conn = conn
        self._tell = tell
        self._read: dict[int, int] = {}
        self._total = 0

    def __call__(self) -> None:
        """Look, and tell."""
        self._conn.execute(_FRESH)
        self._total = self._total or self._conn.execute(_TABLES_BYTES).scalar_one()
        for relation, size, processed in self._conn.execute(_COPYING):
            self._read = {known: of for known, of in self._read.items() if known != relation}
            before = sum(self._read.values())
            self._tell(min(before + min(processed, size), self._total), self._total)
            self._read[relation] = size


class PostgresqlBackups:
    """Makes archives of one database; satisfies `Backups`."""

    suffix = SUFFIX

    def __init__(self, url: URL, sessions: Sessions) -> None:
        self._url = url
        self._sessions = sessions

    def estimate(self, conn: Connection) -> Extent:
        """Return the size of the database and the age of the oldest snapshot that the server keeps rows for."""
        size, xmin_age = conn.execute(_ESTIMATE).one()
        return Extent(database_bytes=size, xmin_age=xmin_age or 0)

    @contextmanager
    def dump(self, file: Partial, *, compress: int, lock_wait: timedelta, run: str) -> Iterator[PgDump]:
        """Export a snapshot, start pg_dump under it, and give the session that sees the same.

        Holds ACCESS SHARE on every table, and the snapshot, until the end of the block.
        """
        with self._sessions.open(Purpose.STATE, run) as conn, _failures_told(conn):
            conn.exec_driver_sql(_BEGIN)
            conn.execute(_PATIENT)
            snapshot, major, role = conn.execute(_EXPORT).one()
            found = clients.find(major, tls=clients.wants_tls(self._url))
            before = _sequences(conn)
            where, environment = clients.address(self._url)
            wait_ms = lock_wait // timedelta(milliseconds=1)
            argv = [
                *(str(found.folder / _DUMP), "--format=custom", f"--compress={compress}", f"--snapshot={snapshot}"),
                *(f"--file={file.path}", "--no-password", f"--lock-wait-timeout={wait_ms}", f"--dbname={where}"),
                *((f"--role={role}",) if role else ()),  # env.py says SET ROLE
            ]
            with running(argv, env=environment, locks=(file.lock,)) as process:
                program = Program(name=_DUMP, version=found.version, major=found.major)
                yield PgDump(conn=conn, before=before, program=program, running=process)
            conn.exec_driver_sql("ROLLBACK")

    def restore(
        self, archive: Path, into: Engine, *, program: Program, jobs: int, owners: bool, privileges: bool
    ) -> None:
        """Run pg_restore until its first error. Raises BackupUnproved with its own words."""
        found = clients.find(program.major, tls=clients.wants_tls(into.url))
        where, environment = clients.address(into.url)
        argv = [
            *(str(found.folder / _RESTORE), "--exit-on-error", "--no-password", f"--jobs={jobs}", f"--dbname={where}"),
            "--no-subscriptions",  # nobody may drop a database that has one
            *(() if owners else ("--no-owner",)),
            *(() if privileges else ("--no-privileges",)),
            str(archive),
        ]
        with running(argv, env=environment) as process:
            status = process.wait()
            if status != 0:
                raise BackupUnproved(
                    what="the archive cannot be restored; the database it was made of was not touched",
                    why=f"pg_restore ended with status {status}: {process.said() or 'it gave no reason'}",
                    fix="make a new backup: handrail backup create",
                )

    def contents(self, archive: Path, program: Program) -> frozenset[str]:
        """Return the table of contents that pg_restore reads: kind, schema, name and owner of each thing."""
        found = clients.find(program.major, tls=False)
        with running([str(found.folder / _RESTORE), "--list", str(archive)], env=os.environ) as process:
            if process.wait() != 0:
                raise BackupUnproved(
                    what="the archive cannot be read; the database it was made of was not touched",
                    why=f"pg_restore says: {process.said() or 'nothing'}",
                    fix="make a new backup: handrail backup create",
                )
            lines = process.everything().splitlines()
        return frozenset(line.split(" ", _NUMBERS)[-1] for line in lines if not line.startswith(";"))

    def owners(self, conn: Connection) -> tuple[Owner, ...]:
        """Return who owns what an archive gives to its owner."""
        return particulars.owners(conn)

    def particulars(self, conn: Connection) -> tuple[Particular, ...]:
        """Return what an archive keeps beside the schema's fingerprint, rows and grants."""
        return particulars.particulars(conn)

    def named(self, into: str) -> Engine:
        """Return the engine of a URL, or of the database of that name on the same server; nothing is opened."""
        return for_url(into if "://" in into else self._url.set(database=into))

    def create(self, into: Engine, like: Needs) -> None:
        """Make the database where there is none. Raises TargetRefused, Unreachable."""
        if not self._exists(into.url):
            self._create(into.url, like)
            return
        with into.connect(Purpose.READ) as conn:
            there = into.target(conn)
            not_empty = conn.execute(_NOT_EMPTY).scalar_one()
        ours = for_url(self._url)
        with self._sessions.open(Purpose.READ, "") as conn:
            here = ours.target(conn)
        name = there.database
        # A server has many names; its own id is not for everybody to read.
        told = (here.system_id, there.system_id) if here.system_id and there.system_id else (here.host, there.host)
        if here.database_oid == there.database_oid and told[0] == told[1]:
            raise TargetRefused(
                what=f"a backup is never restored over the database it was made of; {name} was not touched",
                why=f"{name} is the environment's own database",
                fix="name a new database: --into NAME",
            )
        if not_empty:
            raise TargetRefused(
                what=f"the database {name} is not empty; nothing was touched",
                why="a backup is restored into a new or empty database only",
                fix="name one that does not exist yet: --into NAME",
            )

    def _exists(self, url: URL) -> bool:
        try:
            with _maintenance(url) as conn:
                return conn.exec_driver_sql(_EXISTS, (url.database,)).first() is not None
        except Unreachable:  # no other database of the server lets us in: then only this one can tell
            return True

    def _create(self, url: URL, like: Needs) -> None:
        statement = likeness.creation(url.database or "", like.locale, like.server_major)
        with _maintenance(url) as conn:
            try:
                conn.exec_driver_sql(statement.as_string().replace("%", "%%"))
            except DBAPIError as exc:
                denied = classify(exc) is Cause.DENIED
                grant = f", or: ALTER ROLE {quote(for_libpq(url).username or 'the user')} CREATEDB" if denied else ""
                raise TargetRefused(
                    what=f"the database {url.database} cannot be created; nothing was touched",
                    why=mask(" ".join(str(exc.orig).split())),
                    fix=f"create it empty yourself{grant}",
                ) from exc


def _sequences(conn: Connection) -> dict[str, str]:
    """Return the last value of each sequence, as a RowsPrint has it. No lock but ACCESS SHARE on them."""
    found = holders(conn, None).sequences
    values: dict[str, str] = {}
    for start in range(0, len(found), rows_sql.SEQUENCES_AT_ONCE):
        statement = rows_sql.sequences(found[start : start + rows_sql.SEQUENCES_AT_ONCE])
        rows = conn.exec_driver_sql(statement, execution_options={"no_parameters": True})
        values |= {row[0]: row[1] for row in rows}
    return values


@contextmanager
def _maintenance(url: URL) -> Iterator[Connection]:
    """Open another database of the same server. Raises Unreachable where none lets us in."""
    with ExitStack() as stack:
        try:
            conn = stack.enter_context(Sessions(url.set(database="postgres")).open(Purpose.STATE, ""))
        except Unreachable:
            conn = stack.enter_context(Sessions(url.set(database="template1")).open(Purpose.STATE, ""))
        yield conn


@contextmanager
def _failures_told(conn: Connection) -> Iterator[None]:
    """Turn what the driver raises while the snapshot is read into an error a person can act on."""
    try:
        yield
    except DBAPIError as exc:
        said = mask(" ".join(str(exc.orig).split()))
        user = str(conn.engine.url.username or "the user")
        match classify(exc):
            case Cause.DENIED:
                fix = _grant(user)
            case Cause.LOCK_TIMEOUT:
                fix = "wait until whoever holds it is done: pg_stat_activity names them"
            case _:
                fix = "remove the cause, then make the backup again"
        raise BackupUnproved(what="the backup failed; nothing was touched", why=said, fix=fix) from exc


def _grant(user: str) -> str:
    return (
        f"remove the cause; where {user} may not read every table, as a superuser: "
        f"GRANT pg_read_all_data TO {quote(user)} (and BYPASSRLS where rows are protected, and for large objects, "
        "which that role does not cover, GRANT SELECT ON LARGE OBJECT each)"
    )

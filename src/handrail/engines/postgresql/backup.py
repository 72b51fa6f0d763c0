"""Archives of a PostgreSQL database: pg_dump under a snapshot that others can read beside it, and pg_restore."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from tempfile import NamedTemporaryFile

from sqlalchemy import URL, Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Cause, Engine, Purpose, for_url
from handrail.engines.postgresql import clients, particulars, restored, rows_sql
from handrail.engines.postgresql.causes import classify
from handrail.engines.postgresql.rows_catalog import holders
from handrail.engines.postgresql.session import Sessions
from handrail.engines.postgresql.sql.syntax import quote
from handrail.errors import BackupUnproved
from handrail.host.partial import Partial
from handrail.host.programs import Running, outcome, running
from handrail.host.secrets import mask
from handrail.model.backup import Extent, Program
from handrail.model.grants import Owner
from handrail.model.needs import Needs
from handrail.model.particular import Particular
from handrail.model.target import Target

SUFFIX = ".dump"
_DUMP = "pg_dump"
_RESTORE = "pg_restore"
#: What stands before the names in each line of an archive's table of contents: `215; 1259 16386 TABLE public players`.
_NUMBERS = 3
#: With less than this free, a program that writes has failed for want of room.
_FULL_BYTES = 1 << 20

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


# No lock. pg_dump refuses what it may not read, and rows that a policy would hide; of large objects only the owner is
# asked, because has_largeobject_privilege() is new in 18.
_UNREADABLE = text("""
select exists (
  select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  where c.relkind in ('r', 'p', 'm', 'S') and n.nspname not in ('pg_catalog', 'information_schema')
    and n.nspname !~ '^pg_(toast|temp)'
    and (not has_schema_privilege(n.oid, 'usage') or not has_table_privilege(c.oid, 'select')
         or row_security_active(c.oid))
) or exists (select from pg_catalog.pg_largeobject_metadata m where not pg_has_role(m.lomowner, 'usage'))
""")


# No lock. Somebody has made them for us, and pg_restore stops at their comments, which only an owner may write.
_OTHERS_EXTENSIONS = text("select extname from pg_catalog.pg_extension where not pg_has_role(extowner, 'usage')")


@dataclass(frozen=True, slots=True, kw_only=True)
class PgDump:
    """A running pg_dump and the session whose snapshot it reads; satisfies `Dump`."""

    conn: Connection
    before: Mapping[str, str]
    program: Program
    running: Running
    folder: Path

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
                why=f"pg_dump {outcome(status)}: {self.running.said() or 'it gave no reason'}",
                fix=_way_out(self.conn, self.folder, status),
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
                yield PgDump(conn=conn, before=before, program=program, running=process, folder=file.path.parent)
            conn.exec_driver_sql("ROLLBACK")

    def restore(
        self, archive: Path, into: Engine, *, program: Program, jobs: int, owners: bool, privileges: bool
    ) -> None:
        """Run pg_restore until its first error. Raises BackupUnproved with its own words."""
        found = clients.find(program.major, tls=clients.wants_tls(into.url))
        where, environment = clients.address(into.url)
        with into.connect(Purpose.READ) as conn:
            others = conn.execute(_OTHERS_EXTENSIONS).scalars().all()
        argv = [
            *(str(found.folder / _RESTORE), "--exit-on-error", "--no-password", f"--jobs={jobs}", f"--dbname={where}"),
            "--no-subscriptions",  # nobody may drop a database that has one
            *(() if owners else ("--no-owner",)),
            *(() if privileges else ("--no-privileges",)),
        ]
        comments = {f"COMMENT - EXTENSION {name}" for name in others}
        with self._without(comments, archive, program) as selection:
            self._restore([*argv, *selection, str(archive)], environment)

    @contextmanager
    def _without(self, things: Collection[str], archive: Path, program: Program) -> Iterator[tuple[str, ...]]:
        """Give the options that leave those lines of the table of contents out."""
        if not things:
            yield ()
            return
        lines = self._listing(archive, program)
        with NamedTemporaryFile("w", encoding="utf-8", prefix="handrail-list-") as file:
            file.writelines(f"{line}\n" for line in lines if line.split(" ", _NUMBERS)[-1].strip() not in things)
            file.flush()
            yield (f"--use-list={file.name}",)

    def _restore(self, argv: list[str], environment: Mapping[str, str]) -> None:
        with running(argv, env=environment) as process:
            status = process.wait()
            if status != 0:
                raise BackupUnproved(
                    what="the archive cannot be restored; the database it was made of was not touched",
                    why=f"pg_restore {outcome(status)}: {process.said() or 'it gave no reason'}",
                    fix="make a new backup: handrail backup create",
                )

    def contents(self, archive: Path, program: Program) -> frozenset[str]:
        """Return the table of contents that pg_restore reads: kind, schema, name and owner of each thing."""
        lines = self._listing(archive, program)
        return frozenset(line.split(" ", _NUMBERS)[-1] for line in lines if not line.startswith(";"))

    def _listing(self, archive: Path, program: Program) -> list[str]:
        found = clients.find(program.major, tls=False)
        with running([str(found.folder / _RESTORE), "--list", str(archive)], env=os.environ) as process:
            if process.wait() != 0:
                raise BackupUnproved(
                    what="the archive cannot be read; the database it was made of was not touched",
                    why=f"pg_restore says: {process.said() or 'nothing'}",
                    fix="make a new backup: handrail backup create",
                )
            return process.everything().splitlines()

    def owners(self, conn: Connection) -> tuple[Owner, ...]:
        """Return who owns what an archive gives to its owner."""
        return particulars.owners(conn)

    def particulars(self, conn: Connection) -> tuple[Particular, ...]:
        """Return what an archive keeps beside the schema's fingerprint, rows and grants."""
        return particulars.particulars(conn)

    def named(self, into: str) -> Engine:
        """Return the engine of a URL, or of the database of that name on the same server; nothing is opened."""
        return for_url(into if "://" in into else self._url.set(database=into))

    def create(self, into: Engine, like: Needs, source: Target) -> None:
        """Make the database where there is none. Raises TargetRefused, Unreachable."""
        restored.create(into, like, source)

    def filling(self, into: Engine, what: str) -> AbstractContextManager[None]:
        """Say so on the database until the block has ended well."""
        return restored.filling(into, what)

    def way_back(self, into: Engine) -> str:
        """Return the statement that drops it."""
        return restored.way_back(into.url)


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


def _way_out(conn: Connection, folder: Path, status: int) -> str:
    """Return what helps where pg_dump has failed, by what disk and server say: its own words are for people."""
    if status == -signal.SIGXFSZ or shutil.disk_usage(folder).free < _FULL_BYTES:
        return f"make room in {folder}, or set another folder: backup.directory of the environment"
    with suppress(DBAPIError):  # the server may be gone
        if conn.execute(_UNREADABLE).scalar_one():
            return _grant(str(conn.engine.url.username or "the user"))
    return "remove the cause, then make the backup again"


def _grant(user: str) -> str:
    return (
        f"{user} may not read everything; as a superuser: "
        f"GRANT pg_read_all_data TO {quote(user)} (and BYPASSRLS where rows are protected, and for large objects, "
        "which that role does not cover, GRANT SELECT ON LARGE OBJECT each)"
    )

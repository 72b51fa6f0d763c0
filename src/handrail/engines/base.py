"""What every engine offers, and the only choice of an engine by URL.

An engine is one object bound to one URL. Its rooms (`catalog`, `effects`, `statements`, `locks`, `activity`) are
modules of its package that satisfy the Protocols below, the same names in every engine. Flows never ask which it is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum
from importlib import import_module
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import URL, Connection, make_url
from sqlalchemy.exc import ArgumentError

from handrail.engines.archives import Backups
from handrail.engines.facts import Dependants, Sizes, Violations
from handrail.engines.integrity import Ground, Orphans, Rights, Sequences, Trials
from handrail.engines.sandboxes import Sandbox
from handrail.engines.usage import Plans, Usage
from handrail.errors import OnlyRead, UsageRefused
from handrail.model.effect import Blocker, Effect
from handrail.model.needs import Needs
from handrail.model.operation import StatementKind
from handrail.model.rows import RowDifference, RowsPrint, TablePrint
from handrail.model.schema import Snapshot
from handrail.model.session import SessionSettings
from handrail.model.target import Target

if TYPE_CHECKING:
    from handrail.model.action import Action


class Cause(Enum):
    """Why a driver raised, independent of driver and engine."""

    LOCK_TIMEOUT = "lock timeout"
    DEADLOCK = "deadlock"
    SERIALIZATION = "serialization failure"
    CANCELED = "statement canceled"
    CONNECTION_LOST = "connection lost"
    UNREACHABLE = "unreachable"
    WRONG_PASSWORD = "wrong password"  # noqa: S105 - the name of a cause
    NO_DATABASE = "no such database"
    DENIED = "permission denied"
    READ_ONLY = "read-only"
    DISK_FULL = "disk full"
    EXISTS = "object exists already"
    MISSING = "object does not exist"
    CONSTRAINT = "constraint violated"
    OTHER = "error"


class Purpose(Enum):
    """What a connection is for; the engine chooses driver, session settings and isolation by it.

    READ: a read-only session that leaves no trace, for status, history, dry runs and checks.
    STATE: autocommit, for our own tables and for looking at locks.
    MIGRATE: the project's own driver (a sync one where the URL names an async one); the migration runs on it.
    """

    READ = "read"
    STATE = "state"
    MIGRATE = "migrate"


class Landed(Enum):
    """Whether the effect of a statement is in the catalogue, looked at after an interruption.

    BROKEN: it is there but unusable (an invalid index) and must be discarded before the statement is sent again.
    """

    YES = "yes"
    NO = "no"
    BROKEN = "broken"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A reason not to migrate this database now: what, why and the way out, in the words of HandrailError."""

    what: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a long statement is: `done` of `total` units of its present phase; whether it waits for a session."""

    phase: str
    done: int
    total: int
    waits: bool = False


class Catalog(Protocol):
    """Reads the schema. Both leave out Handrail's own tables and `version_table` (`name` or `schema.name`)."""

    def fingerprint(self, conn: Connection, *, strict: bool = False, version_table: str = "alembic_version") -> str:
        """Return a hex digest of the whole schema; `strict` counts the order of columns too. One statement."""

    def snapshot(self, conn: Connection, *, version_table: str = "alembic_version") -> Snapshot:
        """Return the whole schema as a value."""


class Rows(Protocol):
    """Reads what tables hold. All leave out Handrail's own tables and read one snapshot where `conn` is in one."""

    def fingerprint(
        self, conn: Connection, *, tables: Collection[str] | None = None, strict: bool = False, buckets: bool = False
    ) -> RowsPrint:
        """Return the print of those tables (names as in a Snapshot), of all where None; one scan of each.

        `strict` tells equal values of different texts apart (1.0 and 1.00). `buckets` adds what `locate` needs, for
        about the same time again. Raises the driver's error where a row may not be read: it never silently sees less.
        """

    def locate(self, conn: Connection, expected: TablePrint, column: str) -> tuple[RowDifference, ...]:
        """Return the rows of `conn` in which that column is not what the print with buckets was made of.

        Without the original: each row that changed alone in its bucket is named with the value found; for the others
        one RowDifference without a key says how many buckets differ.
        """

    def compare(
        self, original: Connection, copy: Connection, table: str, column: str, *, limit: int = 20, strict: bool = False
    ) -> tuple[RowDifference, ...]:
        """Return the rows in which that column differs between two databases, by key, with both values."""


class Effects(Protocol):
    """Knows what statements do to others."""

    def effects(self, sql: str, *, server_major: int) -> tuple[Effect, ...]:
        """Return every lock the statement takes that others may feel; what is not understood is assumed the worst."""


class Actions(Protocol):
    """Knows what statements do to schema and rows."""

    def actions(self, sql: str) -> tuple[Action, ...]:
        """Return every action of the text in order; Opaque for what cannot be read or may do anything."""


class Statements(Protocol):
    """Reads SQL text of this engine's dialect."""

    def kind(self, sql: str) -> StatementKind:
        """Return what the statement is about; what is not understood is SCHEMA."""

    def answers(self, sql: str) -> bool:
        """Return whether it looks at the database, so that what its sender does next may depend on what is there."""

    def hide_literals(self, sql: str) -> str:
        """Return the statement with every literal replaced by `?`, for display."""

    def roles_made(self, sql: str) -> frozenset[str]:
        """Return the roles that it creates, with no look whether they exist; none where there are no roles."""

    def concurrent(self, sql: str) -> bool:
        """Return whether it is a long statement that must run outside a transaction and without lock_timeout."""

    def landed(self, conn: Connection, sql: str) -> Landed:
        """Return whether an interrupted statement took effect, from the catalogue."""

    def discard(self, sql: str) -> str | None:
        """Return the statement that removes a BROKEN leftover of `sql`; None where there can be none."""

    def progress(self, conn: Connection, pid: int) -> Progress | None:
        """Return how far the long statement of that session is, None where the server does not say."""


class Locks(Protocol):
    """Looks before we lock."""

    def blockers(self, conn: Connection, wanted: tuple[Effect, ...], *, older_than_s: float) -> tuple[Blocker, ...]:
        """Return who holds a lock that one of the wanted ones would wait for.

        Looked at are the relations, their partitions and children, and the tables at the other end of the foreign keys
        they sever. Only holders whose transaction is older than `older_than_s`; prepared transactions always. Oldest
        first. Relations that do not exist are skipped; the relation `*` asks for every user table.
        """

    def waiting_on(self, conn: Connection, pid: int) -> tuple[Blocker, ...]:
        """Return who holds what the session `pid` waits for at this moment."""

    def cancel_autovacuum(self, conn: Connection, pid: int) -> bool:
        """Ask that ordinary autovacuum to give way; False where we may not, or it is none."""

    def autovacuum_yields_after_s(self, conn: Connection) -> float:
        """Return how long a statement must wait for a lock until the server itself ends an autovacuum that holds it."""

    def set_lock_timeout(self, timeout_s: float | None, *, autocommit: bool = False) -> str | None:
        """Return the statement that bounds lock waits for the transaction; None seconds lifts the bound.

        With `autocommit` there is no transaction, and the bound holds for the session. None where the engine has no
        such setting.
        """

    def set_statement_timeout(self, timeout_s: float | None, *, autocommit: bool = False) -> str | None:
        """Return the statement that bounds each statement, and idling between two; None seconds lifts the bound.

        For the transaction, or with `autocommit` for the session. None where the engine has no such setting.
        """

    def try_lease(self, conn: Connection) -> bool:
        """Take the database-wide lock of Handrail's lease on this session; False when another session holds it."""

    def lease_taken(self, conn: Connection) -> bool:
        """Return whether any session holds the lease's lock now, without trying to take it."""

    def release_lease(self, conn: Connection) -> None:
        """Give the lease's lock back."""


class Activity(Protocol):
    """Sees what else goes on in the server."""

    def refusals(self, conn: Connection, *, oldest_transaction_s: float) -> tuple[Refusal, ...]:
        """Return every reason not to migrate now: standby, pooler, running dump, old transactions ..."""

    def reading_rights(self, user: str) -> str:
        """Return the statements that let a user look at Handrail's tables, '' where there are no rights to give."""

    def end_session(self, conn: Connection, pid: int, started: str) -> bool:
        """End the session of a dead run, only if pid and start time both agree; False where it is gone already."""

    def session(self, conn: Connection) -> tuple[int, str]:
        """Return pid and start time of our own session, as `end_session` wants them."""


class Engine(Protocol):
    """One database behind one URL."""

    name: str
    url: URL
    state_schema: str | None
    catalog: Catalog
    rows: Rows
    actions: Actions
    effects: Effects
    statements: Statements
    locks: Locks
    activity: Activity
    usage: Usage
    plans: Plans
    rights: Rights
    orphans: Orphans
    sequences: Sequences
    sizes: Sizes
    violations: Violations
    dependants: Dependants
    ground: Ground
    trials: Trials

    @property
    def backups(self) -> Backups:
        """What makes archives of this database."""

    def settled(self, session: SessionSettings, driver: str = "") -> Engine:
        """Return one for the same database whose sessions start so, and whose raw SQL was written for that driver."""

    def connect(self, purpose: Purpose, *, run: str = "") -> AbstractContextManager[Connection]:
        """Open one connection for that purpose, closed at the end; `run` is shown in the server's activity.

        Raises Unreachable (server, password, database: each with its own sentence) or TargetRefused.
        """

    def target(self, conn: Connection) -> Target:
        """Return the facts about the database behind `conn`."""

    def needs(self, conn: Connection) -> Needs:
        """Return what the database behind `conn` needs of a server, as far as its user may see."""

    def classify(self, exc: BaseException) -> Cause:
        """Return why a driver raised, by class and SQLSTATE, never by message."""

    def before_step(self, conn: Connection) -> None:
        """Prepare the session for one revision; called before BEGIN."""

    def before_commit(self, conn: Connection) -> tuple[str, ...]:
        """Return what the transaction has broken and must not be committed, one line each; usually nothing."""

    def after_step(self, conn: Connection) -> None:
        """Restore the session after a revision, committed or rolled back."""

    def shadow(self) -> Shadow | None:
        """Return an empty copy of the schema as it is now, None where one cannot be held in memory. Reads only."""

    def sandbox(self, *, server_major: int) -> AbstractContextManager[Sandbox]:
        """Start (or find) a server of that major version to work in. Raises SandboxUnavailable."""


class Shadow(Protocol):
    """An empty copy of a schema, made in memory when it is opened."""

    def open(self) -> AbstractContextManager[Connection | None]:
        """Make the copy and give its connection, in autocommit; it is gone at the end.

        None where this process cannot make it, as for want of an extension.
        """


_opening: ContextVar[bool] = ContextVar("handrail_opening", default=False)


@contextmanager
def opening() -> Iterator[None]:
    """Mark the connection attempts inside as Handrail's own, for the fence that keeps project code from connecting."""
    token = _opening.set(True)
    try:
        yield
    finally:
        _opening.reset(token)


def is_opening() -> bool:
    """Return whether the connection attempt in this context is Handrail's own."""
    return _opening.get()


@contextmanager
def transaction(conn: Connection) -> Iterator[None]:
    """Run what is inside as one transaction on a STATE connection, which commits each statement otherwise."""
    conn.exec_driver_sql("BEGIN")
    try:
        yield
    except BaseException:
        conn.exec_driver_sql("ROLLBACK")
        raise
    conn.exec_driver_sql("COMMIT")


#: Each has a module `database`, which a review of files alone never loads.
_PACKAGES = {"postgresql": "handrail.engines.postgresql", "sqlite": "handrail.engines.sqlite"}
#: Kinds of databases whose SQL is read (engines/dialects), and which are not connected to yet.
ONLY_READ = frozenset({"mysql", "mariadb"})


def _unreadable() -> UsageRefused:
    return UsageRefused(
        what="the database URL cannot be read; nothing was touched",
        why="it is not of the form dialect+driver://user@host:port/database, the password after the user's `:`",
        fix="correct the environment's url; in user and password write @ as %40, : as %3A, / as %2F, # as %23",
    )


def for_url(url: str | URL) -> Engine:
    """Return the engine for a SQLAlchemy URL: the only choice by scheme in Handrail. Raises UsageRefused."""
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError) as exc:  # a port that is no number is a ValueError
        raise _unreadable() from exc
    # SQLAlchemy ends a password at its first @: what follows would be looked up, and shown, as the host.
    if "@" in (parsed.host or ""):
        raise _unreadable()
    backend = parsed.get_backend_name()
    if backend in ONLY_READ:
        as_mariadb = " (mariadb where the server is one)" if backend == "mysql" else ""
        raise OnlyRead(
            what=f"{backend} databases are reviewed and not migrated yet; nothing was touched",
            why=f"Handrail connects to {' and '.join(sorted(_PACKAGES))}; of MySQL and MariaDB it reads the revisions",
            fix=f"handrail review --engine {backend}{as_mariadb}, and alembic upgrade to carry them out",
            dialect=backend,
        )
    package = _PACKAGES.get(backend)
    if package is None:
        raise UsageRefused(
            what=f"databases of the kind {backend!r} are not supported; nothing was touched",
            why=f"Handrail works on {', '.join(sorted(_PACKAGES))}",
            fix="correct the environment's url in [tool.handrail.environments]",
        )
    engine: Engine = import_module(f"{package}.database").engine(parsed)
    return engine

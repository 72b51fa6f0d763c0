"""The journal of runs: what was done where, kept beside the project (or in a database that a team shares).

It is progress and proof, never truth: where it and the target disagree, the target is right.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy import Column, Connection, Integer, MetaData, String, Table, Text
from sqlalchemy.exc import SQLAlchemyError

from handrail.engines.base import Engine, Purpose, for_url, transaction
from handrail.errors import HandrailError, JournalUnusable
from handrail.host import secrets
from handrail.journal import events, sightings, versions
from handrail.model.contract import AppVersion
from handrail.model.report import Happening
from handrail.model.run import (
    BackupProgressed,
    Committing,
    Event,
    LeaseTaken,
    Run,
    RunEnded,
    RunState,
    StatementDone,
    StatementSkipped,
    StatementStarted,
)
from handrail.model.sighting import Sighting

_OfStatement = StatementStarted | StatementSkipped | StatementDone
_LATE_S = 1.0
_AT_ONCE = (LeaseTaken, RunEnded)  # what was agreed to is there before the first step
_LATER = (StatementStarted, StatementDone, Committing)  # others may be waiting for our locks: not for our disk too
_MOST_STATEMENTS = 500
_METADATA = MetaData()
_RUNS = Table(
    "handrail_runs",
    _METADATA,
    Column("id", String(40), primary_key=True),
    Column("command", String(20), nullable=False),
    Column("environment", Text, nullable=False),
    Column("who", Text, nullable=False),
    Column("host", Text, nullable=False),
    Column("pid", Integer, nullable=False),
    Column("started_at", String(40), nullable=False),
    Column("start", Text, nullable=False),
    Column("goal", Text, nullable=False),
    Column("state", String(20), nullable=False),
    Column("ended_at", String(40)),
    Column("message", Text, nullable=False),
)
_EVENTS = Table(
    "handrail_events",
    _METADATA,
    Column("id", Integer, primary_key=True),
    Column("run", String(40), nullable=False, index=True),
    Column("at", String(40), nullable=False),
    Column("kind", String(40), nullable=False),
    Column("payload", Text, nullable=False),
)
_BINDINGS = Table(
    "handrail_bindings",
    _METADATA,
    Column("environment", String(200), primary_key=True),
    Column("identity", String(36), nullable=False),
    Column("log_head", String(64), nullable=False),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Binding:
    """Which database an environment was bound to, and the hash of the last log entry we wrote there."""

    environment: str
    identity: str
    log_head: str


class Journal:
    """The journal at one place. Nothing is opened or created before the first use that needs it."""

    def __init__(self, place: str, root: Path) -> None:
        self._path = None if "://" in place else root / place
        self._place = place

    @cached_property
    def _engine(self) -> Engine:
        """The journal's own engine; made late, because a run with nothing to do never asks. Raises JournalUnusable."""
        try:
            return for_url(self._place if self._path is None else f"sqlite:///{self._path}")
        except HandrailError as exc:  # its words are about an environment's url
            raise JournalUnusable(
                what="the journal cannot be opened; nothing was touched",
                why=exc.why,
                fix="journal in [tool.handrail] names a file, or the URL of a SQLite or PostgreSQL database",
            ) from exc

    @contextmanager
    def writer(self, run: Run, hide_literals: Callable[[str], str]) -> Iterator[EventWriter]:
        """Yield the subscriber that writes the run's events, on one connection. Raises JournalUnusable first."""
        with ExitStack() as stack:
            with self._writable():
                conn = stack.enter_context(self._open())
                conn.execute(_RUNS.insert().values(_row(run)))
            writer = EventWriter(conn, run, hide_literals)
            stack.callback(writer.write)
            yield writer

    def runs(self, environment: str | None = None) -> tuple[Run, ...]:
        """Return the runs of an environment, of all for None, newest first; () where there is no journal yet."""
        with self._reading() as conn:
            if conn is None:
                return ()
            query = _RUNS.select().order_by(_RUNS.c.started_at.desc())
            if environment is not None:
                query = query.where(_RUNS.c.environment == environment)
            return tuple(_run(row) for row in conn.execute(query).mappings())

    def happenings(self, run: str) -> tuple[Happening, ...]:
        """Return what was told of that run, in order; () where nothing was."""
        with self._reading() as conn:
            if conn is None:
                return ()
            query = _EVENTS.select().where(_EVENTS.c.run == run).order_by(_EVENTS.c.id)
            return tuple(_happening(row) for row in conn.execute(query).mappings())

    def binding(self, environment: str) -> Binding | None:
        """Return what the environment was bound to, None where it never was."""
        with self._reading() as conn:
            if conn is None:
                return None
            row = conn.execute(_BINDINGS.select().where(_BINDINGS.c.environment == environment)).mappings().first()
            return Binding(**row) if row else None

    def bind(self, binding: Binding) -> None:
        """Remember which database an environment is bound to. Raises JournalUnusable."""
        with self._writable(), self._open() as conn:
            _bind(conn, binding)

    def versions(self) -> tuple[AppVersion, ...]:
        """Return the registered versions of the application, in order; () where none ever was."""
        with self._reading() as conn:
            return versions.read(conn) if conn is not None and versions.exist(conn) else ()

    def keep_version(self, version: AppVersion) -> None:
        """Remember a version, in place of the one of its name. Raises JournalUnusable."""
        with self._writable(), self._open() as conn:
            versions.keep(conn, version)

    def sightings(self) -> tuple[Sighting, ...]:
        """Return when each version of the application was last seen where, newest first; () where none ever was."""
        with self._reading() as conn:
            return sightings.read(conn) if conn is not None else ()

    def keep_sightings(self, seen: Iterable[Sighting]) -> None:
        """Remember who was seen, in place of what was seen of the same before. Raises JournalUnusable."""
        with self._writable(), self._open() as conn:
            sightings.keep(conn, seen)

    @contextmanager
    def _open(self) -> Iterator[Connection]:
        if self._path is not None:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            ignore = self._path.parent / ".gitignore"
            if self._path.parent.name == ".handrail" and not ignore.exists():
                ignore.write_text("*\n", encoding="utf-8")
        with self._engine.connect(Purpose.STATE) as conn:
            _create(conn)
            yield conn

    @contextmanager
    def _reading(self) -> Iterator[Connection | None]:
        if self._path is not None and not self._path.exists():
            yield None
            return
        with ExitStack() as stack:
            try:
                conn = stack.enter_context(self._engine.connect(Purpose.READ))
                known = sa.inspect(conn).has_table(_RUNS.name)
            except (HandrailError, SQLAlchemyError) as exc:
                raise self._unusable("read", exc) from exc
            yield conn if known else None

    @contextmanager
    def _writable(self) -> Iterator[None]:
        try:
            yield
        except (OSError, SQLAlchemyError, HandrailError) as exc:
            raise self._unusable("written", exc) from exc

    def _unusable(self, verb: str, exc: Exception) -> JournalUnusable:
        why = exc.why if isinstance(exc, HandrailError) else f"{type(exc).__name__}: {str(exc).splitlines()[0]}"
        return JournalUnusable(
            what=f"the journal cannot be {verb}; nothing was touched",
            why=secrets.mask(f"{self._path or self._engine.url.render_as_string()}: {why}"),
            fix="repair the place or move it away, or set another one: [tool.handrail] journal",
        )


class EventWriter:
    """Writes the events of one run, of statements without their literals.

    Of one attempt the first statements and the last one are kept: a revision may send one for each row of a table.
    Events are written together, mostly a second late, since each write waits for the disk, and never while a
    transaction is open. A journal that fails in the middle never stops a migration: the first failure is kept in
    `broken`, and the rest is not written.
    """

    def __init__(self, conn: Connection, run: Run, hide_literals: Callable[[str], str]) -> None:
        self._conn = conn
        self._run = run
        self._hide_literals = hide_literals
        self._pending: list[tuple[datetime, Event]] = []
        self._beyond: list[tuple[datetime, _OfStatement]] = []
        self._ended = False
        self._written_at = time.monotonic()
        self.broken = ""

    def __call__(self, event: Event) -> None:
        """Write one event."""
        self.tell(datetime.now(UTC), event)
        late = time.monotonic() - self._written_at > _LATE_S
        if isinstance(event, _AT_ONCE) or (late and not isinstance(event, _LATER)):
            self.write()

    def tell(self, at: datetime, event: Event) -> None:
        """Keep an event that happened then, to be written with the next one."""
        if isinstance(event, RunEnded):
            self._run, self._ended = event.run, True
            return
        if isinstance(event, BackupProgressed) and event.done:  # told every second of a dump that may take hours
            return
        if isinstance(event, _OfStatement) and event.index >= _MOST_STATEMENTS:
            self._beyond = [*(told for told in self._beyond if told[1].index == event.index), (at, event)]
            return
        self._pending += [*self._beyond, (at, event)]
        self._beyond = []

    def write(self) -> None:
        """Write what was told and is not written yet."""
        if self.broken or not (self._pending or self._ended):
            return
        with self._tolerant():
            with transaction(self._conn):
                if self._pending:
                    self._conn.execute(_EVENTS.insert(), [self._event_row(*told) for told in self._pending])
                self._conn.execute(_RUNS.update().where(_RUNS.c.id == self._run.id).values(_row(self._run)))
            self._pending, self._ended = [], False
            self._written_at = time.monotonic()

    def _event_row(self, at: datetime, event: Event) -> dict[str, str]:
        payload = events.encode(event, self._hide_literals)
        return {"run": self._run.id, "at": at.isoformat(), "kind": type(event).__name__, "payload": payload}

    def bound(self, binding: Binding) -> None:
        """Remember which database the run's environment is, and where its log stands."""
        with self._tolerant():
            _bind(self._conn, binding)

    def anchored(self, environment: str, log_head: str) -> None:
        """Remember the hash of the last log entry, so that a log that was cut off later is noticed."""
        if log_head:
            with self._tolerant():
                self._conn.execute(
                    _BINDINGS.update().where(_BINDINGS.c.environment == environment).values(log_head=log_head)
                )

    @contextmanager
    def _tolerant(self) -> Iterator[None]:
        try:
            yield
        except SQLAlchemyError as exc:
            self.broken = secrets.mask(f"{type(exc).__name__}: {str(exc).splitlines()[0]}")


def _create(conn: Connection) -> None:
    """Make the journal's tables where they are missing; several first runs may do so at once."""
    if sa.inspect(conn).has_table(_RUNS.name):
        return
    try:
        with transaction(conn):
            _METADATA.create_all(conn)
    except SQLAlchemyError:
        if not sa.inspect(conn).has_table(_RUNS.name):
            raise


def _bind(conn: Connection, binding: Binding) -> None:
    mine = _BINDINGS.c.environment == binding.environment
    if conn.execute(_BINDINGS.select().where(mine, _BINDINGS.c.identity == binding.identity)).first():
        return  # bound already; its log_head stays
    conn.execute(_BINDINGS.delete().where(mine))
    conn.execute(_BINDINGS.insert().values(asdict(binding)))


def _happening(row: sa.RowMapping) -> Happening:
    return Happening(at=datetime.fromisoformat(row["at"]), event=events.decode(row["kind"], row["payload"]))


def _row(run: Run) -> dict[str, object]:
    return asdict(run) | {
        "state": run.state.value,
        "started_at": run.started_at.isoformat(),
        "ended_at": run.ended_at.isoformat() if run.ended_at else None,
        "start": json.dumps(run.start),
        "goal": json.dumps(run.goal),
        "message": secrets.mask(run.message),
    }


def _run(row: sa.RowMapping) -> Run:
    return Run(
        id=row["id"],
        command=row["command"],
        environment=row["environment"],
        who=row["who"],
        host=row["host"],
        pid=row["pid"],
        started_at=datetime.fromisoformat(row["started_at"]),
        start=tuple(json.loads(row["start"])),
        goal=tuple(json.loads(row["goal"])),
        state=RunState(row["state"]),
        ended_at=datetime.fromisoformat(row["ended_at"]) if row["ended_at"] else None,
        message=row["message"],
    )

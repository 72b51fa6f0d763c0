"""One attempt at one step: what is done around each of its statements, and before its COMMIT."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Landed
from handrail.errors import StepFailed
from handrail.flows.ports import Ports
from handrail.flows.run.bounds import Bounds
from handrail.flows.run.progress import ProgressWatch
from handrail.flows.standing import halfway
from handrail.history.fencing.wire import ends_transaction
from handrail.history.files.graph import revision_map
from handrail.history.files.imports import local_imports
from handrail.history.stage import heads_after
from handrail.journal import log, statement_log
from handrail.journal.lease import Lease
from handrail.model.log import LogEntry
from handrail.model.operation import Origin, StatementKind
from handrail.model.plan import Step, statement_digest
from handrail.model.run import Committing, Run, StatementDone, StatementSkipped, StatementStarted
from handrail.model.standing import DONE, INTENT, StatementRecord
from handrail.model.verdict import Confidence


@dataclass(slots=True, kw_only=True)
class Session:
    """What the steps of one run share: the connection that migrates, the one that watches, and where they stand.

    `heads` are the version table's rows now, `log_head` is the hash of the last log entry, '' where it is not known.
    """

    ports: Ports
    run: Run
    lease: Lease
    conn: Connection
    watch: Connection
    server_major: int
    heads: tuple[str, ...]
    log_head: str = ""


class Attempt:
    """What happens around each statement of one attempt at one step; the Hooks of history.execute."""

    def __init__(self, session: Session, step: Step, bounds: Bounds) -> None:
        self._s = session
        self._bounds = bounds
        self._step = step
        nodes = revision_map(session.ports.graph)
        self.heads_after = heads_after(nodes, session.heads, step.revision, step.direction)
        self._began = session.ports.clock.monotonic()
        self._index = -1
        self._ordinal = -1
        self._sent_at = 0.0
        self._in_transaction = False
        self._open_intent: StatementRecord | None = None
        # what is not read exactly may commit in the middle, so it is logged like what is known to
        self._logged = step.resumable or not step.exact
        self._watch = ProgressWatch(session)
        records = statement_log.read(session.watch, session.ports.engine) if self._logged else ()
        self._known = {r.ordinal: r for r in records if (r.revision, r.direction) == (step.revision.id, step.direction)}
        self.log_entry: LogEntry | None = None

    def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:
        """Bound the statement's locks, note it where a crash would matter; False when it is done already."""
        self._index += 1
        kind = self._kind(sql, origin)
        if self._counts(kind, origin):
            self._ordinal += 1
            if self._done_earlier(sql):
                self._s.ports.emit(StatementSkipped(revision=self._step.revision.id, index=self._index, sql=sql))
                return False
        if autocommit:
            self._leave_transaction()
            if self._counts(kind, origin):
                self._intend(sql)
                self._watch.start(self._step.revision.id, sql)
        else:
            self._enter_transaction()
        # Alembic's own write at the end stays under the bound of the lock before it: it must not wait for long either.
        if origin is Origin.REVISION:
            self._bound(sql, kind, autocommit=autocommit)
        self._s.ports.emit(StatementStarted(revision=self._step.revision.id, index=self._index, sql=sql))
        self._sent_at = self._s.ports.clock.monotonic()
        return True

    def after(self, sql: str, *, origin: Origin, autocommit: bool) -> None:
        """Note that the statement is done."""
        seconds = self._s.ports.clock.monotonic() - self._sent_at
        self._watch.stop()
        self._open_intent = None
        kind = self._kind(sql, origin)
        if self._logged and self._counts(kind, origin):
            statement_log.write(self._s.conn, self._s.ports.engine, self._record(sql, DONE))
        self._s.ports.emit(StatementDone(revision=self._step.revision.id, index=self._index, seconds=seconds))
        if autocommit or ends_transaction(sql):  # the revision's own COMMIT: the next statement begins another
            self._leave_transaction()

    def before_commit(self) -> None:
        """Check what must hold at COMMIT, and write the log in the same transaction.

        The lease needs no second look: since the first one its row is held FOR KEY SHARE, so nobody can take it over.
        """
        s = self._s
        self._enter_transaction()
        self._bounds.check_hold()
        broken = s.ports.engine.before_commit(s.conn)
        if broken:
            raise StepFailed(
                what=f"{self._step.revision.id} would break rows",
                why="; ".join(broken[:5]),
                fix="repair the rows or the revision, then run again",
            )
        if self._logged:
            statement_log.forget(s.conn, s.ports.engine, self._step.revision.id)
        self.log_entry = log.append(s.conn, s.ports.engine, self._entry(), after=s.log_head)
        s.ports.emit(Committing(revision=self._step.revision.id))

    def refuse_undecidable(self) -> None:
        """Raise Halfway where an earlier run has begun what may not be the same statements this time."""
        if self._known and not self._step.exact:
            raise halfway.unrepeatable(self._s.ports, tuple(self._known.values()), self._step.recorded.reason)

    def end_watch(self) -> None:
        """Let nobody look at the statement in flight any more, however the attempt ended."""
        self._watch.stop()

    def clear_away(self) -> None:
        """Undo what a statement outside a transaction has left that failed: its intent, and an unusable index.

        What cannot be cleared away now stays in the statement log, for `resume`.
        """
        record, engine = self._open_intent, self._s.ports.engine
        if record is None:
            return
        effects = engine.effects.effects(record.sql, server_major=self._s.server_major)
        rows = engine.statements.kind(record.sql) is StatementKind.DATA  # undone whole, whatever functions it called
        if not rows and any(e.confidence is Confidence.LOW for e in effects):  # a procedure may have committed before
            return
        with suppress(DBAPIError):  # somebody holds the table for longer than we wait
            discard = engine.statements.discard(record.sql)
            if discard and engine.statements.landed(self._s.watch, record.sql) is Landed.BROKEN:
                self._s.watch.exec_driver_sql(discard)
            statement_log.drop(self._s.watch, engine, record)

    def _done_earlier(self, sql: str) -> bool:
        known = self._known.get(self._ordinal)
        if known is None:
            return False
        if known.digest != statement_digest(sql) or known.file_digest != self._step.revision.digest:
            raise halfway.unrepeatable(
                self._s.ports, tuple(self._known.values()), "the revision is not the one that was begun"
            )
        if known.state == DONE:
            return True
        engine = self._s.ports.engine
        match engine.statements.landed(self._s.watch, sql):
            case Landed.YES:
                return True
            case Landed.NO:
                return False
            case Landed.BROKEN:
                discard = engine.statements.discard(sql)
                if discard is None:
                    raise halfway.in_flight(self._s.ports, known, "its leftover cannot be removed")
                self._s.watch.exec_driver_sql(discard)
                return False
            case _:
                raise halfway.in_flight(self._s.ports, known, "the catalogue does not tell whether it took effect")

    def _kind(self, sql: str, origin: Origin) -> StatementKind:
        """Return what the statement is about; Alembic's own need no reading."""
        return self._s.ports.engine.statements.kind(sql) if origin is Origin.REVISION else StatementKind.DATA

    @staticmethod
    def _counts(kind: StatementKind, origin: Origin) -> bool:
        """Whether the statement leaves something behind: reads and settings are sent again, Alembic's own are its."""
        return origin is Origin.REVISION and kind not in {StatementKind.READ, StatementKind.SESSION}

    def _intend(self, sql: str) -> None:
        self._s.lease.check(self._s.conn)
        record = self._record(sql, INTENT)
        statement_log.write(self._s.conn, self._s.ports.engine, record)
        self._open_intent = record

    def _record(self, sql: str, state: str) -> StatementRecord:
        return StatementRecord(
            revision=self._step.revision.id,
            direction=self._step.direction,
            ordinal=self._ordinal,
            run=self._s.run.id,
            digest=statement_digest(sql),
            sql=sql,
            state=state,
            file_digest=self._step.revision.digest,
        )

    def _enter_transaction(self) -> None:
        if not self._in_transaction:
            self._in_transaction = True
            self._s.lease.check(self._s.conn)

    def _leave_transaction(self) -> None:
        self._in_transaction = False
        self._bounds.transaction_ended()

    def _bound(self, sql: str, kind: StatementKind, *, autocommit: bool) -> None:
        if kind is StatementKind.SESSION:
            self._bounds.doubt()
        elif kind is not StatementKind.READ:
            self._bounds.settle(sql, autocommit=autocommit)

    def _entry(self) -> LogEntry:
        s, revision = self._s, self._step.revision
        return LogEntry(
            run=s.run.id,
            at=_rfc3339(s.ports.clock.now()),
            who=f"{s.run.who}@{s.run.host}",
            environment=s.ports.environment.name,
            revision=revision.id,
            direction=self._step.direction,
            heads_before=tuple(sorted(s.heads)),
            heads_after=self.heads_after,
            file=revision.path.name,
            file_digest=revision.digest,
            source=revision.code,
            imports=local_imports(revision, s.ports.project),
            duration_ms=round((s.ports.clock.monotonic() - self._began) * 1000),
        )


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

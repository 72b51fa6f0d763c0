"""One attempt at one step: what is done around each of its statements, and before its COMMIT."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from handrail.engines.base import Landed
from handrail.errors import Halfway, StepFailed
from handrail.flows.ports import Ports
from handrail.flows.progress import ProgressWatch
from handrail.history.imports import local_imports
from handrail.journal import log, statement_log
from handrail.journal.lease import Lease
from handrail.model.effect import Effect
from handrail.model.log import LogEntry
from handrail.model.operation import Origin, StatementKind
from handrail.model.plan import Step, moved, statement_digest
from handrail.model.run import Committing, Run, StatementDone, StatementSkipped, StatementStarted
from handrail.model.standing import DONE, INTENT, StatementRecord


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

    def __init__(self, session: Session, step: Step) -> None:
        self._s = session
        self._step = step
        self._began = session.ports.clock.monotonic()
        self._index = -1
        self._ordinal = -1
        self._sent_at = 0.0
        self._in_transaction = False
        self._lock_bounded = False
        self._statement_bound_s: float | None = None
        self._strong_since: float | None = None
        self.strong_lock = ""
        self._created: set[str] = set()
        self._open_intent: StatementRecord | None = None
        # what is not read exactly may commit in the middle, so it is logged like what is known to
        self._logged = step.resumable or not step.exact
        self._watch = ProgressWatch(session)
        records = statement_log.read(session.watch, session.ports.engine) if self._logged else ()
        self._known = {r.ordinal: r for r in records if r.revision == step.revision.id}
        self.log_entry: LogEntry | None = None

    @property
    def holds_strong_lock(self) -> bool:
        """Whether the transaction holds a lock that others wait for."""
        return self._strong_since is not None

    def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:
        """Bound the statement's locks, note it where a crash would matter; False when it is done already."""
        self._index += 1
        kind = self._s.ports.engine.statements.kind(sql)
        if kind is not StatementKind.READ:
            self._ordinal += 1
            if origin is Origin.REVISION and self._done_earlier(sql):
                self._s.ports.emit(StatementSkipped(revision=self._step.revision.id, index=self._index, sql=sql))
                return False
        if autocommit:
            self._leave_transaction()
            if kind is not StatementKind.READ:
                self._intend(sql)
                self._watch.start(self._step.revision.id, sql)
        else:
            self._enter_transaction()
            if kind is not StatementKind.READ and origin is Origin.REVISION:
                self._bound(sql)
        self._s.ports.emit(StatementStarted(revision=self._step.revision.id, index=self._index, sql=sql))
        self._sent_at = self._s.ports.clock.monotonic()
        return True

    def after(self, sql: str, *, origin: Origin, autocommit: bool) -> None:
        """Note that the statement is done."""
        seconds = self._s.ports.clock.monotonic() - self._sent_at
        self._watch.stop()
        self._open_intent = None
        kind = self._s.ports.engine.statements.kind(sql)
        if self._logged and origin is Origin.REVISION and kind is not StatementKind.READ:
            statement_log.write(self._s.conn, self._s.ports.engine, self._record(sql, DONE))
        self._s.ports.emit(StatementDone(revision=self._step.revision.id, index=self._index, seconds=seconds))
        del autocommit

    def before_commit(self) -> None:
        """Check what must hold at COMMIT, and write the log in the same transaction."""
        s = self._s
        self._enter_transaction()
        broken = s.ports.engine.before_commit(s.conn)
        if broken:
            raise StepFailed(
                what=f"{self._step.revision.id} would break rows; the database is as it was before this revision",
                why="; ".join(broken[:5]),
                fix="repair the rows or the revision, then run again",
            )
        if self._logged:
            statement_log.forget(s.conn, s.ports.engine, self._step.revision.id)
        s.lease.check(s.conn)
        self.log_entry = log.append(s.conn, s.ports.engine, self._entry(), after=s.log_head)
        s.ports.emit(Committing(revision=self._step.revision.id))

    def discard_broken(self) -> None:
        """Remove the unusable leftover of a concurrent statement that failed."""
        self._watch.stop()
        record, engine = self._open_intent, self._s.ports.engine
        if record is None:
            return
        discard = engine.statements.discard(record.sql)
        if discard and engine.statements.landed(self._s.watch, record.sql) is Landed.BROKEN:
            self._s.watch.exec_driver_sql(discard)
        if engine.statements.landed(self._s.watch, record.sql) is Landed.NO:
            statement_log.drop(self._s.watch, engine, record)

    def _done_earlier(self, sql: str) -> bool:
        known = self._known.get(self._ordinal)
        if known is None:
            return False
        if known.digest != statement_digest(sql) or known.file_digest != self._step.revision.digest:
            raise self._undecided(known, "the revision's file has changed since")
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
                    raise self._undecided(known, "its leftover cannot be removed")
                self._s.watch.exec_driver_sql(discard)
                return False
            case _:
                raise self._undecided(known, "the catalogue does not tell whether it took effect")

    def _undecided(self, record: StatementRecord, why: str) -> Halfway:
        sql = self._s.ports.engine.statements.hide_literals(record.sql)
        return Halfway(
            what=f"revision {record.revision} stands half applied and cannot be finished by itself",
            why=f"statement {record.ordinal + 1} ({sql}) was in flight, and {why}",
            fix=(
                "look whether it took effect; if it did, finish the revision by hand and `alembic stamp` it, "
                f"if not, undo the statements before it; then: handrail resume -e {self._s.ports.environment.name}"
            ),
        )

    def _intend(self, sql: str) -> None:
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
        self._in_transaction = self._lock_bounded = False
        self._statement_bound_s = self._strong_since = None

    def _bound(self, sql: str) -> None:
        """Set lock_timeout for a statement with a strong lock and lift it for others; keep within lock.hold."""
        effects = self._s.ports.engine.effects.effects(sql, server_major=self._s.server_major)
        self._created.update(e.relation for e in effects if e.created_here)
        strong = next((e for e in effects if e.strong and e.relation not in self._created), None)
        locks, policy = self._s.ports.engine.locks, self._s.ports.environment.lock
        settings: list[str | None] = []
        if (strong is not None) is not self._lock_bounded:
            settings.append(locks.set_lock_timeout(policy.timeout.total_seconds() if strong else None))
            self._lock_bounded = strong is not None
        if strong is not None and self._strong_since is None:
            self._strong_since = self._s.ports.clock.monotonic()
            self.strong_lock = _name(strong)
        if self._strong_since is not None:
            settings.append(self._statement_bound(policy.hold.total_seconds()))
        for setting in settings:
            if setting:
                self._s.conn.exec_driver_sql(setting)

    def _statement_bound(self, hold_s: float) -> str | None:
        """Return the setting that keeps the next statement within lock.hold, None while the last one still does."""
        left_s = max(0.001, hold_s - (self._s.ports.clock.monotonic() - (self._strong_since or 0.0)))
        if self._statement_bound_s is not None and left_s > self._statement_bound_s / 2:
            return None
        self._statement_bound_s = left_s
        return self._s.ports.engine.locks.set_statement_timeout(left_s)

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
            heads_after=tuple(sorted(moved(s.heads, revision, self._step.direction))),
            file=revision.path.name,
            file_digest=revision.digest,
            source=revision.source,
            imports=local_imports(revision, s.ports.project),
            duration_ms=round((s.ports.clock.monotonic() - self._began) * 1000),
        )


def _name(effect: Effect) -> str:
    return f"{effect.lock} on {effect.relation}"


def _rfc3339(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

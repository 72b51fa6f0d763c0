"""One run at a time on a database: a lock of the server's, and a row that says who, since when, and with which token.

The lock is tried and polled, never waited for inside the server: a session that blocks in pg_advisory_lock holds a
snapshot that CREATE INDEX CONCURRENTLY would wait for. The token fences: each step reads it FOR KEY SHARE in its own
transaction, which keeps others from taking the lease over until it ends: a run that lost its lease cannot commit.
"""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Engine, Purpose
from handrail.errors import ConnectionLost, HandrailError, Interrupted, LeaseHeld, LeaseLost
from handrail.host.clock import Clock
from handrail.host.signals import Stop
from handrail.journal.tables import create, exist, tables
from handrail.model.run import Event, LeaseTaken, LeaseWaiting, Run
from handrail.model.standing import LeaseRow

_HEARTBEAT_S = 5.0
_POLL_S = 0.25
_HELD = "held"
_RELEASED = "released"


def read(conn: Connection, engine: Engine) -> LeaseRow | None:
    """Return the lease's row, None where none was ever taken. Our tables must exist."""
    table = tables(engine).lease
    row = conn.execute(sa.select(table, sa.func.current_timestamp().label("now"))).mappings().first()
    if row is None:
        return None
    return LeaseRow(
        token=row["token"],
        run=row["run"],
        command=row["command"],
        goal=tuple(json.loads(row["goal"])),
        owner=row["owner"],
        held=row["state"] == _HELD,
        session_pid=row["session_pid"],
        session_started=row["session_started"] or "",
        heartbeat_age_s=max(0.0, (_aware(row["now"]) - _aware(row["heartbeat_at"])).total_seconds()),
    )


def _aware(moment: datetime | str) -> datetime:
    parsed = datetime.fromisoformat(moment) if isinstance(moment, str) else moment
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)


@dataclass(kw_only=True)
class Lease:
    """The lease while we hold it. The row goes on telling of the run before, finished or not, until `begin`."""

    engine: Engine
    conn: Connection
    token: int
    begun: bool = False

    @cached_property
    def _token(self) -> sa.Select[int]:
        return sa.select(tables(self.engine).lease.c.token).with_for_update(read=True, key_share=True)

    def check(self, conn: Connection) -> None:
        """Make sure, in the transaction of `conn`, that the lease is ours until it ends. Raises LeaseLost."""
        token = conn.execute(self._token).scalar()
        if token != self.token:
            raise LeaseLost(
                what="another run has taken the lease; the step in flight was rolled back",
                why=f"the fencing token is {token}, ours was {self.token}",
                fix="look who it is: handrail status",
            )

    def begin(self, run: Run, conn: Connection) -> None:
        """Write down where the run goes, for `resume`. Call when nothing can refuse it any more.

        The session of `conn`, which migrates, is written too, so that it can be ended if we die and it does not notice.
        """
        pid, started = self.engine.activity.session(conn)
        table = tables(self.engine).lease
        going = {"run": run.id, "command": run.command, "goal": json.dumps(run.goal), "state": _HELD}
        mine = table.update().where(table.c.token == self.token)
        self.conn.execute(mine.values(**going, session_pid=pid, session_started=started))
        self.begun = True


@contextmanager
def hold(
    engine: Engine, run: Run, *, wait: timedelta, clock: Clock, stop: Stop, emit: Callable[[Event], None]
) -> Iterator[Lease]:
    """Take the lease for that run, keep it alive, and give it back at the end.

    A run that is interrupted or cut off leaves its row as it is, so that `resume` knows where it was going; one that
    never began leaves the row of the run before. Raises LeaseHeld after `wait`, Interrupted where a signal asked to
    stop meanwhile.
    """
    with engine.connect(Purpose.STATE, run=run.id) as conn:
        _take_lock(conn, engine, wait=wait, clock=clock, stop=stop, emit=emit)
        try:
            create(conn, engine)
            lease = _take_row(conn, engine, run)
            with _beating(lease, run):
                try:
                    emit(LeaseTaken(token=lease.token))
                    yield lease
                except (ConnectionLost, Interrupted, KeyboardInterrupt):
                    raise
                except BaseException:
                    _give_back(conn, engine, lease)
                    raise
            _give_back(conn, engine, lease)
        finally:
            with suppress(DBAPIError):
                if not conn.invalidated:  # the server gives the lock back with the session
                    engine.locks.release_lease(conn)


def _take_lock(
    conn: Connection, engine: Engine, *, wait: timedelta, clock: Clock, stop: Stop, emit: Callable[[Event], None]
) -> None:
    deadline = clock.monotonic() + wait.total_seconds()
    announced = False
    while not engine.locks.try_lease(conn):
        row = read(conn, engine) if exist(conn, engine) else None
        holder = row.describe() if row else "a run that has just begun"
        if clock.monotonic() >= deadline:
            raise LeaseHeld(
                what="another run holds the lease of this database; nothing was touched",
                why=holder,
                fix="wait for it and look again: handrail status",
            )
        if stop.requested:
            raise stop.error(
                what="stopped while waiting for the lease; nothing was touched",
                fix="look who holds it: handrail status",
            )
        if not announced:
            emit(LeaseWaiting(holder=holder))
            announced = True
        clock.sleep(_POLL_S * random.uniform(0.5, 1.5))  # noqa: S311 - jitter between runners, not a secret


def _take_row(conn: Connection, engine: Engine, run: Run) -> Lease:
    table = tables(engine).lease
    before = read(conn, engine)
    token = (before.token if before else 0) + 1
    if before and before.held and before.session_pid is not None:
        engine.activity.end_session(conn, before.session_pid, before.session_started)
    taken = {
        "token": token,
        "owner": f"run {run.id} of {run.who} (pid {run.pid})",
        "session_pid": None,
        "session_started": None,
        "taken_at": sa.func.current_timestamp(),
        "heartbeat_at": sa.func.current_timestamp(),
    }
    if before:
        conn.execute(table.update().values(taken))
    else:
        nowhere = {"run": run.id, "command": run.command, "goal": json.dumps(run.start), "state": _RELEASED}
        conn.execute(table.insert().values(id=1, **nowhere, **taken))
    return Lease(engine=engine, conn=conn, token=token)


def _give_back(conn: Connection, engine: Engine, lease: Lease) -> None:
    if not lease.begun:
        return
    table = tables(engine).lease
    with suppress(DBAPIError):  # a lost connection leaves the row as that of an interrupted run, which is what it is
        conn.execute(table.update().where(table.c.token == lease.token).values(state=_RELEASED))


@contextmanager
def _beating(lease: Lease, run: Run) -> Iterator[None]:
    stop = threading.Event()
    beat = threading.Thread(target=_beat, args=(lease, run, stop), name="handrail-heartbeat", daemon=True)
    beat.start()
    try:
        yield
    finally:
        stop.set()
        beat.join()


def _beat(lease: Lease, run: Run, stop: threading.Event) -> None:
    table = tables(lease.engine).lease
    beat = table.update().where(table.c.token == lease.token).values(heartbeat_at=sa.func.current_timestamp())
    while not stop.wait(_HEARTBEAT_S):
        # a missed beat only makes us look older; the lock, not the beat, decides who holds the lease
        with suppress(DBAPIError, HandrailError), lease.engine.connect(Purpose.STATE, run=run.id) as conn:
            conn.execute(beat)

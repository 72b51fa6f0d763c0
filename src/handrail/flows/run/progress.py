"""Tells how far a long statement is, from a session of its own, while ours is busy with it."""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Purpose
from handrail.errors import HandrailError
from handrail.model.run import Progressed

if TYPE_CHECKING:
    from handrail.flows.run.attempt import Session

_LOOK_EVERY_S = 0.5
#: How often a phase is told that goes on and waits for the same sessions.
_TELL_EVERY_S = 5.0
_LAST_LOOK_S = 5.0


class ProgressWatch:
    """Looks at one long statement after another; does nothing for short ones."""

    def __init__(self, session: Session) -> None:
        self._s = session
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, revision: str, sql: str) -> None:
        """Begin to watch, when the statement is of the kind that takes long and reports its progress."""
        if not self._s.ports.engine.statements.concurrent(sql):
            return
        pid, _ = self._s.ports.engine.activity.session(self._s.conn)
        self._stop = threading.Event()  # one each: a look that hangs must not take the next start for its own
        self._thread = threading.Thread(
            target=self._look, args=(revision, pid, self._stop), name="handrail-progress", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """End the watch; also when there was none. Nothing is told any more, even where the server does not answer."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(_LAST_LOOK_S)
            self._thread = None

    def _look(self, revision: str, pid: int, stop: threading.Event) -> None:
        engine = self._s.ports.engine
        # progress is a courtesy: a look that fails must not disturb the statement it looks at
        with suppress(DBAPIError, HandrailError), engine.connect(Purpose.STATE, run=self._s.run.id) as conn:
            told: tuple[object, ...] = ()
            told_at = 0.0
            while not stop.wait(_LOOK_EVERY_S):
                progress = engine.statements.progress(conn, pid)
                if progress is None:
                    continue
                blockers = engine.locks.waiting_on(conn, pid) if progress.waits else ()
                news = (progress.phase, *((blocker.pid, blocker.gid) for blocker in blockers))
                if stop.is_set() or (news == told and time.monotonic() - told_at < _TELL_EVERY_S):
                    continue
                told, told_at = news, time.monotonic()
                self._s.ports.emit(
                    Progressed(
                        revision=revision,
                        phase=progress.phase,
                        done=progress.done,
                        total=progress.total,
                        blockers=blockers,
                    )
                )

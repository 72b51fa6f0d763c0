"""The fence: while it is up, project code opens no connection that Handrail did not choose."""

from __future__ import annotations

import functools
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, cast

from sqlalchemy import URL
from sqlalchemy.pool import Pool

from handrail.engines.base import is_opening, opening
from handrail.errors import FenceBreach
from handrail.history.fencing import drivers
from handrail.history.fencing.guard import caller
from handrail.history.fencing.nulldb import NullConnection, NullDialect, Tape, null_dialect
from handrail.history.fencing.surroundings import Surroundings, replaced
from handrail.history.fencing.wire import Sent
from handrail.model.operation import Place

if TYPE_CHECKING:
    from sqlalchemy.engine.default import DefaultDialect

    from handrail.model.replayed import Replayed

_Creator = Callable[..., object]
_WrapCreator = Callable[[Pool, _Creator], _Creator]
_Entrypoint = Callable[[URL], "type[DefaultDialect]"]


class Fence(Enum):
    """What becomes of a connection that project code tries to open.

    NULL: it gets one to a database that executes nothing, for reading the project.
    REFUSE: it gets a FenceBreach, for running a migration on the connection Handrail opened.
    """

    NULL = "null"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConnectionAttempt:
    """One connection that project code tried to open: by what, and at which of its lines."""

    what: str
    place: Place | None

    def __str__(self) -> str:
        return f"{self.what} at {self.place.file}:{self.place.line}" if self.place else self.what


class Fenced:
    """The fence while it is up."""

    def __init__(self, mode: Fence, *, server_major: int | None = None) -> None:
        self.mode = mode
        self.listener: Tape | None = None
        self._server_major = server_major
        self._attempts: list[ConnectionAttempt] = []
        # What a migration really starts in an environment belongs to its operator; what is only read gets nothing.
        self._surroundings = Surroundings(scrub=mode is Fence.NULL)

    @property
    def attempts(self) -> tuple[ConnectionAttempt, ...]:
        """Every connection tried so far."""
        return tuple(self._attempts)

    @property
    def output(self) -> str:
        """What project code printed."""
        return self._surroundings.output

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """Run code of ours inside: it may connect, and what it prints is seen."""
        with self._surroundings.heard(), opening():
            yield

    def breach(self) -> FenceBreach:
        """Return the error that names the last attempt."""
        attempt = self._attempts[-1]
        if self.mode is Fence.NULL:
            return FenceBreach(
                what="the project opens a database connection that cannot be stood in for; it was not opened",
                why=f"{attempt}; while a project is read, engines and synchronous drivers get an empty database",
                fix="open it when the application starts, not when a module is imported or a migration runs",
            )
        return FenceBreach(
            what="a migration tried to open a database connection of its own; it was not opened",
            why=f"{attempt}, while Handrail runs the migration on a connection it holds locks and a log for",
            fix="use op.get_bind() for the migration's connection, and open none when a module is imported",
        )

    # The Tape of every null connection made under this fence.

    def opened(self, connection: NullConnection, /) -> None:
        """Pass it on."""
        if self.listener is not None:
            self.listener.opened(connection)

    def sent(self, connection: NullConnection, sent: Sent, /) -> None:
        """Pass it on; a null connection outlives its fence only to refuse."""
        if _up is not self:
            attempt = ConnectionAttempt(what="a connection made while the project was read was used", place=_caller())
            if _up is not None:
                _up._attempts.append(attempt)  # noqa: SLF001 - the same class
            raise FenceBreach(
                what="a connection that leads to no database was used; nothing was sent",
                why=str(attempt),
                fix="use op.get_bind() for the migration's connection, and open none when a module is imported",
            )
        if self.listener is not None:
            self.listener.sent(connection, sent)

    def look(self, what: str, /) -> Replayed | None:
        """Pass it on."""
        return None if self.listener is None else self.listener.look(what)

    # The choke points.

    def _attempt(self, what: str, null: Callable[[], object]) -> object:
        self._attempts.append(ConnectionAttempt(what=what, place=_caller()))
        if self.mode is Fence.NULL:
            return null()
        raise self.breach()

    @contextmanager
    def up(self) -> Iterator[None]:
        """Put every part up, and take them all down at the end, also where one of them could not be put up."""
        with ExitStack() as stack:
            # Every pool, with `creator=` and without, makes what it calls out of its creator in this one method; the
            # constructor itself cannot be replaced, since SQLAlchemy inspects its arguments.
            wrap = cast("_WrapCreator", Pool._should_wrap_creator)  # noqa: SLF001 - see above
            stack.enter_context(replaced(Pool, "_should_wrap_creator", _gated(wrap)))
            if self.mode is Fence.NULL:
                # create_engine, get_dialect and their async forms find a dialect by this one.
                entrypoint = cast("_Entrypoint", URL._get_entrypoint)  # noqa: SLF001 - see above
                stack.enter_context(replaced(URL, "_get_entrypoint", self._nulled(entrypoint)))
            stack.enter_context(drivers.fenced(_gated_driver))
            stack.enter_context(self._surroundings)
            yield

    def _connected(self, pool: Pool, creator: _Creator) -> object:
        return self._attempt(_described(pool), lambda: self._null(pool, creator))

    def _null(self, pool: Pool, creator: _Creator) -> object:
        dialect = pool._dialect  # noqa: SLF001 - set by create_engine
        if not isinstance(dialect, NullDialect):
            return NullConnection(self)
        own = getattr(creator, "__module__", "") == "sqlalchemy.engine.create"
        # SQLAlchemy's own creator shows the connect_args; the project's may do anything, as may its do_connect events.
        return creator() if own and not getattr(dialect, "_has_events", False) else dialect.connect()

    def _nulled(self, original: _Entrypoint) -> _Entrypoint:
        def get_entrypoint(url: URL) -> type[DefaultDialect]:
            real = original(url)
            if is_opening():
                return real
            entry: object = real  # SQLAlchemy 2.1 gives an object for MariaDB's
            kind = cast("type[DefaultDialect]", entry if isinstance(entry, type) else type(entry))
            return null_dialect(kind, tape=self, server_major=self._server_major)

        return get_entrypoint

    def _opened_by_driver(self, name: str) -> object:
        waits = name.startswith(("aio", "async")) or ".Async" in name
        return self._attempt(f"{name}()", self._refuse if waits else lambda: NullConnection(self))

    def _refuse(self) -> object:
        raise self.breach()


#: Alembic's `op` and `context` are process globals, and so is what the fence replaces: one at a time in a process.
_ONE_AT_A_TIME = threading.RLock()
_up: Fenced | None = None


@contextmanager
def fence(mode: Fence, *, server_major: int | None = None) -> Iterator[Fenced]:
    """Put the fence up around project code; another thread that wants one waits.

    `server_major` is the server that SQL is written for under Fence.NULL. Attempts inside `engines.base.opening()` are
    Handrail's own and pass.
    """
    global _up  # noqa: PLW0603 - the fence is one per process, as what it replaces is
    fenced = Fenced(mode, server_major=server_major)
    with _ONE_AT_A_TIME:
        assert _up is None, "a fence inside a fence: project code has called Handrail"
        with fenced.up():
            _up = fenced
            try:
                yield fenced
            finally:
                _up = None


# A pool, and an opener imported by name, outlive their fence: what counts is the fence that is up when they connect.


def _gated(original: _WrapCreator) -> _WrapCreator:
    def wrap_creator(pool: Pool, creator: _Creator) -> _Creator:
        connect = original(pool, creator)

        def gate(connection_record: object = None) -> object:
            if _up is None or is_opening():
                return connect(connection_record)
            return _up._connected(pool, creator)  # noqa: SLF001 - the same thing

        return gate

    return wrap_creator


def _gated_driver(name: str, opener: _Creator) -> _Creator:
    @functools.wraps(opener)
    def opened(*args: object, **options: object) -> object:
        if _up is None or is_opening():
            return opener(*args, **options)
        return _up._opened_by_driver(name)  # noqa: SLF001 - the same thing

    return opened


def _caller() -> Place | None:
    return caller(sys._getframe(1))  # noqa: SLF001 - the only way to see who calls


def _described(pool: Pool) -> str:
    dialect = pool._dialect  # noqa: SLF001 - set by create_engine
    name, driver = getattr(dialect, "name", ""), getattr(dialect, "driver", "")
    return f"an engine for {name}+{driver}" if name else "a connection pool"

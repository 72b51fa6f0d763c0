"""Runs one revision on a database, in the transaction that Alembic itself opens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol
from weakref import WeakSet

from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Dialect, event, select

from handrail.errors import HandrailError, ProjectUnreadable
from handrail.history.env.env_py import EnvPy
from handrail.history.fencing.fence import Fence, Fenced, fence
from handrail.history.fencing.guard import Raised, call
from handrail.history.fencing.wire import Sent, is_begin
from handrail.history.files.graph import Graph, revision_map
from handrail.history.files.project import Project
from handrail.history.stage import Act, Stage
from handrail.model.operation import Origin
from handrail.model.revision import Direction, Revision

if TYPE_CHECKING:
    from sqlalchemy.engine.interfaces import DBAPICursor, ExecutionContext


class Hooks(Protocol):
    """What stands between a revision and the server. Statements a hook sends itself are not reported back to it.

    A HandrailError that a hook raises rolls the revision back and is raised by `run`, also where the revision's own
    code swallows it.
    """

    def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:
        """Return whether to send the statement; False where it is done already."""

    def after(self, sql: str, *, origin: Origin, autocommit: bool) -> None:
        """Hear that the statement was sent and did not fail."""

    def before_commit(self) -> None:
        """Do what must be committed with the revision, or raise to have it rolled back."""


def heads(conn: Connection, env: EnvPy) -> tuple[str, ...]:
    """Return the rows of the version table, sorted; () where there is none. Reads only, leaves no transaction open."""
    return version_rows(conn, env) or ()


def version_rows(conn: Connection, env: EnvPy) -> tuple[str, ...] | None:
    """Return the rows of the version table, sorted; None where there is no table.

    Reads only, leaves no transaction open.
    """
    try:
        return version_rows_within(conn, env)
    finally:
        conn.rollback()


def version_rows_within(conn: Connection, env: EnvPy) -> tuple[str, ...] | None:
    """Return the same, as the transaction sees it that `conn` is in; it stays open."""
    # Whatever else env.py configures says nothing about where the table is.
    options = {"version_table": env.version_table, "version_table_schema": env.version_table_schema}
    context = MigrationContext.configure(connection=conn, opts=options)
    if not context._has_version_table():  # noqa: SLF001 - its public callers cannot tell it from an empty one
        return None
    rows = conn.execute(select(context._version.c.version_num))  # noqa: SLF001 - as get_current_heads() reads it
    return tuple(sorted(str(row[0]) for row in rows))


def refuse_driving(project: Project, env: EnvPy) -> None:
    """Raise ProjectUnreadable for an env.py that does what we cannot repeat: a migration without it would differ."""
    if env.drives:
        raise ProjectUnreadable(
            what="env.py does more than configure, and Handrail cannot do that in its place yet; nothing was touched",
            why=f"{project.env_py}: {'; '.join(env.drives)}",
            fix="move it into the connection's URL, the role's settings or a revision",
        )


class Driver:
    """Performs one revision after the other on a connection that nobody else uses meanwhile."""

    def __init__(self, conn: Connection, *, project: Project, graph: Graph, env: EnvPy) -> None:
        refuse_driving(project, env)
        self._conn = conn
        self._env = env
        self._schemas = env.session.schemas
        self._stage = Stage(env=env, nodes=revision_map(graph), connection=conn)

    def run(
        self, revision: Revision, direction: Direction, *, hooks: Hooks, heads: tuple[str, ...] = ()
    ) -> Raised | None:
        """Perform one revision; return what it raised, rolled back.

        `heads` are the rows of the version table where the caller knows them; they are looked up where it gives none.

        The code that runs is `revision.source`, whatever the file holds by now. Raises the HandrailError of a hook and
        FenceBreach for a connection of the revision's own, after the rollback.
        """
        conn, stage = self._conn, self._stage
        if conn.in_transaction():
            conn.rollback()  # a look began it; Alembic would leave the COMMIT to whoever began it
        standing = heads or version_rows(conn, self._env)
        act = Act(revision=revision, direction=direction, heads=standing or (), create_version_table=standing is None)
        with fence(Fence.REFUSE) as fenced:
            refused = self._make_schemas()
            if refused is not None:
                return refused
            watch = _Watch(conn, stage, hooks, fenced)
            with watch.listening():
                try:
                    ended = call(lambda: stage.perform(act, watch.before_commit))
                finally:
                    call(conn.rollback)  # a broken connection has nothing to roll back
        watch.raise_breach()
        return ended

    def _make_schemas(self) -> Raised | None:
        """Create, once, what env.py creates before its migrations; return what was raised, rolled back."""
        for sql in self._schemas:
            ended = call(partial(self._conn.exec_driver_sql, sql, execution_options={"no_parameters": True}))
            if isinstance(ended, Raised):
                call(self._conn.rollback)
                return ended
        self._conn.commit()
        self._schemas = ()
        return None


#: The watch over the revision that runs on a connection; not kept in its `info`, which reconnects one that was lost.
_watches: dict[Connection, _Watch] = {}
_listening: WeakSet[Dialect] = WeakSet()


def _listen(dialect: Dialect) -> None:
    """Ask the watch of the connection, if it has one, about each statement; told to a dialect once, for good."""
    if dialect not in _listening:
        _listening.add(dialect)
        for name in ("do_execute", "do_executemany", "do_execute_no_params"):
            event.listen(dialect, name, partial(_ask, name))


def _ask(place: str, *arguments: Any) -> bool | None:
    """Return what the watch says; the last argument of each of these events is the ExecutionContext."""
    watch = _watches.get(arguments[-1].root_connection)
    return None if watch is None else watch.asked_at[place](*arguments)


class _Watch:
    """Asks the hooks about every statement of one connection."""

    def __init__(self, conn: Connection, stage: Stage, hooks: Hooks, fenced: Fenced) -> None:
        self._conn = conn
        self._stage = stage
        self._hooks = hooks
        self._fenced = fenced
        self._asking = False
        self._breach: HandrailError | None = None
        self.asked_at: dict[str, Callable[..., bool | None]] = {
            "do_execute": self._execute,
            "do_executemany": self._executemany,
            "do_execute_no_params": self._execute_no_params,
        }

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Stand where the dialect hands a statement to the driver."""
        _listen(self._conn.dialect)
        _watches[self._conn] = self
        try:
            yield
        finally:
            del _watches[self._conn]

    def before_commit(self, **_step: object) -> None:
        """Alembic's on_version_apply, after the project's own callbacks."""
        self.raise_breach()
        with self._asked():
            self._hooks.before_commit()

    def raise_breach(self) -> None:
        """Raise what the revision's code may have swallowed."""
        if self._breach is not None:
            raise self._breach
        if self._fenced.attempts:
            raise self._fenced.breach()

    def _execute(self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext) -> bool | None:
        sets = [parameters] if parameters else []
        send = self._conn.dialect.do_execute
        return self._send(statement, sets, context, lambda: send(cursor, statement, parameters, context))

    def _executemany(
        self, cursor: DBAPICursor, statement: str, parameters: Any, context: ExecutionContext
    ) -> bool | None:
        send = self._conn.dialect.do_executemany
        return self._send(statement, list(parameters), context, lambda: send(cursor, statement, parameters, context))

    def _execute_no_params(self, cursor: DBAPICursor, statement: str, context: ExecutionContext) -> bool | None:
        send = self._conn.dialect.do_execute_no_params
        return self._send(statement, [], context, lambda: send(cursor, statement, context), escaped=False)

    def _send(
        self,
        statement: str,
        parameters: list[Any],
        context: ExecutionContext,
        send: Callable[[], None],
        *,
        escaped: bool = True,
    ) -> bool | None:
        """Return True where the statement was dealt with here, None where SQLAlchemy should go on by itself."""
        if self._asking or context.root_connection is not self._conn:
            return None
        sql = Sent(
            statement=statement, parameters=parameters, paramstyle=self._conn.dialect.paramstyle, escaped=escaped
        ).sql
        origin = self._stage.origin
        autocommit = self._conn.get_execution_options().get("isolation_level") == "AUTOCOMMIT"
        if is_begin(sql):
            return None
        self.raise_breach()
        with self._asked():
            wanted = self._hooks.before(sql, origin=origin, autocommit=autocommit)
        if wanted:
            send()
            with self._asked():
                self._hooks.after(sql, origin=origin, autocommit=autocommit)
        return True

    @contextmanager
    def _asked(self) -> Iterator[None]:
        """Ask a hook with the fence lifted; keep the error it raises."""
        self._asking = True
        try:
            with self._fenced.lifted():
                yield
        except HandrailError as error:
            self._breach = error
            raise
        finally:
            self._asking = False

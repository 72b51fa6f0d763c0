"""What the schema will be while revisions are only read: an empty copy that follows their statements."""

from __future__ import annotations

from contextlib import ExitStack
from typing import Self

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail.engines.base import Shadow
from handrail.history.fencing.wire import ends_transaction, is_begin
from handrail.model.operation import Reading, RecordedRevision, StatementKind


class Mirror:
    """The copy, as long as it is known to be what the target will be; made at the first look, which few ask for."""

    def __init__(self, shadow: Shadow | None) -> None:
        self._shadow = shadow
        self._conn: Connection | None = None
        self._open = ExitStack()
        self._behind: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._open.close()

    @property
    def conn(self) -> Connection | None:
        """A connection to the copy, None where there is none or it is no longer known to be like the target."""
        if self._shadow is None:
            return None
        self._conn = conn = self._conn or self._open.enter_context(self._shadow.open())
        if conn is None or not self._caught_up(conn):
            self.lose()
            return None
        return conn

    def _caught_up(self, conn: Connection) -> bool:
        try:
            for sql in self._behind:
                conn.exec_driver_sql(sql)
        except DBAPIError:
            return False
        self._behind.clear()
        return True

    def follow(self, sql: str, kind: StatementKind) -> None:
        """Do to the copy what the statement will do to the schema."""
        if kind in {StatementKind.SCHEMA, StatementKind.SESSION} and not is_begin(sql) and not ends_transaction(sql):
            self._behind.append(sql)

    def pass_over(self, recorded: RecordedRevision) -> None:
        """Do to the copy what a revision will do that was read before."""
        for statement in recorded.statements:
            self.follow(statement.sql, statement.kind)
        if recorded.reading is not Reading.EXACT:
            self.lose()

    def lose(self) -> None:
        """Note that nobody knows any longer what the target will be like."""
        self._shadow = None

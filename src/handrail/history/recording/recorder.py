"""Writes down what one revision does while it runs on a database that executes nothing."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from alembic.operations import batch
from alembic.operations.base import AbstractOperations

from handrail.engines.base import Statements
from handrail.history.cell.noticing import unnoticed
from handrail.history.fencing.guard import Raised, caller
from handrail.history.fencing.nulldb import NullConnection
from handrail.history.fencing.surroundings import replaced
from handrail.history.fencing.wire import Sent, ends_transaction, is_begin
from handrail.history.recording.catalogue import Catalogue
from handrail.history.recording.description import describe
from handrail.history.recording.mirror import Mirror
from handrail.history.stage import Act, Stage
from handrail.model.operation import Operation, Origin, Place, Reading, RecordedRevision, Statement, StatementKind

if TYPE_CHECKING:
    from alembic.operations.ops import MigrateOperation

    from handrail.model.replayed import Replayed

STATEMENT_LIMIT = 10_000
_AS_FOLLOWED = "taken as the revisions before it leave it"


class TooMany(BaseException):
    """Ends a revision that sends statements without end; no `except Exception` of its own can hold it."""

    def __str__(self) -> str:
        return f"more than {STATEMENT_LIMIT:,} statements"


class Recorder:
    """The tape of one revision."""

    def __init__(
        self, stage: Stage, act: Act, *, statements: Statements, mirror: Mirror, catalogue: Catalogue | None = None
    ) -> None:
        self._stage = stage
        self._act = act
        self._mirror = mirror
        self._catalogue = catalogue
        self._reads = statements
        self._files = frozenset({str(act.revision.path)})
        self._operations: list[Operation] = []
        self._statements: list[Statement] = []
        self._doubts: list[str] = []
        self._own_connection = ""
        self._current: int | None = None
        self._late: int | None = None  # the operation of a batch that is written now, at the batch's end
        self._transaction = 0
        self._unfinished = False

    def result(self, ended: object) -> RecordedRevision:
        """Return what was written down; `ended` is what the guard returned for the run."""
        reading, reason = self._judged(ended)
        if reading is not Reading.EXACT:
            self._mirror.lose()
        return RecordedRevision(
            revision=self._act.revision.id,
            direction=self._act.direction,
            reading=reading,
            reason=reason,
            operations=tuple(self._operations),
            statements=tuple(self._statements),
        )

    def _judged(self, ended: object) -> tuple[Reading, str]:
        if self._own_connection:
            return Reading.FAILED, self._own_connection
        doubt = self._doubts[0] if self._doubts else ""
        if not isinstance(ended, Raised):
            return (Reading.DATA_DEPENDENT if doubt else Reading.EXACT), doubt
        if isinstance(ended.exception, TooMany):
            return Reading.FAILED, self._at(ended.place, str(ended.exception))
        failure = self._at(ended.place, ended.summary)
        if doubt:
            # On an empty answer anything may be raised; that says nothing about a database with rows in it.
            return Reading.DATA_DEPENDENT, f"{doubt}; on an empty answer {failure}"
        return Reading.FAILED, failure

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Listen to Alembic's operations, and to batches written late."""
        invoke, flush = AbstractOperations.invoke, batch.BatchOperationsImpl.flush
        recorder = self

        def invoked(operations: AbstractOperations, operation: MigrateOperation) -> Any:
            return recorder._invoke(operations, operation, invoke)

        def flushed(operations: batch.BatchOperationsImpl) -> None:
            recorder._flush(operations, flush)

        with (
            replaced(AbstractOperations, "invoke", invoked),
            replaced(batch.BatchOperationsImpl, "flush", flushed),
        ):
            yield

    def ended(self) -> None:
        """Note the end of a transaction."""
        if self._unfinished:
            self._transaction += 1
        self._unfinished = False

    def opened(self, _connection: NullConnection, /) -> None:
        """Note that the revision opens a connection of its own."""
        place = caller(sys._getframe(1))  # noqa: SLF001 - the only way to see who calls
        self._own_connection = self._at(place, "it opens a connection of its own, which is refused when it runs")

    def sent(self, _connection: NullConnection, sent: Sent, /) -> None:
        """Write down one statement."""
        origin = self._stage.origin
        alembics = origin is Origin.ALEMBIC
        kind = _of_version_table(sent.sql) if alembics else self._reads.kind(sent.sql)
        place = self._place()
        if is_begin(sent.sql) or (alembics and kind is StatementKind.READ):
            return
        if len(self._statements) >= STATEMENT_LIMIT:
            raise TooMany
        exact = not self._doubts
        if sent.raw:
            self._doubt(place, "it sends SQL past SQLAlchemy, through the driver's own cursor")
        elif not alembics and self._reads.answers(sent.sql):
            self._doubt(place, f"it reads the database: {_short(sent.sql)}")
        self._statements.append(
            Statement(
                sql=sent.sql,
                kind=kind,
                parameters=sent.literals,
                operation=self._current,
                place=place,
                transaction=self._number(autocommit=sent.autocommit),
                autocommit=sent.autocommit,
                exact=exact,
                origin=origin,
            )
        )
        self._mirror.follow(sent.sql, kind)
        if self._catalogue is not None and kind is not StatementKind.READ and not alembics:
            self._catalogue.follow(sent.sql)
        if ends_transaction(sent.sql):
            self.ended()

    def look(self, what: str, /) -> Replayed | None:
        """Return the schema as the revisions before have made it, and note that the revision looks at it."""
        if self._catalogue is None or self._stage.origin is Origin.ALEMBIC:
            return None
        if what:
            self._doubt(self._place(), f"it reads the database: the schema of {what}, {_AS_FOLLOWED}")
        return self._catalogue.state

    def _number(self, *, autocommit: bool) -> int:
        if autocommit:
            self.ended()
        number = self._transaction
        self._unfinished = True
        if autocommit:
            self.ended()
        return number

    def _invoke(
        self,
        operations: AbstractOperations,
        operation: MigrateOperation,
        invoke: Callable[[AbstractOperations, MigrateOperation], Any],
    ) -> Any:
        with unnoticed():
            described = describe(operation, self._place())
        with self._inside(described) as index:
            pending = getattr(operations.impl, "batch", None)
            before = len(pending) if pending is not None else 0
            result = invoke(operations, operation)
            if isinstance(pending, list) and isinstance(operations.impl, batch.BatchOperationsImpl):
                owners = operations.impl.__dict__.setdefault("_handrail_owners", {})
                owners.update(dict.fromkeys(range(before, len(pending)), index))
            return result

    def _flush(self, operations: batch.BatchOperationsImpl, flush: Callable[[batch.BatchOperationsImpl], None]) -> None:
        if not operations._should_recreate():  # noqa: SLF001 - Alembic's own question
            owners = operations.__dict__.get("_handrail_owners", {})
            operations.batch = _Owned(self, operations.batch, owners)
            flush(operations)
            self._current = self._late = None
            return
        name = ".".join(filter(None, (operations.schema, operations.table_name)))
        place = self._place()
        recreate = Operation(
            name="batch_alter_table", table=name, subject=None, details=(("recreate", "true"),), place=place
        )
        with self._inside(recreate):
            if operations.copy_from is not None:
                flush(operations)
            elif (conn := None if self._doubts else self._mirror.conn) is not None:
                with replaced(operations.operations, "get_bind", lambda: conn):  # which it asks only for the table
                    flush(operations)
            elif self._knows(name):
                self._doubt(place, f"needs the live table: batch recreate of {name}, {_AS_FOLLOWED}")
                flush(operations)
            else:
                self._doubt(place, f"needs the live table: batch recreate of {name}")

    def _knows(self, table: str) -> bool:
        known = self._catalogue.state.table(table) if self._catalogue is not None else None
        return known is not None and known.complete

    @contextmanager
    def _inside(self, operation: Operation) -> Iterator[int]:
        outer, self._current = self._current, len(self._operations)
        self._operations.append(operation)
        try:
            yield self._current
        finally:
            self._current = outer

    def _doubt(self, place: Place | None, why: str) -> None:
        self._doubts.append(self._at(place, why))

    def _at(self, place: Place | None, text: str) -> str:
        if place is None:
            return text
        return f"line {place.line}: {text}" if place.file in self._files else f"{place.file}:{place.line}: {text}"

    def _place(self) -> Place | None:
        if self._late is not None:
            return self._operations[self._late].place
        return caller(sys._getframe(1), self._files)  # noqa: SLF001 - the only way to see who calls


class _Owned(list[Any]):
    """The operations of a batch; each becomes the current one, at the line that asked for it, as it is taken."""

    def __init__(self, recorder: Recorder, entries: list[Any], owners: dict[int, int]) -> None:
        super().__init__(entries)
        self._recorder = recorder
        self._owners = owners

    def __iter__(self) -> Iterator[Any]:
        for position, entry in enumerate(super().__iter__()):
            owner = self._owners.get(position)
            self._recorder._current = self._recorder._late = owner  # noqa: SLF001 - two halves of one thing
            yield entry


_LONG = 120


def _short(sql: str) -> str:
    line = re.sub(r"\s+", " ", sql).strip()
    return line if len(line) <= _LONG else line[: _LONG - 1] + "…"


def _of_version_table(sql: str) -> StatementKind:
    """Return what a statement of Alembic's own is about; they are few and need no parser."""
    match sql.split(maxsplit=1)[0].upper():
        case "SELECT":
            return StatementKind.READ
        case "CREATE" | "DROP":
            return StatementKind.SCHEMA
        case _:
            return StatementKind.DATA

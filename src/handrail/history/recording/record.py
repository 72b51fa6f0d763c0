"""Reads revisions by running them, each alone, on a database that executes nothing, in a child process."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

import msgspec

from handrail.history.cell import child
from handrail.history.cell.trace import Trace
from handrail.history.files.graph import revision_map
from handrail.history.recording.task import Basis, Key, Line, Readings, Task
from handrail.model.operation import Reading, RecordedRevision
from handrail.model.revision import Direction, Revision

if TYPE_CHECKING:
    from handrail.engines.base import Shadow

#: Wall time and CPU time that one revision may take to be read, in seconds.
LIMIT_S = 20.0
STUDY_LIMIT_S = 8.0

#: What the child runs: Alembic and SQLAlchemy, which its parent does not need.
_PERFORMING = "handrail.history.recording.performing"


def record(
    basis: Basis,
    steps: Sequence[tuple[Revision, Direction]],
    *,
    heads: tuple[str, ...] = (),
    version_table_exists: bool = True,
    shadow: Shadow | None = None,
    limit_s: float = LIMIT_S,
) -> tuple[RecordedRevision, ...]:
    """Return what each step would do, in order, without a database: operations, statements, transactions.

    `heads` are the rows of the version table before the first step, `shadow` is the schema before it: without one a
    revision that recreates a table cannot be read exactly. The code runs in a child process that may take
    `limit_s` seconds of wall and of CPU time for each revision; one that fails, loops or dies is a FAILED reading and
    the others are read all the same.
    """
    revision_map(basis.graph)  # raises where the graph is broken
    task = Task(
        basis=basis,
        steps=tuple(steps),
        keys=frozenset((revision.id, direction) for revision, direction in steps),
        limit_s=limit_s,
        heads=heads,
        version_table_exists=version_table_exists,
        shadow=shadow,
    )
    return tuple(Record(task=task))


@dataclass(slots=True, kw_only=True)
class Record:
    """The readings of a task's steps, in order, each as soon as it is there.

    `found` are those that need not be read, and all the others once they were; what the others look at goes into the
    `trace`. `steady` is False where code had to be ended or ended its reader: another time it may be read otherwise.
    """

    task: Task
    found: dict[Key, RecordedRevision] = field(default_factory=dict)
    trace: Trace | None = None
    fresh: list[RecordedRevision] = field(default_factory=list)
    steady: bool = True

    def __iter__(self) -> Iterator[RecordedRevision]:
        """Yield each reading. Whoever does not take all of them closes the iterator, which ends the child."""
        keys = [key for r, direction in self.task.steps if (key := (r.id, direction)) in self.task.keys]
        with closing(self._read([key for key in keys if key not in self.found])) as reading:
            for key in keys:
                if key not in self.found:
                    self.found[key] = next(reading)
                yield self.found[key]

    def _read(self, unread: list[Key]) -> Generator[RecordedRevision, None, None]:
        """Yield the readings of those, also of one whose code ends the child: another child reads what is left."""
        if unread:
            self.task.basis.engine.actions.actions("select 1")  # loads the parser, and raises where there is none
        while unread:
            perform = partial(_performed, self.task, self.found)
            try:
                with closing(child.lines(perform, self.task.limit_s)) as lines:
                    for line in lines:
                        unread.pop(0)
                        yield self._told(line)
            except child.Ended as ended:
                if unread:
                    yield self._failed(unread.pop(0), ended)

    def _told(self, line: bytes) -> RecordedRevision:
        told = msgspec.json.decode(line, type=Line)
        if self.trace is not None:
            self.trace.add(told.looked)
        self.fresh.append(told.recorded)
        return told.recorded

    def _failed(self, key: Key, ended: child.Ended) -> RecordedRevision:
        revision, direction = key
        if ended.ours:
            bug = f"reading {direction.value}() of {revision} failed in Handrail's own code:{ended}"
            raise RuntimeError(bug) from ended
        self.steady = False
        import_module(_PERFORMING)  # the next child need not load it again
        return RecordedRevision(
            revision=revision,
            direction=direction,
            reading=Reading.FAILED,
            reason=str(ended),
            operations=(),
            statements=(),
        )


def _performed(task: Task, found: Readings) -> Iterator[bytes]:
    lines: Iterator[bytes] = import_module(_PERFORMING).lines(task, found)
    return lines

"""Reads revisions by running them, each alone, on a database that executes nothing."""

from __future__ import annotations

import gc
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, NoReturn

import alembic.runtime.migration
import msgspec
from sqlalchemy import URL, create_engine
from sqlalchemy.pool import StaticPool

from handrail.engines import base, dialects
from handrail.history import absent, confinement, stand_ins
from handrail.history.catalogue import Catalogue
from handrail.history.env_py import EnvPy
from handrail.history.fence import Fence, Fenced, fence
from handrail.history.graph import Graph, revision_map
from handrail.history.guard import Raised, call, call_all
from handrail.history.mirror import Mirror
from handrail.history.noticing import noticed
from handrail.history.project import Project
from handrail.history.recorder import Recorder
from handrail.history.stage import Act, Stage, UnwrittenHeads, compiled, heads_after
from handrail.history.trace import Looked, Trace, Watch
from handrail.model.operation import Origin, Reading, RecordedRevision
from handrail.model.revision import Direction, Revision

if TYPE_CHECKING:
    from alembic.script.revision import RevisionMap
    from sqlalchemy import Engine

    from handrail.model.replayed import Replayed

#: Wall time and CPU time that one revision may take to be read, in seconds.
LIMIT_S = 20.0
STUDY_LIMIT_S = 8.0
MEMORY_BYTES = 8 << 30

#: Engines run a migration written for an async driver on this one: engines.base.Purpose.MIGRATE.
_SYNCHRONOUS = {
    "postgresql": "postgresql+psycopg",
    "sqlite": "sqlite+pysqlite",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}

#: How a child ends when our own code fails in it; the project's own exits are values and never get here.
_BUG = 70

_UNKNOWN: Mapping[str, RecordedRevision] = MappingProxyType({})
#: Each step finds the schema that those before it have made.
_FOLLOWED: Mapping[str, Replayed] = MappingProxyType({})

_exit = os._exit  # the fence replaces it


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a reading rests on beside the revision: the project as its env.py configures it, and whom SQL is for."""

    project: Project
    graph: Graph
    env: EnvPy
    engine: dialects.Dialect
    server_major: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Studied:
    """The readings of all steps, in order; `fresh` are those that were not known.

    `steady` is False where code had to be ended or ended its reader: another time it may be read otherwise.
    """

    recorded: tuple[RecordedRevision, ...]
    fresh: tuple[RecordedRevision, ...]
    steady: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What a child tells of one step."""

    recorded: RecordedRevision
    looked: Looked = field(default_factory=Looked)


def record(
    basis: Basis,
    steps: Sequence[tuple[Revision, Direction]],
    *,
    heads: tuple[str, ...] = (),
    version_table_exists: bool = True,
    shadow: base.Shadow | None = None,
    limit_s: float = LIMIT_S,
) -> tuple[RecordedRevision, ...]:
    """Return what each step would do, in order, without a database: operations, statements, transactions.

    `heads` are the rows of the version table before the first step, `shadow` is the schema before it: without one a
    revision that recreates a table cannot be read exactly. The code runs in a child process that may take
    `limit_s` seconds of wall and of CPU time for each revision; one that fails, loops or dies is a FAILED reading and
    the others are read all the same.
    """
    acts = list(_acts(revision_map(basis.graph), steps, heads, version_table_exists=version_table_exists))
    with _null(basis) as (fenced, null):
        reader = _Reader(basis=basis, fenced=fenced, null=null, limit_s=limit_s)
        return reader.read_all(acts, shadow).recorded


def study(
    basis: Basis,
    steps: Sequence[tuple[Revision, Direction]],
    *,
    heads: tuple[str, ...] = (),
    only: Collection[str] | None = None,
    shadow: base.Shadow | None = None,
    known: Mapping[str, RecordedRevision] = _UNKNOWN,
    trace: Trace | None = None,
    schemas: Mapping[str, Replayed] = _FOLLOWED,
    limit_s: float = STUDY_LIMIT_S,
) -> Studied:
    """Return what each step would do, as `record` does, for code that nobody has agreed to run yet.

    What it imports and is not installed is stood in for; files it cannot write, and no socket or process it can open:
    trying to is a FAILED reading. `only` leaves out all steps of other revisions; those that are `known` are not read
    again. What the others look at goes into the `trace`. One that looks at the schema finds that of `schemas` by its
    id, else what the steps before it have made.
    """
    acts = [
        act
        for act in _acts(revision_map(basis.graph), steps, heads, version_table_exists=True)
        if only is None or act.revision.id in only
    ]
    with _null(basis) as (fenced, null):
        reader = _Reader(
            basis=basis,
            fenced=fenced,
            null=null,
            limit_s=limit_s,
            confine=partial(confinement.enter, basis.project.code_folders, basis.project.script_location),
            known=known,
            trace=trace,
            schemas=schemas,
        )
        return reader.read_all(acts, shadow)


@contextmanager
def _null(basis: Basis) -> Iterator[tuple[Fenced, Engine]]:
    """Yield the fence, up, and an engine of the basis's dialect that executes nothing."""
    with fence(Fence.NULL, server_major=basis.server_major) as fenced:
        yield fenced, create_engine(_migration_url(basis.engine.url), poolclass=StaticPool)


def _acts(
    nodes: RevisionMap,
    steps: Sequence[tuple[Revision, Direction]],
    heads: tuple[str, ...],
    *,
    version_table_exists: bool,
) -> Iterator[Act]:
    for revision, direction in steps:
        yield Act(revision=revision, direction=direction, heads=heads, create_version_table=not version_table_exists)
        heads = heads_after(nodes, heads, revision, direction)
        version_table_exists = True


def _migration_url(url: URL) -> URL:
    if not url.get_dialect().is_async:
        return url
    return url.set(drivername=_SYNCHRONOUS[url.get_backend_name()])


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reader:
    basis: Basis
    fenced: Fenced
    null: Engine
    limit_s: float
    confine: Callable[[], None] | None = None
    known: Mapping[str, RecordedRevision] = field(default_factory=dict)
    trace: Trace | None = None
    schemas: Mapping[str, Replayed] | None = None

    def read_all(self, acts: list[Act], shadow: base.Shadow | None) -> Studied:
        """Return the reading of every act, in order."""
        self.basis.engine.statements.kind("select 1")  # loads the parser here, or each child would load its own
        unread = [act for act in acts if act.revision.id not in self.known]
        for act in unread:
            call(partial(compiled, act.revision.source, str(act.revision.path)))
        found = dict(self.known)
        fresh: list[RecordedRevision] = []
        steady = True
        waiting = acts
        while unread:
            before = acts[: len(acts) - len(waiting)]
            catalogue = self._catalogue(found[act.revision.id] for act in before)
            done, failed = self.read(waiting, None if waiting is not acts else shadow, catalogue)
            fresh += done
            steady = steady and not failed
            found |= {recorded.revision: recorded for recorded in (*done, *failed)}
            unread = unread[len(done) + len(failed) :]
            waiting = waiting[waiting.index(unread[0]) :] if unread else []
        return Studied(recorded=tuple(found[act.revision.id] for act in acts), fresh=tuple(fresh), steady=steady)

    def _catalogue(self, before: Iterable[RecordedRevision]) -> Catalogue | None:
        if self.schemas is None:
            return None
        catalogue = Catalogue(self.basis.engine.actions.actions)
        for recorded in before:
            catalogue.pass_over(recorded)
        return catalogue

    def read(
        self, acts: list[Act], shadow: base.Shadow | None, catalogue: Catalogue | None
    ) -> tuple[list[RecordedRevision], list[RecordedRevision]]:
        """Return the readings of the first acts that are not known, and of one whose code ended the child."""
        unread = [act for act in acts if act.revision.id not in self.known]
        receiving, sending = os.pipe()
        gc.freeze()  # the child's collector must not touch, and so copy, all that the parent has in memory
        child = os.fork()
        if child == 0:
            os.close(receiving)
            self._read_in_child(acts, shadow, catalogue, sending)
        gc.unfreeze()
        os.close(sending)
        done: list[RecordedRevision] = []
        ended = False
        try:
            with os.fdopen(receiving, "rb", buffering=0) as pipe:
                for line in _lines(pipe.fileno(), self.limit_s):
                    done.append(self._told(line))
                    if len(done) == len(unread):
                        return done, []
                ended = True
        except TimeoutError:
            return done, [_failed(unread[len(done)], f"it did not come to an end within {self.limit_s:g} s")]
        finally:
            if not ended:
                os.kill(child, signal.SIGKILL)
            _, status = os.waitpid(child, 0)
        return done, [_failed(unread[len(done)], self._reason(unread[len(done)], status))]

    def _told(self, line: bytes) -> RecordedRevision:
        told = msgspec.json.decode(line, type=_Line)
        if self.trace is not None:
            self.trace.add(told.looked)
        return told.recorded

    def _reason(self, act: Act, status: int) -> str:
        if os.WIFEXITED(status) and os.WEXITSTATUS(status) == _BUG:
            raise RuntimeError(f"reading {act.direction.value}() of {act.revision.id} failed in Handrail's own code")
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if number == signal.SIGXCPU:
            return f"it used more than {self.limit_s:g} s of CPU time"
        if number:
            return f"the process that was reading it was ended by signal {number}"
        return "its code ended the process that was reading it"

    def _read_in_child(
        self, acts: list[Act], shadow: base.Shadow | None, catalogue: Catalogue | None, sending: int
    ) -> NoReturn:
        status = _BUG
        try:
            _silence()
            if self.confine is not None:
                alembic.runtime.migration.HeadMaintainer = UnwrittenHeads  # type: ignore[misc]  # each is read alone
            with Mirror(shadow) as mirror:
                if self.confine is not None:
                    self.confine()
                watch = Watch()
                if self.trace is not None:
                    watch.begin()
                for recorded in self._readings(acts, mirror, catalogue):
                    line = msgspec.json.encode(_Line(recorded=recorded, looked=watch.fresh())) + b"\n"
                    while line:
                        line = line[os.write(sending, line) :]
            status = 0
        finally:
            _exit(status)

    def _readings(self, acts: list[Act], mirror: Mirror, catalogue: Catalogue | None) -> Iterator[RecordedRevision]:
        stage: Stage | None = None
        for act in acts:
            if (known := self.known.get(act.revision.id)) is not None:
                mirror.pass_over(known)
                if catalogue is not None:
                    catalogue.pass_over(known)
                continue
            _limit(self.limit_s)
            if catalogue is not None:
                if self.schemas and act.revision.id in self.schemas:
                    catalogue.begin(self.schemas[act.revision.id])
                recorded, catalogue = self._studied(act, mirror, catalogue)
                yield recorded
                continue
            if stage is None or not stage.usable:
                stage = self._stage()
            yield self._recorded(stage, act, mirror)[0]

    def _stage(self) -> Stage:
        nodes = revision_map(self.basis.graph)
        return Stage(env=self.basis.env, nodes=nodes, connection=self.null.connect())

    def _studied(self, act: Act, mirror: Mirror, catalogue: Catalogue) -> tuple[RecordedRevision, Catalogue]:
        """Return the reading of code in the cell, and the schema it leaves.

        A module of the application that fails in it is stood in for, and the revision is read once more.
        """
        tries = 2
        while True:
            tries -= 1
            # One that is studied runs alone, maybe: Alembic's context would remember a type made before it.
            stage = self._stage()
            after = catalogue.copy()
            recorded, ended = self._recorded(stage, act, mirror, after)
            failed_in = ended.place.file if isinstance(ended, Raised) and ended.place is not None else ""
            if recorded.reading is Reading.EXACT or not tries or not absent.withdraw(failed_in):
                return recorded, after

    def _recorded(
        self, stage: Stage, act: Act, mirror: Mirror, catalogue: Catalogue | None = None
    ) -> tuple[RecordedRevision, object]:
        """Return the reading of one revision, and what the guard returned for it."""
        recorder = Recorder(stage, act, statements=self.basis.engine.statements, mirror=mirror, catalogue=catalogue)
        self.fenced.listener = recorder
        doubts: list[str] = []
        stand_ins.forget()
        with recorder.recording(self.null), noticed(doubts.append, lambda: stage.origin is Origin.REVISION):
            ended = call_all(partial(stage.perform, act))
        stage.connection.rollback()  # what the revision began and never ended
        self.fenced.listener = None
        return _with_doubt(recorder.result(ended), doubts), ended


def _with_doubt(recorded: RecordedRevision, doubts: list[str]) -> RecordedRevision:
    """Return the reading, not exact where something was noticed."""
    if not doubts or recorded.reading is Reading.DATA_DEPENDENT:
        return recorded
    if recorded.reading is Reading.FAILED:
        return replace(recorded, reason=f"{recorded.reason}; it {doubts[0]}")
    return replace(recorded, reading=Reading.DATA_DEPENDENT, reason=f"it {doubts[0]}")


def _lines(pipe: int, limit_s: float) -> Iterator[bytes]:
    """Yield each line as it comes, until the writer ends. Raises TimeoutError where one takes longer than its time."""
    pending = b""
    deadline = time.monotonic() + limit_s
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        chunk = os.read(pipe, 1 << 16)
        if not chunk:
            return
        *lines, pending = (pending + chunk).split(b"\n")
        for line in lines:
            deadline = time.monotonic() + limit_s
            yield line
    raise TimeoutError


def _failed(act: Act, reason: str) -> RecordedRevision:
    return RecordedRevision(
        revision=act.revision.id,
        direction=act.direction,
        reading=Reading.FAILED,
        reason=reason,
        operations=(),
        statements=(),
    )


def _silence() -> None:
    """Let nothing of the child reach our output, whatever its code writes to."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            os.dup2(nowhere, stream.fileno())


def _limit(limit_s: float) -> None:
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = int(used.ru_utime + used.ru_stime + limit_s) + 1
    for what, soft in ((resource.RLIMIT_CPU, cpu_s), (resource.RLIMIT_AS, MEMORY_BYTES)):
        _, hard = resource.getrlimit(what)
        resource.setrlimit(what, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard))

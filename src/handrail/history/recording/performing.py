"""Performs revisions in the reading child, each alone, on a database that executes nothing."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache, partial

import msgspec
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from handrail.history.cell import absent, child, confinement, stand_ins
from handrail.history.cell.noticing import noticed
from handrail.history.cell.trace import Watch
from handrail.history.env.env_py import EnvPy, neutral
from handrail.history.fencing.fence import Fence, Fenced, fence
from handrail.history.fencing.guard import Raised, call_all
from handrail.history.files.graph import revision_map
from handrail.history.recording.catalogue import Catalogue
from handrail.history.recording.mirror import Mirror
from handrail.history.recording.recorder import Recorder
from handrail.history.recording.task import Key, Line, Study, Task
from handrail.history.stage import Act, Stage, heads_after, write_no_heads
from handrail.model.operation import Origin, Reading, RecordedRevision
from handrail.model.revision import Direction

#: Engines run a migration written for an async driver on this one: engines.base.Purpose.MIGRATE.
_SYNCHRONOUS = {
    "postgresql": "postgresql+psycopg",
    "sqlite": "sqlite+pysqlite",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
}


def lines(task: Task, known: Mapping[Key, RecordedRevision]) -> Iterator[bytes]:
    """Yield an empty line when everything is loaded, then a Line for each step of the task that is not known."""
    basis = task.basis
    env = basis.env or neutral(basis.project, basis.graph)
    basis.engine.statements.kind("select 1")  # loads the parser, which cannot be found in the cell
    with fence(Fence.NULL, server_major=basis.server_major) as fenced, Mirror(task.shadow) as mirror:
        null = create_engine(_migration_url(basis.engine.url), poolclass=StaticPool)
        performer = _Performer(task=task, env=env, fenced=fenced, null=null, mirror=mirror, found=dict(known))
        for ending in ("commit", "rollback"):
            event.listen(null, ending, performer.ended)
        watch = Watch()
        if task.study is not None:
            write_no_heads()  # each is read alone
            confinement.enter(task.study.folders, basis.project.script_location)
            watch.begin()
        gc.freeze()  # all that was loaded stays
        yield b""
        for recorded in performer.readings():
            yield msgspec.json.encode(Line(recorded=recorded, looked=watch.fresh()))


def _acts(task: Task) -> Iterator[Act]:
    nodes = revision_map(task.basis.graph)
    heads, exists = task.heads, task.version_table_exists
    for revision, direction in task.steps:
        if (revision.id, direction) in task.keys:
            yield Act(revision=revision, direction=direction, heads=heads, create_version_table=not exists)
        heads = heads_after(nodes, heads, revision, direction)
        exists = True


def _migration_url(url: URL) -> URL:
    if not url.get_dialect().is_async:
        return url
    return url.set(drivername=_SYNCHRONOUS[url.get_backend_name()])


@dataclass(slots=True, kw_only=True)
class _Performer:
    task: Task
    env: EnvPy
    fenced: Fenced
    null: Engine
    mirror: Mirror
    found: dict[Key, RecordedRevision]
    stage: Stage | None = None
    recorder: Recorder | None = None

    def ended(self, _connection: object) -> None:
        """Tell the recorder that a transaction has ended."""
        if self.recorder is not None:
            self.recorder.ended()

    def readings(self) -> Iterator[RecordedRevision]:
        """Yield the reading of each step that is not found yet."""
        read = self._planned if self.task.study is None else self._in_cell(self.task.study)
        for act in _acts(self.task):
            key = act.revision.id, act.direction
            known = self.found.get(key)
            if known is None:
                child.allow(self.task.limit_s)
            recorded = read(act, known)
            if known is None:
                self.found[key] = recorded
                yield recorded

    def _planned(self, act: Act, known: RecordedRevision | None) -> RecordedRevision:
        """Return the reading of code that is to be run."""
        if known is not None:
            self.mirror.pass_over(known)
            return known
        if self.stage is None or not self.stage.usable:
            self.stage = self._stage()
        return self._recorded(self.stage, act)[0]

    def _stage(self) -> Stage:
        return Stage(env=self.env, nodes=revision_map(self.task.basis.graph), connection=self.null.connect())

    def _in_cell(self, study: Study) -> Callable[[Act, RecordedRevision | None], RecordedRevision]:
        """Return what reads one step after the other as code that nobody has agreed to run."""
        catalogue = Catalogue(self.task.basis.engine.actions.actions)
        schemas = cache(lambda: study.schemas(self.found))

        def read(act: Act, known: RecordedRevision | None) -> RecordedRevision:
            nonlocal catalogue
            if act.direction is Direction.DOWNGRADE:
                self.mirror.lose()
                catalogue.begin(lambda: schemas()[act.revision.id])
            if known is not None:
                self.mirror.pass_over(known)
                catalogue.pass_over(known)
                return known
            recorded, catalogue = self._studied(act, catalogue)
            return recorded

        return read

    def _studied(self, act: Act, catalogue: Catalogue) -> tuple[RecordedRevision, Catalogue]:
        """Return the reading of code in the cell, and the schema it leaves.

        A module of the application that fails in it is stood in for, and the revision is read once more.
        """
        tries = 2
        while True:
            tries -= 1
            # One that is studied runs alone, maybe: Alembic's context would remember a type made before it.
            stage = self._stage()
            after = catalogue.copy()
            recorded, ended = self._recorded(stage, act, after)
            failed_in = ended.place.file if isinstance(ended, Raised) and ended.place is not None else ""
            if recorded.reading is Reading.EXACT or not tries or not absent.withdraw(failed_in):
                return recorded, after

    def _recorded(self, stage: Stage, act: Act, catalogue: Catalogue | None = None) -> tuple[RecordedRevision, object]:
        """Return the reading of one revision, and what the guard returned for it."""
        reads = self.task.basis.engine.statements
        recorder = Recorder(stage, act, statements=reads, mirror=self.mirror, catalogue=catalogue)
        self.fenced.listener = self.recorder = recorder
        doubts: list[str] = []
        stand_ins.forget()
        with recorder.recording(), noticed(doubts.append, lambda: stage.origin is Origin.REVISION):
            ended = call_all(partial(stage.perform, act))
        stage.connection.rollback()  # what the revision began and never ended
        self.fenced.listener = self.recorder = None
        return _with_doubt(recorder.result(ended), doubts), ended


def _with_doubt(recorded: RecordedRevision, doubts: list[str]) -> RecordedRevision:
    """Return the reading, not exact where something was noticed."""
    if not doubts or recorded.reading is Reading.DATA_DEPENDENT:
        return recorded
    if recorded.reading is Reading.FAILED:
        return replace(recorded, reason=f"{recorded.reason}; it {doubts[0]}")
    return replace(recorded, reading=Reading.DATA_DEPENDENT, reason=f"it {doubts[0]}")

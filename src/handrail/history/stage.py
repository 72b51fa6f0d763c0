"""The stage on which one revision is performed: Alembic's contexts, set up as the project's env.py would."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from types import CodeType, ModuleType
from typing import TYPE_CHECKING, Any

import alembic.runtime.migration
from alembic.ddl.impl import DefaultImpl
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import HeadMaintainer, MigrationContext, RevisionStep
from sqlalchemy import MetaData, Table

from handrail.history.env.env_py import EnvPy
from handrail.model.operation import Origin
from handrail.model.revision import Direction, Revision

if TYPE_CHECKING:
    from alembic.script.revision import Revision as Node
    from alembic.script.revision import RevisionMap
    from sqlalchemy import Connection


class SourceStep(RevisionStep):
    """Alembic's step over a revision whose code comes from its source text, when it is called."""

    def __init__(
        self, nodes: RevisionMap, revision: Revision, direction: Direction, migration_fn: Callable[..., None]
    ) -> None:
        node = nodes.get_revision(revision.id)
        assert node is not None, "the graph holds every revision that is performed"
        self.revision_map = nodes
        self.revision: Node = node  # type: ignore[assignment]  # Alembic asks a Script for its module, which we bring
        self.is_upgrade = direction is Direction.UPGRADE
        self.migration_fn = migration_fn
        self._title = revision.title

    @property
    def doc(self) -> str:
        """The revision's title."""
        return self._title

    def _unmerge_to_revisions(self, heads: set[str]) -> tuple[str, ...]:
        if heads == {self.revision.revision} and len(self.to_revisions) == 1:
            return self.to_revisions  # Alembic goes through all of the history for the same answer
        return super()._unmerge_to_revisions(heads)


class _Heads(HeadMaintainer):
    """Alembic's own arithmetic of heads, without a database."""

    def __init__(self, heads: Iterable[str]) -> None:
        self.heads = set(heads)

    def _insert_version(self, version: str) -> None:
        self.heads.add(version)

    def _delete_version(self, version: str) -> None:
        self.heads.discard(version)

    def _update_version(self, from_: str, to_: str) -> None:
        self.heads.discard(from_)
        self.heads.add(to_)


class UnwrittenHeads(HeadMaintainer):
    """Alembic's own arithmetic of heads, of which nothing is written down: for what is only read."""

    def update_to_step(self, step: RevisionStep) -> None:  # type: ignore[override]  # any step will do
        """Do nothing: the next step is read alone."""


def write_no_heads() -> None:
    """From now on, in all of this process, let Alembic keep no version table: for what is only read."""
    alembic.runtime.migration.HeadMaintainer = UnwrittenHeads  # type: ignore[misc]  # a process of our own
    table = Table("alembic_version", MetaData())
    DefaultImpl.version_table_impl = lambda *_, **__: table  # type: ignore[method-assign]  # else one for each revision


def heads_after(
    nodes: RevisionMap, heads: tuple[str, ...], revision: Revision, direction: Direction
) -> tuple[str, ...]:
    """Return the rows of the version table after one step."""
    moved = _Heads(heads)
    moved.update_to_step(SourceStep(nodes, revision, direction, lambda: None))
    return tuple(sorted(moved.heads))


def heads_along(
    nodes: RevisionMap, heads: tuple[str, ...], way: Iterable[tuple[Revision, Direction]]
) -> tuple[str, ...]:
    """Return the rows of the version table after those steps."""
    for revision, direction in way:
        heads = heads_after(nodes, heads, revision, direction)
    return heads


@dataclass(frozen=True, slots=True, kw_only=True)
class Act:
    """One revision about to be performed.

    `heads` are the rows of the version table. Where `create_version_table` is set the table is created inside the
    revision's own transaction, so that a first revision that fails leaves nothing behind.
    """

    revision: Revision
    direction: Direction
    heads: tuple[str, ...]
    create_version_table: bool


class Stage:
    """One connection, and around it Alembic's contexts for one revision after the other.

    `origin` is who sends statements at the moment.
    """

    def __init__(self, *, env: EnvPy, nodes: RevisionMap, connection: Connection) -> None:
        self.connection = connection
        self.origin = Origin.ALEMBIC
        self._env = env
        self._nodes = nodes
        self._act: Act | None = None
        self._before_commit: Callable[..., None] | None = None
        self._kept: EnvironmentContext | None = None

    @property
    def usable(self) -> bool:
        """Whether the last revision came to its end, so that the next one finds the contexts as they should be."""
        return self._kept is not None

    def perform(self, act: Act, before_commit: Callable[..., None] | None = None) -> None:
        """Run the revision through MigrationContext, in the transaction that it opens and commits itself.

        `before_commit` is called after the project's own callbacks, when the version row is written and nothing is
        committed. Raises whatever the revision raises, after the rollback.
        """
        self._act, self._before_commit = act, before_commit
        environment, self._kept = self._kept or self._configured(), None
        with environment, self._env.entered():
            environment.run_migrations(**self._env.run_args)
        self._kept = environment

    def _configured(self) -> EnvironmentContext:
        options = dict(self._env.options)
        callbacks = options.pop("on_version_apply", None) or ()
        callbacks = (callbacks,) if callable(callbacks) else tuple(callbacks)
        # Both engines' connections take DDL into transactions, whatever Alembic believes of SQLite.
        options |= {"transaction_per_migration": True, "transactional_ddl": True}
        options["on_version_apply"] = (*callbacks, self._applied)
        environment = EnvironmentContext(self._env.config, self._env.script, fn=self._steps)
        environment.configure(connection=self.connection, **options)
        context: Any = environment.get_context()
        context.get_current_heads = lambda: self._the_act.heads
        context._ensure_version_table = lambda: None  # noqa: SLF001 - done in the revision's transaction
        return environment

    @property
    def _the_act(self) -> Act:
        assert self._act is not None, "Alembic asks only while a revision is performed"
        return self._act

    def _applied(self, **step: object) -> None:
        if self._before_commit is not None:
            self._before_commit(**step)

    def _steps(self, _heads: object, context: MigrationContext) -> Iterator[SourceStep]:
        act = self._the_act
        function = getattr(load(act.revision), act.direction.value)

        def migration_fn(**arguments: Any) -> None:
            if act.create_version_table:
                context._version.create(self.connection)  # noqa: SLF001 - Alembic's own way, at a better time
            self.origin = Origin.REVISION
            try:
                function(**arguments)
            finally:
                self.origin = Origin.ALEMBIC

        migration_fn.__name__ = act.direction.value
        yield SourceStep(self._nodes, act.revision, act.direction, migration_fn)


def load(revision: Revision) -> ModuleType:
    """Return the module of the revision's source text; nothing is read from disk or written to it."""
    module = ModuleType(revision.path.stem)
    module.__file__ = str(revision.path)
    exec(compiled(revision.source, str(revision.path)), module.__dict__)  # noqa: S102 - what Alembic does too
    return module


@lru_cache(maxsize=4096)  # once for reading it and for running it; the reading child inherits what we have
def compiled(source: str, path: str) -> CodeType:
    """Return the code of a revision's source text. Raises SyntaxError."""
    return compile(source, path, "exec", dont_inherit=True)  # else with our own __future__ imports

"""Drives Alembic's own `revision`, with and without autogenerate: what it would write is seen before it is written."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from alembic import command
from alembic.autogenerate import RevisionContext
from alembic.operations import ops
from alembic.runtime.environment import EnvironmentContext
from alembic.script import ScriptDirectory
from mako.template import Template

from handrail.errors import HandrailError, ProjectUnreadable, UsageRefused
from handrail.history.env.env_py import EnvPy
from handrail.history.fencing.fence import Fence, fence
from handrail.history.fencing.guard import Raised, call
from handrail.history.fencing.surroundings import replaced
from handrail.history.files import docstring, paths, source
from handrail.history.files.graph import Graph
from handrail.history.files.project import Project, alembic_config
from handrail.history.recording.description import describe
from handrail.model.operation import Loss, Operation
from handrail.model.revision import Header, Revision

if TYPE_CHECKING:
    from sqlalchemy import Connection

T = TypeVar("T")

_SLUG = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)+")


class _Drawn(Exception):
    """Alembic has told what it would write, and is to go no further."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """One revision that Alembic would write: nothing is written yet.

    `title` is the message in words. `operations` and `undoing` are those of upgrade() and downgrade(), `losses` the
    tables and columns that upgrade() drops. `revision` is the file as it would be, with what the template says for a
    header.
    """

    title: str
    operations: tuple[Operation, ...]
    undoing: tuple[Operation, ...]
    losses: tuple[Loss, ...]
    revision: Revision
    _writer: _Writer

    def write(self, header: Header) -> Path:
        """Write the file with that header, then run the project's post-write hooks; return its path.

        Raises UsageRefused for a file that exists or cannot be written, HandrailError where a hook fails: the file is
        written then.
        """
        return self._writer.write(self.revision, header)


def asks_environment(project: Project) -> bool:
    """Return whether the project wants env.py to be run for every new revision (`revision_environment`)."""
    return (project.option("revision_environment") or "").strip().lower() in {"true", "yes", "on", "1"}


def draft(
    project: Project,
    graph: Graph,
    *,
    message: str,
    parent: str | None,
    env: EnvPy | None = None,
    conn: Connection | None = None,
    compare: bool = False,
) -> Draft | None:
    """Return what `alembic revision` would write on top of `parent`; None where `compare` finds no difference.

    With `compare`, the models of `env` are compared with the database behind `conn`, which is only read; then, and
    where the project wants it, env.py's own hooks are asked. Raises ProjectUnreadable where the project's code or
    template fails, FenceBreach for a connection of its own.
    """
    config = alembic_config(project) if env is None else env.config
    script = _guarded("the Alembic settings cannot be used", lambda: ScriptDirectory.from_config(config))
    script.revision_map = paths.revision_map(graph.revisions)  # a fresh one: Alembic adds the new revision to it
    config.cmd_opts = argparse.Namespace(
        x=getattr(config.cmd_opts, "x", None), autogenerate=compare, cmd=(command.revision, [], []), message=message
    )
    context = RevisionContext(config, script, _arguments(project, graph, message, parent))
    if env is not None and conn is not None:
        _guarded("the models could not be compared with the database", lambda: _ask(context, env, conn, compare))
    found: list[ops.MigrationScript] = context.generated_revisions
    if compare and (not found or all(one.upgrade_ops_list[-1].is_empty() for one in found)):
        return None
    if len(found) != 1:
        raise ProjectUnreadable(
            what="the new revision is not one file; nothing was touched",
            why=f"process_revision_directives of env.py made {len(found)} of it",
            fix="write it with `alembic revision --autogenerate`",
        )
    upgrade, downgrade = list(_flat(found[0].upgrade_ops_list)), list(_flat(found[0].downgrade_ops_list))
    writer = _Writer(context, script, env)
    return Draft(
        title=_title(message),
        operations=tuple(describe(one, None) for one in upgrade),
        undoing=tuple(describe(one, None) for one in downgrade),
        losses=tuple(_losses(upgrade)),
        revision=writer.drawn(),
        _writer=writer,
    )


def _arguments(project: Project, graph: Graph, message: str, parent: str | None) -> dict[str, Any]:
    """Return the arguments of `alembic revision`."""
    folder = None
    if len(project.version_locations) > 1:
        if parent is None:
            raise UsageRefused(
                what="where the first revision belongs is not known; nothing was touched",
                why=f"the project has {len(project.version_locations)} version locations",
                fix=f'alembic revision -m "{message}" --version-path {project.version_locations[0]}',
            )
        above = graph.revisions[parent].path
        folder = next((place for place in project.version_locations if above.is_relative_to(place.resolve())), None)
    return {
        "message": message,
        "autogenerate": False,
        "sql": False,
        "head": parent or "head",
        "splice": False,
        "branch_label": None,
        "version_path": folder,
        "rev_id": None,
        "depends_on": None,
    }


def _ask(context: RevisionContext, env: EnvPy, conn: Connection, compare: bool) -> None:  # noqa: FBT001 - private
    ask = context.run_autogenerate if compare else context.run_no_autogenerate

    def steps(rows: Any, migration: Any) -> list[Any]:
        ask(rows, migration)
        return []

    with (
        EnvironmentContext(
            env.config,
            context.script_directory,
            fn=steps,
            as_sql=False,
            template_args=context.template_args,
            revision_context=context,
            dont_mutate=True,  # the connection is read-only: no version table is made
        ) as environment,
        env.entered(),
    ):
        environment.configure(connection=conn, **env.options)
        environment.run_migrations(**env.run_args)


def _flat(containers: list[Any]) -> Iterator[ops.MigrateOperation]:
    for one in containers:
        if isinstance(one, ops.OpContainer):
            yield from _flat(one.ops)
        else:
            yield one


def _losses(operations: list[ops.MigrateOperation]) -> Iterator[Loss]:
    for one in operations:
        described = describe(one, None)
        if isinstance(one, ops.DropTableOp):
            yield Loss(
                table=described.table or one.table_name,
                columns=tuple(c.name for c in one.to_table().columns),
                whole=True,
            )
        elif isinstance(one, ops.DropColumnOp):
            yield Loss(table=described.table or one.table_name, columns=(one.column_name,))


class _Writer:
    """Alembic's writer of one revision, run twice: once up to the text, once with the text to write."""

    def __init__(self, context: RevisionContext, script: ScriptDirectory, env: EnvPy | None) -> None:
        self._context = context
        self._script = script
        self._entered: Callable[[], AbstractContextManager[object]] = nullcontext if env is None else env.entered
        self._date: datetime | None = None

    def drawn(self) -> Revision:
        """Return the revision as the template makes it. Raises ProjectUnreadable where it makes none."""
        drawn: list[tuple[Path, str]] = []

        def draw(template: Path, path: Path, **values: Any) -> None:
            values["message"] = _title(values["message"])
            drawn.append((path, str(Template(filename=str(template)).render_unicode(**values))))  # noqa: S702 - Python
            raise _Drawn

        def run() -> None:
            self._date = self._script._generate_create_date()  # noqa: SLF001 - one for both runs
            with suppress(_Drawn), replaced(self._script, "_ensure_directory", lambda _path: None):
                self._run(draw)

        _guarded("the revision could not be drawn up", run)
        [(path, text)] = drawn
        return self._parsed(text, path)

    def write(self, revision: Revision, header: Header) -> Path:
        """Write it, and let the hooks run."""
        path = revision.path
        text = docstring.with_header(revision.source, header)
        self._parsed(text, path)

        def put(_template: Path, place: Path, **_values: Any) -> None:
            with place.open("x", encoding=self._script.output_encoding, newline="") as file:
                file.write(text)

        if path.exists():
            raise UsageRefused(
                what=f"{path} exists; nothing was touched",
                why="file_template gives the new revision the same name",
                fix="add %%(rev)s to file_template, or choose another message",
            )
        with _hooks_on_stderr():
            ran = _caught(lambda: self._run(put))
        if isinstance(ran, Raised):
            raise _not_written(path, ran)
        return path

    def _run(self, put: Callable[..., None]) -> None:
        with (
            self._entered(),
            replaced(self._script, "_generate_template", put),
            replaced(self._script, "_generate_create_date", lambda: self._date),
        ):
            next(self._context.generate_scripts())

    def _parsed(self, text: str, path: Path) -> Revision:
        revision, problems = source.parse(text.encode(), path)
        bad = [problem for problem in problems if problem.blocking]
        if revision is None or bad:
            raise ProjectUnreadable(
                what="the revision that the template makes cannot be read; nothing was touched",
                why=bad[0].why if bad else "it names no revision",
                fix=f"correct {self._script.dir}/script.py.mako",
            )
        return revision


def _title(message: str) -> str:
    """Return the message as a title: a slug becomes words."""
    return message.replace("_", " ").capitalize() if _SLUG.fullmatch(message) else message


def _guarded(what: str, code: Callable[[], T]) -> T:
    ran = _caught(code)
    if isinstance(ran, Raised):
        at = f"{ran.place.file}:{ran.place.line}: " if ran.place else ""
        raise ProjectUnreadable(
            what=f"{what}; nothing was touched",
            why=f"{at}{ran.summary}",
            fix="correct it until `alembic revision --autogenerate` works on a scratch database",
        ) from None
    return ran


def _caught(code: Callable[[], T]) -> T | Raised:
    """Run code that calls the project's, behind the fence. Raises FenceBreach for a connection of its own."""
    with fence(Fence.REFUSE) as fenced:
        ran = call(code)
    if fenced.attempts:
        raise fenced.breach()
    return ran


def _not_written(path: Path, ran: Raised) -> HandrailError:
    if path.exists():
        return HandrailError(
            what=f"{path} was written, and a post-write hook failed; the database was only read",
            why=ran.summary,
            fix="correct post_write_hooks in the Alembic settings, and run the hook by hand",
        )
    return UsageRefused(
        what="the revision could not be written; nothing was touched",
        why=ran.summary,
        fix=f"make {path.parent} writable",
    )


@contextmanager
def _hooks_on_stderr() -> Iterator[None]:
    """Send what programs print that a hook starts to stderr: stdout carries data."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)

"""`handrail new`: the next revision, from what the models and the database differ in; shown before it is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from handrail.engines.base import Purpose
from handrail.errors import HistoryBroken, ProjectUnreadable, TargetRefused, UsageRefused
from handrail.flows.ports import Ports, ProjectPorts
from handrail.flows.standing import planning
from handrail.history import autogenerate
from handrail.history.autogenerate import Draft
from handrail.history.env import target_metadata
from handrail.history.files.graph import Graph, revision_map
from handrail.model.operation import Operation
from handrail.model.revision import Direction, Header
from handrail.model.standing import Standing
from handrail.reports.header import header

#: What cannot stand in the docstring that a message becomes.
_NO_TITLE = ('"""', "\\")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewRequest:
    """The message of the revision, and the head it goes on top of where there are several."""

    message: str
    head: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """The revision that was written, on top of `parents`."""

    id: str
    parents: tuple[str, ...]
    path: Path
    header: Header
    operations: tuple[Operation, ...]


def asks_environment(ports: ProjectPorts) -> bool:
    """Return whether env.py is to be run for every new revision, also for an empty one."""
    return autogenerate.asks_environment(ports.project)


def empty(ports: ProjectPorts, request: NewRequest) -> Written:
    """Write a revision that does nothing yet; no database is asked, but of Ports, where the project wants env.py."""
    message, parent = _message(request.message), _parent(ports.graph, request.head)
    if not isinstance(ports, Ports):
        return _write_empty(autogenerate.draft(ports.project, ports.graph, message=message, parent=parent))
    with ports.engine.connect(Purpose.READ) as conn:
        drawn = autogenerate.draft(ports.project, ports.graph, message=message, parent=parent, env=ports.env, conn=conn)
        return _write_empty(drawn)


def compared(ports: Ports, request: NewRequest, consent: Callable[[Draft], None]) -> Written | None:
    """Write the revision that brings the database to the models; None, and no file, where they agree.

    `consent` is asked when the revision drops tables or columns; it raises where nobody agrees. Raises TargetRefused
    for a database that is not at head, ProjectUnreadable for models without tables.
    """
    message, parent = _message(request.message), _parent(ports.graph, request.head)
    standing = planning.look_as_allowed(ports)
    _refuse_elsewhere(ports, standing)
    with ports.engine.connect(Purpose.READ) as conn:
        _refuse_empty_models(ports, len(ports.engine.catalog.snapshot(conn, version_table=ports.version_table).tables))
        drawn = autogenerate.draft(
            ports.project, ports.graph, message=message, parent=parent, env=ports.env, conn=conn, compare=True
        )
        if drawn is None:
            return None
        if drawn.losses:
            consent(drawn)
        return _written(drawn, _header(ports, standing, drawn))


def _write_empty(drawn: Draft | None) -> Written:
    assert drawn is not None, "only a comparison finds nothing to do"
    return _written(drawn, Header(purpose=drawn.title))


def _written(drawn: Draft, header: Header) -> Written:
    path = drawn.write(header)
    revision = drawn.revision
    return Written(id=revision.id, parents=revision.parents, path=path, header=header, operations=drawn.operations)


def _header(ports: Ports, standing: Standing, drawn: Draft) -> Header:
    """Return the header as computed from the operations and from the effects of the statements they become."""
    with_it = replace(ports, graph=ports.graph.with_revision(drawn.revision))
    plan = planning.make_plan(with_it, standing, [(drawn.revision, Direction.UPGRADE)])
    return header(drawn.title, drawn.operations, drawn.undoing, plan.steps[0])


def _message(message: str) -> str:
    message = message.strip()
    if not message:
        raise UsageRefused(
            what="the revision has no message; nothing was touched",
            why="file name and title are made of it",
            fix='handrail new -m "add_user_email_column"',
        )
    if not message.isprintable() or any(part in message for part in _NO_TITLE):
        raise UsageRefused(
            what="the message cannot be the title of a revision; nothing was touched",
            why='it has a line break, a control character, a backslash or """ in it',
            fix='write one line, such as -m "add_user_email_column"; the rest belongs into the file\'s docstring',
        )
    return message


def _parent(graph: Graph, head: str | None) -> str | None:
    """Return the head to build on, None for the first revision. Raises HistoryBroken."""
    revision_map(graph)  # raises what is wrong with the whole
    if head is not None:
        found = graph.resolve(head)
        if len(found) == 1 and found[0] in graph.heads:
            return found[0]
        raise HistoryBroken(
            what=f"{head} is not a head; nothing was touched",
            why=f"the heads are {', '.join(graph.heads) or 'none: there is no revision yet'}",
            fix="name one of them, or leave --head out where there is only one",
        )
    if len(graph.heads) > 1:
        raise HistoryBroken(
            what="where the revision belongs is not known; nothing was touched",
            why=f"the history has {len(graph.heads)} heads: {', '.join(graph.heads)}",
            fix=f'--head {graph.heads[0]}, or join them first: alembic merge -m "merge" {" ".join(graph.heads)}',
        )
    return graph.heads[0] if graph.heads else None


def _refuse_elsewhere(ports: Ports, standing: Standing) -> None:
    """Raise TargetRefused for a database that is not at head: what is pending would be found as a difference."""
    pending = ports.graph.upgrade_path(standing.heads, "heads")
    if pending:
        at, name = ", ".join(standing.heads) or "base", ports.environment.name
        raise TargetRefused(
            what=f"{name} is not at head, so it cannot be compared with the models; nothing was touched",
            why=f"it is at {at}, {len(pending)} revision{'s' if len(pending) != 1 else ''} before the head",
            fix=f"handrail apply{' heads' if len(ports.graph.heads) > 1 else ''} -e {name}, then again",
        )


def _refuse_empty_models(ports: Ports, live: int) -> None:
    tables = target_metadata.tables(ports.env)
    if not tables:
        said = "has no tables" if tables == 0 else "is not set"
        raise ProjectUnreadable(
            what=f"the models are empty: autogenerate would drop {live} table{'s' if live != 1 else ''}; "
            "nothing was touched",
            why=f"target_metadata of {ports.project.env_py} {said}",
            fix="import the modules of the models there and set target_metadata, or write an empty revision: --empty",
        )

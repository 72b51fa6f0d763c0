"""What a flow works with; built here and nowhere else."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.config import Environment, Settings, load
from handrail.config import find as find_settings
from handrail.history.files import graph, project
from handrail.history.files.graph import Graph
from handrail.history.files.project import Project
from handrail.host.clock import Clock, SystemClock
from handrail.host.signals import Stop
from handrail.host.urls import resolve

if TYPE_CHECKING:
    from handrail.engines.base import Engine
    from handrail.history.env.env_py import EnvPy
    from handrail.journal.store import Journal
    from handrail.model.run import Event

Emit = Callable[["Event"], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPorts:
    """The files of a project, for a flow that works with nothing else."""

    settings: Settings
    project: Project
    graph: Graph
    clock: Clock


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectPorts(ReviewPorts):
    """A project, without any database."""

    journal: Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Ports(ProjectPorts):
    """A project and one of its databases. `emit` takes every event, `stop` says when to end at a safe point."""

    environment: Environment
    engine: Engine
    env: EnvPy
    emit: Emit
    stop: Stop = field(default_factory=Stop)

    @property
    def version_table(self) -> str:
        """Alembic's version table, qualified where env.py names a schema for it."""
        schema = self.env.version_table_schema
        return f"{schema}.{self.env.version_table}" if schema else self.env.version_table


def project_ports(root: Path) -> ProjectPorts:
    """Read settings and revision files; nothing of the project is imported, nothing is connected to."""
    return with_journal(_review_ports(load(root)))


def review_ports(root: Path) -> ReviewPorts:
    """Read the revision files, and the settings where there are any: a review needs none."""
    return _review_ports(Settings(root=root) if find_settings(root) is None else load(root))


def _review_ports(settings: Settings) -> ReviewPorts:
    found = project.find(settings.root, ini=settings.alembic or None)
    return ReviewPorts(settings=settings, project=found, graph=graph.load(found), clock=SystemClock())


def with_journal(ports: ReviewPorts) -> ProjectPorts:
    """Add the project's journal."""
    return ProjectPorts(
        settings=ports.settings,
        project=ports.project,
        graph=ports.graph,
        clock=ports.clock,
        journal=journal_of(ports.settings),
    )


def journal_of(settings: Settings) -> Journal:
    """Return the journal at the file that the setting names, or at the URL, named as an environment's url is."""
    from handrail.journal.store import Journal  # noqa: PLC0415 - SQLAlchemy, which files alone do not need

    place = settings.journal
    if place.partition(":")[0] in {"env", "file", "command"}:
        place = resolve(place, environment="the journal", root=settings.root)
    return Journal(place, settings.root)


def target_ports(ports: ProjectPorts, environment: Environment, *, emit: Emit) -> Ports:
    """Add one environment's database, and what the project's env.py configures; the database is not connected to.

    Raises ProjectUnreadable for an env.py that does more than configure: where it stands would be read without it.
    """
    from handrail.engines.base import for_url  # noqa: PLC0415 - see journal_of
    from handrail.history import execute  # noqa: PLC0415 - Alembic, which files alone do not need
    from handrail.history.env import env_py  # noqa: PLC0415 - Alembic, which files alone do not need

    url = resolve(environment.migration_url or environment.url, environment=environment.name, root=ports.settings.root)
    engine = for_url(url)  # before env.py, which would trip over a URL that cannot be used in words of its own
    env = env_py.capture(ports.project, url=url, graph=ports.graph)
    execute.refuse_driving(ports.project, env)
    return Ports(
        settings=ports.settings,
        project=ports.project,
        graph=ports.graph,
        journal=ports.journal,
        clock=ports.clock,
        environment=environment,
        engine=engine.settled(env.session),
        env=env,
        emit=emit,
    )

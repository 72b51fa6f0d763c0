"""`handrail compat --tests`: each version's own tests, from its own code, on a database that has been migrated."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import timedelta

from sqlalchemy import Connection

from handrail.compat.suite import Suite
from handrail.engines.base import Engine, Purpose
from handrail.errors import NotVerified, UsageRefused
from handrail.flows.matrix import choosing
from handrail.flows.ports import Ports
from handrail.flows.standing import expected
from handrail.host import git, secrets
from handrail.host.urls import resolve
from handrail.model.contract import AppVersion
from handrail.model.needs import Needs
from handrail.model.revision import Revision
from handrail.model.suite import SuiteRun
from handrail.model.verdict import Unsupported, Verdict

#: In every command, whatever the environment's url names.
_VARIABLE = "HANDRAIL_URL"
_LOGS = ".handrail/tests"
_NOT_IN_NAMES = re.compile(r"[^\w.-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class SuitesRequest:
    """The command that runs a version's tests, and for which versions; none: all that are deployed.

    `revisions` as for the matrix: its upper end is what the database is migrated to. `junit` is where the command
    leaves JUnit's XML, in the version's folder. `tell` hears which version is begun.
    """

    command: str
    versions: tuple[str, ...] = ()
    revisions: str = ""
    junit: str = ""
    limit: timedelta = timedelta(minutes=10)
    tell: Callable[[str], None] = field(default=lambda _text: None)


def run(ports: Ports, request: SuitesRequest) -> tuple[SuiteRun, ...]:
    """Return what became of each version's tests, each on a database of its own that is like the environment's.

    Raises UsageRefused where no version is registered or the command cannot be run, NotVerified where the revisions
    cannot be replayed.
    """
    chosen = choosing.versions(ports.journal.versions(), request.versions)
    upper = request.revisions.rpartition(":")[2]
    heads = ports.graph.resolve(upper, ()) if upper else ports.graph.heads
    applied = ports.graph.applied(heads)
    chosen = tuple(version for version in chosen if applied.issuperset(version.revisions))
    if not chosen:
        raise UsageRefused(
            what="there are no tests to run; nothing was touched",
            why="no version of the application is registered as deployed at that revision",
            fix="handrail versions register NAME --ref GITREF",
        )
    with ports.engine.connect(Purpose.READ) as conn:
        needs = ports.engine.needs(conn)
    return tuple(_tested(ports, request, version, heads, needs) for version in chosen)


def _tested(
    ports: Ports, request: SuitesRequest, version: AppVersion, heads: tuple[str, ...], needs: Needs
) -> SuiteRun:
    if not version.ref and "{version}" not in request.command:
        return SuiteRun(
            version=version.name,
            verdict=Verdict.UNKNOWN,
            reason="it was registered without --ref, and the command does not say {version}: its code is not known",
        )
    request.tell(version.name)
    with ExitStack() as stack:
        root = ports.settings.root
        suite = Suite(
            version=version.name,
            command=request.command,
            folder=stack.enter_context(git.worktree(root, version.ref)) if version.ref else root,
            variables=frozenset(_variables(ports)),
            log=root / _LOGS / (_NOT_IN_NAMES.sub("-", version.name) + ".log"),
            junit=request.junit,
            limit_s=request.limit.total_seconds(),
        )
        found = expected.replayed(ports, heads, needs=needs, begin=lambda: _Watcher(ports, suite))
    if isinstance(found, Unsupported):
        raise NotVerified(
            what="no migrated database can be made for the tests; nothing was touched",
            why="; ".join((found.reason, *found.details)),
            fix="make the sandbox like the database, or the history replayable: handrail verify says the same",
        )
    return found


def _variables(ports: Ports) -> Iterator[str]:
    """Yield the variables that lead to a database of ours: the settings name them, or they hold this one's URL."""
    yield _VARIABLE
    environment, root = ports.environment, ports.settings.root
    for other in ports.settings.environments.values():
        for setting in (other.url, other.migration_url):
            scheme, _, name = setting.partition(":")
            if scheme == "env":
                yield name
    urls = {
        resolve(setting, environment=environment.name, root=root)
        for setting in (environment.url, environment.migration_url)
        if setting
    }
    yield from (name for name, value in os.environ.items() if value.strip() in urls)


class _Watcher:
    """Waits for the last revision, and runs the tests on what stands then."""

    def __init__(self, ports: Ports, suite: Suite) -> None:
        self._drivername, self._suite = ports.engine.url.drivername, suite

    def sent(self, engine: Engine, conn: Connection, revision: Revision, sql: str) -> None:
        """Nothing is looked at on the way."""

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:
        """Nothing is looked at on the way."""

    def result(self, engine: Engine) -> SuiteRun:
        """Run them, by the driver that the application uses."""
        url = engine.url.set(drivername=self._drivername)
        if url.password:
            secrets.remember(url.password, beside=(url.username, url.database, url.host))
        return self._suite.run(engine, url)

"""`handrail compat`: each version of the application, exercised on the schema of each revision in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import Connection, make_url

from handrail.engines.base import Purpose
from handrail.errors import NotVerified, UsageRefused
from handrail.flows import foreseeing, observing, versions
from handrail.flows.exercising import Execution
from handrail.flows.ports import Ports
from handrail.host.cache import NO_CACHE, Cache
from handrail.host.urls import resolve
from handrail.model.contract import AppVersion
from handrail.model.matrix import CompatFacts, Matrix, begun_in
from handrail.model.plan import Plan
from handrail.model.revision import Direction
from handrail.model.verdict import NoServer, Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class CompatRequest:
    """Which versions (none: all that are deployed), at which revisions (`a:b`, '' for all).

    `every_pair` judges a version also at revisions that are older than it, `static` predicts and executes nothing.
    `since` takes over the cells of the last time, which are kept in `cache`, where nothing they rest on has changed.
    """

    versions: tuple[str, ...] = ()
    revisions: str = ""
    every_pair: bool = False
    static: bool = False
    since: bool = False
    cache: Cache = NO_CACHE


def compat(ports: Ports, request: CompatRequest) -> Matrix:
    """Return the matrix, executed; predicted where no sandbox is to be had. Reads the database once, to be like it.

    Raises UsageRefused where no version is registered, NotVerified where the history does not replay.
    """
    known = ports.journal.versions()
    chosen = tuple(versions.choose(known, name) for name in request.versions)
    chosen = chosen or tuple(version for version in known if version.deployed)
    if not chosen:
        raise UsageRefused(
            what="there is nothing to compare with; nothing was touched",
            why="no version of the application is registered as deployed",
            fix="handrail versions register NAME",
        )
    wanted = selected(ports, request.revisions)
    if request.static:
        found: Matrix | Unsupported = foreseeing.foreseen(ports, chosen, every_pair=request.every_pair)
    else:
        found = _executed(ports, chosen, request)
    if isinstance(found, NoServer):
        reason = "; ".join((found.reason, *found.details))
        found = foreseeing.foreseen(ports, chosen, every_pair=request.every_pair, reason=reason)
    if isinstance(found, Unsupported):
        raise NotVerified(
            what="compatibility cannot be known; nothing was touched",
            why="; ".join((found.reason, *found.details)),
            fix="make the sandbox like the database, or the history replayable: handrail verify says the same",
        )
    rows = tuple(row for row in found.rows if wanted is None or row.revision in wanted)
    return replace(found, rows=rows)


def for_plan(ports: Ports, plan: Plan) -> CompatFacts:
    """Return what becomes of the deployed versions at the revisions of a plan.

    What a version could not do before the plan is not held against it.
    """
    deployed = tuple(version for version in ports.journal.versions() if version.deployed)
    names = tuple(version.name for version in deployed)
    upgrades = {s.revision.id for s in plan.steps if s.direction is Direction.UPGRADE}
    if not deployed or not upgrades:
        return CompatFacts(versions=names, reason="" if deployed else "no version of the application is registered")
    found = _executed(ports, deployed, CompatRequest())
    if isinstance(found, Unsupported):
        return CompatFacts(versions=names, reason="; ".join((found.reason, *found.details)))
    begun = begun_in(found, frozenset(upgrades))
    return CompatFacts(versions=names, matrix=begun, deployments=observing.deployments_now(ports, deployed))


def _executed(ports: Ports, chosen: tuple[AppVersion, ...], request: CompatRequest) -> Matrix | Unsupported:
    with ports.engine.connect(Purpose.READ) as conn:
        needs = ports.engine.needs(conn)
        role = _application_role(ports, conn)
    return Execution(ports, chosen, needs, role).matrix(
        every_pair=request.every_pair, cache=request.cache, since=request.since
    )


def _application_role(ports: Ports, conn: Connection) -> str:
    """Return the role that the application connects as, '' where it is the one that migrates, or a superuser."""
    environment = ports.environment
    if not environment.migration_url:
        return ""
    url = make_url(resolve(environment.url, environment=environment.name, root=ports.settings.root))
    name = url.username or ""
    return name if name != ports.engine.url.username and ports.engine.trials.ordinary(conn, name) else ""


def selected(ports: Ports, text: str) -> frozenset[str] | None:
    """Return the revisions of `a:b`, both included, of `a` alone; None for all of them."""
    if not text:
        return None
    lower, colon, upper = text.partition(":")
    graph = ports.graph
    if not colon:
        return frozenset(graph.resolve(text, ()))
    last = graph.applied(graph.resolve(upper, ())) if upper else graph.applied(graph.heads)
    first = graph.resolve(lower, ()) if lower and lower != "base" else ()
    return last - (graph.applied(first) - frozenset(first))

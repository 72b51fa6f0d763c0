"""`handrail compat`: each version of the application, exercised on the schema of each revision in a sandbox."""

from __future__ import annotations

from dataclasses import dataclass, replace

from handrail.errors import NotVerified, UsageRefused
from handrail.flows.matrix import choosing, exercising, foreseeing
from handrail.flows.ports import Ports
from handrail.host.cache import NO_CACHE, Cache
from handrail.model.matrix import Matrix
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
    chosen = choosing.versions(ports.journal.versions(), request.versions)
    if not chosen:
        raise UsageRefused(
            what="there is nothing to compare with; nothing was touched",
            why="no version of the application is registered as deployed",
            fix="handrail versions register NAME",
        )
    wanted = choosing.revisions(ports.graph, request.revisions)
    if request.static:
        found: Matrix | Unsupported = foreseeing.foreseen(ports, chosen, every_pair=request.every_pair)
    else:
        found = exercising.executed(
            ports, chosen, every_pair=request.every_pair, cache=request.cache, since=request.since, wanted=wanted
        )
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

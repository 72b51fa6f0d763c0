"""Chooses the revisions that a review is about."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.flows.ports import ReviewPorts
from handrail.history.files.graph import Graph, whole
from handrail.host import git
from handrail.model.review import Scope


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The revisions to review, oldest first."""

    scope: Scope
    revisions: tuple[str, ...]


def select(
    ports: ReviewPorts, target: str, *, everything: bool, since: str, heads: tuple[str, ...] | None
) -> Selection:
    """Return one revision or those of a range `a:b`, those changed since a git ref, the pending ones, or all.

    `heads` is where the environment's database stands, None where that is not known: then nothing tells what is
    pending. Raises HistoryBroken, UsageRefused.
    """
    graph = ports.graph
    order = [revision.id for revision in reversed(list(whole(graph).walk()))]
    if since and not everything:
        changed = git.changed(ports.project.root, since)
        chosen = tuple(i for i in order if graph.revisions[i].path.resolve() in changed)
        return Selection(scope=Scope.SINCE, revisions=chosen)
    if target and not everything:
        wanted = _range(graph, target, heads or ())
        return Selection(scope=Scope.RANGE, revisions=tuple(i for i in order if i in wanted))
    if heads is not None and not everything:
        applied = graph.applied(heads)
        return Selection(scope=Scope.PENDING, revisions=tuple(i for i in order if i not in applied))
    return Selection(scope=Scope.ALL, revisions=tuple(order))


def _range(graph: Graph, target: str, heads: tuple[str, ...]) -> frozenset[str]:
    """Return the ids above `a` up to `b` of `a:b`, or the one revision that is named."""
    below, colon, above = target.partition(":")
    if not colon:
        return frozenset(graph.resolve(target, heads))
    top = graph.applied(graph.resolve(above or "heads", heads))
    return top - (graph.applied(graph.resolve(below, heads)) if below else frozenset())

"""Which versions of the application a matrix is about, and which revisions."""

from __future__ import annotations

from difflib import get_close_matches

from handrail.errors import UsageRefused
from handrail.history.files.graph import Graph
from handrail.model.contract import AppVersion


def versions(known: tuple[AppVersion, ...], names: tuple[str, ...]) -> tuple[AppVersion, ...]:
    """Return the versions of those names, all that are deployed where there are none. Raises UsageRefused."""
    chosen = tuple(version(known, name) for name in names)
    return chosen or tuple(one for one in known if one.deployed)


def version(known: tuple[AppVersion, ...], name: str, *, otherwise: str = "") -> AppVersion:
    """Return the one of that name. Raises UsageRefused, with the nearest name, or the command that helps `otherwise`.

    By default that is to register it.
    """
    for one in known:
        if one.name == name:
            return one
    names = [one.name for one in known]
    near = get_close_matches(name, names, n=1)
    raise UsageRefused(
        what=f"there is no version {name!r}; nothing was touched",
        why=f"registered are: {', '.join(names) or 'none'}",
        fix=f"did you mean {near[0]!r}?" if near else otherwise or f"handrail versions register {name}",
    )


def revisions(graph: Graph, text: str) -> frozenset[str] | None:
    """Return the revisions of `a:b`, both included, of `a` alone; None for all of them. Raises UsageRefused."""
    if not text:
        return None
    lower, colon, upper = text.partition(":")
    if not colon:
        return frozenset(graph.resolve(text, ()))
    last = graph.applied(graph.resolve(upper, ())) if upper else graph.applied(graph.heads)
    first = graph.resolve(lower, ()) if lower and lower != "base" else ()
    return last - (graph.applied(first) - frozenset(first))

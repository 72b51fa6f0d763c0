"""`handrail history`: every revision of the files, read without importing or connecting to anything."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.flows.ports import ProjectPorts
from handrail.history.files.problem import Problem
from handrail.model.revision import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class HistoryRead:
    """The revisions, newest first, the graph's ends, and what is wrong with the files."""

    revisions: tuple[Revision, ...]
    heads: tuple[str, ...]
    bases: tuple[str, ...]
    problems: tuple[Problem, ...]


def history(ports: ProjectPorts) -> HistoryRead:
    """Return the history of the files."""
    return HistoryRead(
        revisions=tuple(ports.graph.walk()),
        heads=ports.graph.heads,
        bases=ports.graph.bases,
        problems=ports.graph.problems,
    )

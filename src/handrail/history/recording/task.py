"""What a reading child is to perform, and what it tells of each step."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.history.cell.trace import Looked
from handrail.model.operation import RecordedRevision
from handrail.model.revision import Direction, Revision

if TYPE_CHECKING:
    from handrail.engines.base import Shadow
    from handrail.engines.dialects import Dialect
    from handrail.history.env.env_py import EnvPy
    from handrail.history.files.graph import Graph
    from handrail.history.files.project import Project
    from handrail.model.replayed import Replayed

#: One function of one revision, by the revision's id.
Key = tuple[str, Direction]
Readings = Mapping[Key, RecordedRevision]


@dataclass(frozen=True, slots=True, kw_only=True)
class Basis:
    """What a reading rests on beside the revision: the project as its env.py configures it, and whom SQL is for.

    Without `env`, that of an env.py which only connects is made.
    """

    project: Project
    graph: Graph
    env: EnvPy | None
    engine: Dialect
    server_major: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Study:
    """How code is read that nobody has agreed to run yet: confined, with stand-ins for what is missing in `folders`.

    `schemas` makes of the readings so far the schema after each upgrade, by the revision's id: what its downgrade
    finds, where it looks.
    """

    folders: Sequence[Path]
    schemas: Callable[[Readings], Mapping[str, Replayed]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Steps to be read in order; `keys` are those that are asked for, the others only move the heads.

    `heads` are the rows of the version table before the first step, `shadow` is the schema before it. `limit_s` is how
    much wall and CPU time each may take.
    """

    basis: Basis
    steps: tuple[tuple[Revision, Direction], ...]
    keys: Collection[Key]
    limit_s: float
    heads: tuple[str, ...] = ()
    version_table_exists: bool = True
    shadow: Shadow | None = None
    study: Study | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What a child tells of one step."""

    recorded: RecordedRevision
    looked: Looked = field(default_factory=Looked)

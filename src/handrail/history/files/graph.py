"""The revision graph of a project, read from its files: nothing of the project is imported."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from handrail.history.files import paths, source, structure
from handrail.history.files.problem import Problem, ProblemKind
from handrail.history.files.project import Project
from handrail.model.revision import Revision

if TYPE_CHECKING:
    from alembic.script.revision import RevisionMap

#: Which files count. Source: alembic/script/base.py, _only_source_rev_file and _sourceless_rev_file.
_REVISION_FILE = re.compile(r"(?!\.#|__init__).*\.py")
_COMPILED_FILE = re.compile(r"(?!\.#|__init__)(.*\.py)[co]")
_OF_THE_WHOLE = frozenset(
    {
        ProblemKind.MISSING_PARENT,
        ProblemKind.MISSING_DEPENDENCY,
        ProblemKind.DUPLICATE_LABEL,
        ProblemKind.CYCLE,
        ProblemKind.SEVERAL_HEADS,
        ProblemKind.SEVERAL_BASES,
    }
)


@dataclass(frozen=True, kw_only=True)
class Graph:
    """All revisions that could be read, by id in the order of their files, and all that is wrong with them.

    What does not need the whole graph works on a broken one: `heads`, `bases`, `children`, `needs`, `applied`, `walk`.
    Paths need it whole: they raise the first blocking problem as ProjectUnreadable or HistoryBroken.
    """

    revisions: Mapping[str, Revision]
    problems: tuple[Problem, ...] = ()

    @cached_property
    def heads(self) -> tuple[str, ...]:
        """The ids that no revision names as its parent."""
        return tuple(identity for identity, following in self._children.items() if not following)

    @cached_property
    def bases(self) -> tuple[str, ...]:
        """The ids without a parent."""
        return tuple(revision.id for revision in self.revisions.values() if not revision.parents)

    def children(self, revision_id: str) -> tuple[str, ...]:
        """Return the ids that name this one as a parent; KeyError where there is no such revision."""
        return self._children[revision_id]

    def needs(self, revision_id: str) -> tuple[str, ...]:
        """Return the ids that must be applied before it: parents and dependencies; KeyError as `children`."""
        return self._needs[revision_id]

    def applied(self, rows: Iterable[str]) -> frozenset[str]:
        """Return the ids of all that is applied where the version table holds `rows`, also of one without a file."""
        found: set[str] = set()
        rest = list(rows)
        while rest:
            identity = rest.pop()
            if identity not in found:
                found.add(identity)
                rest += self._needs.get(identity, ())
        return frozenset(found)

    def walk(self) -> Iterator[Revision]:
        """Yield every revision before its parents and dependencies, in the order of `alembic history`."""
        return (self.revisions[identity] for identity in reversed(self._order))

    def below(self, revision_id: str) -> tuple[str, ...]:
        """Return the ids of all that must be applied before it, oldest first; KeyError as `children`."""
        if self._is_line:
            return self._order[: self._number[revision_id]]
        found = self.applied(self.needs(revision_id))
        return tuple(identity for identity in self._order if identity in found)

    def with_revision(self, revision: Revision) -> Graph:
        """Return the graph with a revision known from elsewhere, in place of the file of the same id or path."""
        rest = [p for p in self.problems if p.kind not in _OF_THE_WHOLE and not _replaced(p, revision)]
        return assemble({**self.revisions, revision.id: revision}.values(), rest)

    def resolve(self, spec: str, current: tuple[str, ...] = ()) -> tuple[str, ...]:
        """Return the ids that a revision argument means (`head`, `-1`, `ae10`, `branch@head`); () for `base`.

        `current` is where the database stands, from which bare `+1` and `-1` count. Raises HistoryBroken.
        """
        return paths.resolve(revision_map(self), self.revisions, current, spec)

    def upgrade_path(self, current: tuple[str, ...], target: str) -> tuple[Revision, ...]:
        """Return the revisions that `alembic upgrade TARGET` would apply, in order. Raises HistoryBroken."""
        ids = paths.upgrade(revision_map(self), self.revisions, current, target)
        return tuple(self.revisions[identity] for identity in ids)

    def downgrade_path(self, current: tuple[str, ...], target: str) -> tuple[Revision, ...]:
        """Return the revisions that `alembic downgrade TARGET` would undo, in order.

        Raises HistoryBroken, also for a bare `-1` from several heads, where Alembic warns and takes any.
        """
        ids = paths.downgrade(revision_map(self), self.revisions, current, target)
        return tuple(self.revisions[identity] for identity in ids)

    @cached_property
    def _order(self) -> tuple[str, ...]:
        return tuple(reversed(structure.walk(self.revisions)))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {identity: position for position, identity in enumerate(self._order)}

    @cached_property
    def _is_line(self) -> bool:
        needed = [(), *((identity,) for identity in self._order)]
        return all(self._needs[identity] == before for identity, before in zip(self._order, needed, strict=False))

    @cached_property
    def _children(self) -> dict[str, tuple[str, ...]]:
        return structure.children(self.revisions)

    @cached_property
    def _needs(self) -> dict[str, tuple[str, ...]]:
        return structure.needs(self.revisions)

    @cached_property
    def _map(self) -> RevisionMap:
        blocking = [problem for problem in self.problems if problem.blocking]
        if blocking:
            error = blocking[0].error()
            if len(blocking) > 1:
                error.why += f" (and {len(blocking) - 1} more, see handrail history)"
            raise error
        return paths.revision_map(self.revisions)


def load(project: Project) -> Graph:
    """Return the graph of a project's revision files, read as text.

    Files that cannot be read are `problems` of the graph; it never raises for one of them.
    """
    problems: list[Problem] = []
    revisions: list[Revision] = []
    for path in _files(project, problems):
        if not _REVISION_FILE.fullmatch(path.name):
            if project.sourceless and (compiled := _COMPILED_FILE.fullmatch(path.name)):
                problems.extend(_compiled(path, compiled[1]))
            continue
        revision, found = source.read(path)
        problems.extend(found)
        if revision is not None:
            revisions.append(revision)
    return assemble(revisions, problems)


def assemble(revisions: Iterable[Revision], problems: Iterable[Problem] = ()) -> Graph:
    """Return the graph of these revisions, with what is wrong with the whole added to the problems of the files."""
    by_id: dict[str, Revision] = {}
    twice: list[Problem] = []
    for revision in revisions:
        first = by_id.setdefault(revision.id, revision)
        if first is not revision:
            twice.append(_duplicate(first, revision))
    return Graph(revisions=MappingProxyType(by_id), problems=(*problems, *twice, *structure.problems(by_id)))


def whole(graph: Graph) -> Graph:
    """Return the graph without what is wrong with it as a whole, so that each revision in it can be read.

    Parents that are not there and circles are cut.
    """
    known = graph.revisions
    mended = {
        r.id: replace(
            r,
            parents=tuple(p for p in r.parents if p in known),
            depends_on=tuple(d for d in r.depends_on if d in known),
            branch_labels=(),
        )
        for r in known.values()
    }
    found = assemble(mended.values())
    while circle := [p for p in found.problems if p.blocking and p.revisions]:
        cut = circle[0].revisions[0]
        mended[cut] = replace(mended[cut], parents=(), depends_on=())
        found = assemble(mended.values())
    return found


def revision_map(graph: Graph) -> RevisionMap:
    """Return Alembic's own map of the graph, made once: do not add to it.

    Raises the graph's first blocking problem, as ProjectUnreadable for a file or HistoryBroken for the graph.
    """
    return graph._map  # noqa: SLF001 - the cache belongs to the graph


def _replaced(problem: Problem, revision: Revision) -> bool:
    same_id = problem.revisions == (revision.id,) and problem.kind is not ProblemKind.DUPLICATE
    return same_id or problem.files == (revision.path,)


def _files(project: Project, problems: list[Problem]) -> Iterator[Path]:
    """Yield the files of all version locations as Alembic does: by real path, each once, sorted in every folder."""
    seen: set[str] = set()
    for location in project.version_locations:
        if not location.is_dir():
            if location != project.script_location / "versions":
                problems.append(_missing_folder(location))
            continue
        for folder, folders, names in os.walk(os.path.realpath(location)):
            if folder.endswith("__pycache__"):
                continue
            for name in (*sorted(names), *(_cached(folder, names) if project.sourceless else ())):
                path = os.path.join(folder, name)  # noqa: PTH118 - Path costs more than parsing, here
                real = os.path.realpath(path) if os.path.islink(path) else path  # noqa: PTH114 - see above
                if real not in seen:
                    seen.add(real)
                    yield Path(real)
            if not project.recursive:
                break
            folders.sort()


def _cached(folder: str, names: Iterable[str]) -> list[str]:
    """Return the compiled files in __pycache__ that have no file of that name beside it."""
    present = {name.partition(".")[0] for name in names}
    cache = Path(folder, "__pycache__")
    compiled = sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []
    return [f"__pycache__/{name}" for name in compiled if name.partition(".")[0] not in present]


def _compiled(path: Path, source_name: str) -> Iterator[Problem]:
    if not path.with_name(source_name).exists():
        yield Problem(
            kind=ProblemKind.COMPILED_ONLY,
            what=f"cannot read the revision {path}",
            why="it is compiled (sourceless = true) and its source is not there",
            fix="ship the source files of the revisions",
            files=(path,),
        )


def _missing_folder(location: Path) -> Problem:
    return Problem(
        kind=ProblemKind.MISSING_FOLDER,
        what=f"the version location {location} does not exist",
        why="version_locations names it; Alembic passes over it without a word",
        fix="correct version_locations, or create the folder",
        files=(location,),
    )


def _duplicate(first: Revision, second: Revision) -> Problem:
    return Problem(
        kind=ProblemKind.DUPLICATE,
        what=f"revision {first.id} is defined twice",
        why=f"in {first.path} and in {second.path}",
        fix="remove one of the files, or give it an id of its own and put it into the chain",
        files=(first.path, second.path),
        revisions=(first.id,),
    )

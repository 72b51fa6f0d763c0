"""What reading and judging gave the last time, for as long as nothing that it rests on has changed.

A reading rests on the bytes of its revision and of all before it, on how the revisions hang together, on env.py and the
settings of Alembic, on the engine, on Handrail, Alembic, SQLAlchemy and Python, and on whatever the revisions looked at
while they ran. What sends values apart from its SQL, or SQL with the value of a variable of the environment in it, is
read anew each time: those may be rows, or secret.
"""

from __future__ import annotations

import hashlib
import os
import platform
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, cached_property
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TypeVar

import msgspec

import handrail
from handrail.history.cell.trace import Trace, state, unchanged
from handrail.history.files.graph import Graph
from handrail.history.files.project import Project
from handrail.host.cache import Cache
from handrail.model.operation import RecordedRevision
from handrail.model.review import Judged
from handrail.model.revision import Direction, Revision

T = TypeVar("T")

_LIBRARIES = ("alembic", "sqlalchemy", "postgast", "sqlglot", "psycopg", "msgspec")
#: More than this is not one project's: hashing it each time would cost more than it spares.
_MOST_PATHS = 2_000
#: Shorter values of the environment's variables are words that any SQL may hold.
_TELLING = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bundle:
    """The file: `paths` and `modules` as a Trace has them; `readings` and `judged` by their keys, not decoded yet."""

    paths: dict[str, str]
    modules: dict[str, str]
    readings: dict[str, msgspec.Raw]
    judged: dict[str, msgspec.Raw]


_NOTHING = _Bundle(paths={}, modules={}, readings={}, judged={})


@dataclass(kw_only=True)
class Memory:
    """What is remembered of one history as one engine gets it. `context` is what judging depends on beside reading."""

    cache: Cache
    project: Project
    graph: Graph
    engine: str
    context: str
    _trace: Trace | None = None
    _fresh: dict[str, dict[str, bytes]] = field(default_factory=lambda: {"readings": {}, "judged": {}})

    def reading(self, revision: str, direction: Direction) -> RecordedRevision | None:
        """Return the reading that is remembered, None where there is none."""
        return _decoded(self._bundle.readings.get(self._of_reading(revision, direction)), RecordedRevision)

    def judged(self, revision: str) -> Judged | None:
        """Return what the rules said, None where that is not remembered."""
        return _decoded(self._bundle.judged.get(self._of_judging(revision)), Judged)

    def keep_readings(self, trace: Trace, readings: Iterable[RecordedRevision]) -> None:
        """Remember those that hold nothing but what the revision's own text says; `trace` is what they looked at."""
        self._trace = trace
        telling = tuple(value for value in os.environ.values() if len(value) >= _TELLING)
        for recorded in readings:
            sql = "\n".join(statement.sql for statement in recorded.statements)
            values = any(statement.parameters for statement in recorded.statements)
            if not values and not any(value in sql for value in telling):
                key = self._of_reading(recorded.revision, recorded.direction)
                self._fresh["readings"][key] = msgspec.json.encode(recorded)

    def keep_judged(self, revision: str, judged: Judged) -> None:
        """Remember what the rules said of that revision."""
        self._fresh["judged"][self._of_judging(revision)] = msgspec.json.encode(judged)

    def trace(self) -> Trace:
        """Return a trace for the readings to come."""
        return Trace(folders=self._folders)

    def save(self) -> None:
        """Write down what is new, with all of the old that still holds; nothing where no reading was to be kept."""
        old, trace = self._bundle, self._trace
        if trace is None or len(old.paths | trace.paths) > _MOST_PATHS:
            return
        ids = self.graph.revisions
        readings = {self._of_reading(id_, direction) for id_ in ids for direction in Direction}
        bundle = _Bundle(
            paths=old.paths | trace.paths,
            modules=old.modules | trace.modules,
            readings=_merged(old.readings, self._fresh["readings"], readings),
            judged=_merged(old.judged, self._fresh["judged"], {self._of_judging(id_) for id_ in ids}),
        )
        self.cache.write(self._name, msgspec.json.encode(bundle))

    def _of_reading(self, revision: str, direction: Direction) -> str:
        return f"{direction.value}-{self._lineage[revision]}"

    def _of_judging(self, revision: str) -> str:
        return f"{self.context}-{self._lineage[revision]}"

    @cached_property
    def _bundle(self) -> _Bundle:
        found = _decoded(self.cache.read(self._name), _Bundle)
        return found if found and unchanged(found.paths, found.modules, self._folders) else _NOTHING

    @cached_property
    def _folders(self) -> Sequence[Path]:
        return self.project.code_folders

    @cached_property
    def _name(self) -> str:
        project = self.project
        places = (Path.cwd(), project.root, project.script_location)
        lists = (*project.prepend_sys_path, Path(), *project.version_locations)
        files = [state(path) if path else "" for path in (project.env_py, project.ini, project.pyproject)]
        return digest(self.engine, *map(str, (*places, *lists)), *files, *tools())

    @cached_property
    def _lineage(self) -> Mapping[str, str]:
        """The digest of each revision and all that are read before it, and of how they hang together."""
        order: list[Revision] = list(reversed(list(self.graph.walk())))
        found: dict[str, str] = {}
        before = "" if _is_line(order) else digest(*(f"{r.id} {r.parents} {r.depends_on}" for r in order))
        for revision in order:
            ties = (revision.id, str(revision.parents), str(revision.depends_on), str(revision.path), revision.digest)
            found[revision.id] = before = digest(before, *ties)
        return found


def digest(*parts: str) -> str:
    """Return one digest of all these texts."""
    return hashlib.sha256("\0".join(parts).encode(errors="surrogatepass")).hexdigest()


def _is_line(order: Sequence[Revision]) -> bool:
    """Return whether each revision has just the one before as its parent; then none depends on what comes after it."""
    parents = [(), *((revision.id,) for revision in order)]
    return all(r.parents == above and not r.depends_on for r, above in zip(order, parents, strict=False))


def _decoded(content: bytes | msgspec.Raw | None, kind: type[T]) -> T | None:
    if content is None:
        return None
    try:
        return msgspec.json.decode(content, type=kind)
    except msgspec.MsgspecError:
        return None


def _merged(old: Mapping[str, msgspec.Raw], new: Mapping[str, bytes], valid: set[str]) -> dict[str, msgspec.Raw]:
    return {
        **{key: value for key, value in old.items() if key in valid},
        **{key: msgspec.Raw(value) for key, value in new.items()},
    }


@cache
def tools() -> tuple[str, ...]:
    """Return what is told of everything that reads and judges: versions, and Handrail's own files."""
    return (platform.python_implementation(), sys.version, *map(_version, _LIBRARIES), *_own_files())


def _version(library: str) -> str:
    try:
        return f"{library} {version(library)}"
    except PackageNotFoundError:
        return library


def _own_files() -> list[str]:
    """Return every module of Handrail with its size and time: an installed version's never change."""
    found = []
    for folder, folders, names in os.walk(Path(handrail.__file__).parent):
        folders[:] = sorted(name for name in folders if name not in {"__pycache__", "data"})
        for name in sorted(name for name in names if name.endswith(".py")):
            status = os.stat(os.path.join(folder, name))  # noqa: PTH116, PTH118 - some hundred files, each time
            found.append(f"{name} {status.st_size} {status.st_mtime_ns}")
    return found

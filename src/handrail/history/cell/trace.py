"""What the code of revisions looks at beside itself while it runs: files, folders and modules.

Python's audit events tell of them (https://docs.python.org/3/library/audit_events.html). What is asked without one (the
environment, the clock, whether a file is there) is not seen.
"""

from __future__ import annotations

import hashlib
import os
import sys
import sysconfig
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.util import source_from_cache
from pathlib import Path

import handrail

_LIBRARY = tuple(f"{sysconfig.get_paths()[name]}{os.sep}" for name in ("stdlib", "platstdlib"))
_PASSED_OVER = (f"{Path(handrail.__file__).parent}{os.sep}", "/dev/", "/proc/")
_LISTING = frozenset({"os.listdir", "os.scandir"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Looked:
    """What was newly looked at: paths of files and folders, dotted names of modules."""

    paths: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()


@dataclass(slots=True)
class Watch:
    """Hears of everything that this process looks at from now on. An audit hook cannot be taken away again."""

    paths: dict[str, None] = field(default_factory=dict)
    modules: dict[str, None] = field(default_factory=dict)
    _told: int = 0
    _named: int = 0

    def begin(self) -> None:
        """Start to listen."""
        sys.addaudithook(self._hear)

    def fresh(self) -> Looked:
        """Return what was not told before."""
        paths, modules = tuple(self.paths)[self._told :], tuple(self.modules)[self._named :]
        self._told, self._named = len(self.paths), len(self.modules)
        return Looked(paths=paths, modules=modules)

    def _hear(self, event: str, arguments: tuple[object, ...]) -> None:
        if event == "import":
            name = str(arguments[0])
            if name.partition(".")[0] not in sys.stdlib_module_names:
                self.modules.setdefault(name)
        elif event == "open" or (event in _LISTING and not _by_import()):
            path = arguments[0]
            if isinstance(path, str | bytes | os.PathLike):
                told = os.path.abspath(os.fsdecode(path))  # noqa: PTH100 - a Path costs more than what it names
                if "site-packages" in told or not told.startswith((*_LIBRARY, *_PASSED_OVER)):
                    self.paths.setdefault(_source(told))


def _by_import() -> bool:
    """Return whether the import system lists a folder, which `modules` tells better."""
    return sys._getframe(2).f_code.co_filename.startswith("<frozen importlib")  # noqa: SLF001 - who calls


def _source(path: str) -> str:
    if not path.endswith(".pyc"):
        return path
    try:
        return source_from_cache(path)
    except ValueError:
        return path


@dataclass(slots=True)
class Trace:
    """Everything that was looked at, and how it was found: compared with how it is found another time."""

    folders: Sequence[Path]
    paths: dict[str, str] = field(default_factory=dict)
    modules: dict[str, str] = field(default_factory=dict)

    def add(self, looked: Looked) -> None:
        """Find out how those are now."""
        self.paths |= {path: state(Path(path)) for path in looked.paths if path not in self.paths}
        self.modules |= {n: whereabouts(n, self.folders) for n in looked.modules if n not in self.modules}


def unchanged(paths: Mapping[str, str], modules: Mapping[str, str], folders: Sequence[Path]) -> bool:
    """Return whether all of them are as they were."""
    return all(state(Path(path)) == was for path, was in paths.items()) and all(
        whereabouts(name, folders) == was for name, was in modules.items()
    )


def state(path: Path) -> str:
    """Return the digest of a file's bytes or of a folder's names, '' where there is neither."""
    try:
        if path.is_dir():
            return hashlib.sha256(
                "\0".join(sorted(entry.name for entry in path.iterdir())).encode(errors="replace")
            ).hexdigest()
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def whereabouts(name: str, folders: Iterable[Path]) -> str:
    """Return where a module would be found, in the project's folders or, by its first name, elsewhere; '' nowhere."""
    tail = Path(*name.split("."))
    for folder in folders:
        for path in (folder / tail.with_suffix(".py"), folder / tail / "__init__.py"):
            if path.is_file():
                return str(path)
    spec = PathFinder.find_spec(name.partition(".")[0])
    return "" if spec is None else spec.origin or str(spec.submodule_search_locations)

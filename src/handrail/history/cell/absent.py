"""Finds stand-ins in the place of modules that cannot be imported, and of those of the project that fail."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial, wraps
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import DefaultClause, Enum, text

from handrail.history.cell.noticing import unnoticed
from handrail.history.cell.stand_ins import StandIn, StandInType, last_name, unknown
from handrail.history.fencing.guard import Raised, call

#: Libraries look for these, and do without them.
_OPTIONAL = frozenset(
    {
        "_curses",
        "_pytest",
        "_scproxy",
        "_winreg",
        "colorama",
        "java",
        "msvcrt",
        "mx",
        "nt",
        "org",
        "psycopg2",
        "psycopg_c",
        "pwd",
        "pydantic_core",
        "readline",
        "simplejson",
        "six",
        "vms_lib",
        "winreg",
    }
)


class _Finder(MetaPathFinder, Loader):
    """The last one asked: whatever no other finder knows, it makes up."""

    def find_spec(self, fullname: str, _path: object = None, _target: object = None) -> ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top in _OPTIONAL or top in sys.stdlib_module_names:
            return None
        parent = sys.modules.get(fullname.rpartition(".")[0])
        if parent is not None and not isinstance(parent, StandIn):
            return None  # a module that is there knows best what belongs to it
        return ModuleSpec(fullname, self, is_package=True)

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = StandIn(spec.name)
        module.__path__ = list(spec.submodule_search_locations or ())
        return module

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


#: The modules of the project that were imported.
_ours: list[ModuleType] = []


class _Lenient(Loader):
    """Loads a module of the project; one that fails becomes a stand-in whose submodules can still be real."""

    def __init__(self, real: Loader) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and whatever it raises, go on."""
        _ours.append(module)
        with unnoticed():
            ran = call(partial(self._real.exec_module, module))
        if isinstance(ran, Raised):
            module.__class__ = StandIn
        elif hasattr(module, "__path__"):
            module.__dict__.setdefault("__getattr__", partial(_submodule, module))


def _submodule(package: ModuleType, name: str) -> ModuleType:
    """Return a module of a package that others of the application would have imported by now."""
    inside = f"{package.__name__}.{name}"
    if name.startswith("__") or PathFinder.find_spec(inside, package.__path__) is None:
        raise AttributeError(f"module {package.__name__!r} has no attribute {name!r}")
    return import_module(inside)


class _OfProject(MetaPathFinder):
    """The first one asked: finds the modules of the project's own folders."""

    def __init__(self, folders: tuple[str, ...], scripts: Path) -> None:
        self._folders = folders
        self._scripts = scripts

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, self._folders if path is None else path, target)
        if spec is None and path is not None and fullname.rpartition(".")[2] == self._scripts.name:
            # Only the folder of the migrations is here: what they have in it is still theirs.
            spec = ModuleSpec(fullname, _Finder(), is_package=True)
            spec.submodule_search_locations = [str(self._scripts)]
            return spec
        if spec is not None and spec.loader is None:
            inside = any(str(place).startswith(self._folders) for place in spec.submodule_search_locations or ())
            return spec if inside and path is not None else None  # a folder is no reason to hide what is installed
        if spec is None or spec.loader is None or not str(spec.origin).startswith(self._folders):
            return None
        if "site-packages" in str(spec.origin):
            return None
        spec.loader = _Lenient(spec.loader)
        return spec


def install(folders: Sequence[Path], scripts: Path) -> None:
    """Stand in for what is missing, and for what fails in those folders, as long as the process lives.

    `scripts` is the folder of env.py: it stands for the package of its name, should that be all there is.
    """
    sys.meta_path.insert(0, _OfProject((*map(str, folders), str(scripts)), scripts))
    sys.meta_path.append(_Finder())
    Enum._parse_into_values = _with_names(Enum._parse_into_values)  # type: ignore[method-assign]  # noqa: SLF001 - where values are told from an enumeration
    DefaultClause.__init__ = _with_stand_ins(DefaultClause.__init__)  # type: ignore[method-assign]  # where values come in


def withdraw(file: str) -> bool:
    """Stand in for a module of the application that fails when it is used; return whether it is one, and new."""
    failed = next((m for m in _ours if m.__dict__.get("__file__") == file and not isinstance(m, StandIn)), None)
    if failed is None:
        return False
    name = failed.__name__
    for key in [key for key in failed.__dict__ if not key.startswith("__")]:
        del failed.__dict__[key]
    failed.__class__ = StandIn
    for module in _ours:  # what they have taken from it
        for key, value in list(module.__dict__.items()):
            if name in {getattr(value, "__module__", ""), type(value).__module__}:
                setattr(module, key, getattr(failed, getattr(value, "__name__", key).rpartition(".")[2]))
    return True


def _with_names(real: Callable[..., Any]) -> Callable[..., Any]:
    """Return what reads the values of an Enum, with names in the place of values that are not here."""

    @wraps(real)
    def values(self: Enum, enums: Any, *arguments: Any) -> Any:
        return real(self, [last_name(unknown(e)) if isinstance(e, StandIn) else e for e in enums], *arguments)

    return values


def _with_stand_ins(real: Callable[..., None]) -> Callable[..., None]:
    """Return the constructor of a server's default that takes a value which is not here, too."""

    @wraps(real)
    def made(self: DefaultClause, arg: Any, *arguments: Any, **options: Any) -> None:
        missing = isinstance(arg, StandIn | StandInType)
        real(self, text(f"'{last_name(unknown(arg))}'") if missing else arg, *arguments, **options)

    return made

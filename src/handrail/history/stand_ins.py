"""Stand-ins for modules that a revision imports and that cannot be imported here: an application not installed.

A stand-in has every name. What looks like a class (`TZDateTime`) is a column type, so that operations that use it can
be compiled; everything else is a value that can be called and asked for more.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, MutableSequence, Sequence
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from sqlalchemy import MetaData
from sqlalchemy.types import UserDefinedType

from handrail.history.guard import Raised, call

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


class StandInType(UserDefinedType[Any]):
    """A column type of an application that is not here; its SQL is guessed from its name."""

    cache_ok = True

    def __init__(self, *_arguments: object, **_options: object) -> None:
        """Take whatever the real one takes."""

    def get_col_spec(self, **_options: object) -> str:
        """Return a type that a server knows."""
        name = type(self).__name__.lower()
        if "date" in name or "time" in name:
            return "TIMESTAMP"
        if "json" in name or "dict" in name:
            return "JSON"
        return "INTEGER" if "int" in name else "TEXT"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return StandIn(name)


class StandIn(ModuleType):
    """A module, function or value that is not here."""

    __path__: MutableSequence[str] = []  # noqa: RUF012 - that of ModuleType; makes it a package

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        inside = f"{self.__name__}.{name}"
        if self.__path__ and PathFinder.find_spec(inside, self.__path__):
            return import_module(inside)
        value: object = MetaData() if name == "metadata" else _kind(name) if name[:1].isupper() else StandIn(inside)
        setattr(self, name, value)
        return value

    def __call__(self, *arguments: object, **_options: object) -> Any:
        """Return a decorated function as it is, else this stand-in; what the real one does is not known."""
        for heard in _listeners:
            heard(self.__name__)
        return arguments[0] if len(arguments) == 1 and isinstance(arguments[0], FunctionType) else self

    def __iter__(self) -> Iterator[object]:
        return iter(())

    def __getitem__(self, _key: object) -> Any:
        return self

    def __str__(self) -> str:
        return ""


def _kind(name: str) -> type:
    if name.isupper() and len(name) > 1:
        return StandIn(name)  # type: ignore[return-value]  # a constant
    return type(name, (StandInType,), {"metadata": MetaData(), "cache_ok": True})


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
        return StandIn(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Run nothing."""


class _Lenient(Loader):
    """Loads a module of the project; one that fails becomes a stand-in whose submodules can still be real."""

    def __init__(self, real: Loader) -> None:
        self._real = real

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, and whatever it raises, go on."""
        ran = call(partial(self._real.exec_module, module))
        if isinstance(ran, Raised):
            module.__class__ = StandIn


class _OfProject(MetaPathFinder):
    """The first one asked: finds the modules of the project's own folders."""

    def __init__(self, folders: tuple[str, ...]) -> None:
        self._folders = folders

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(fullname, self._folders if path is None else path, target)
        if spec is None or spec.loader is None or not str(spec.origin).startswith(self._folders):
            return None
        if "site-packages" in str(spec.origin):
            return None
        spec.loader = _Lenient(spec.loader)
        return spec


def install(folders: Sequence[Path]) -> None:
    """Stand in for what is missing, and for what fails in those folders, as long as the process lives."""
    sys.meta_path.insert(0, _OfProject(tuple(map(str, folders))))
    sys.meta_path.append(_Finder())


_listeners: list[Callable[[str], None]] = []


@contextmanager
def hearing(heard: Callable[[str], None]) -> Iterator[None]:
    """Tell of every stand-in that is called inside, by its name."""
    _listeners.append(heard)
    try:
        yield
    finally:
        _listeners.remove(heard)

"""Database drivers, named only to be fenced: every function of theirs that opens a connection is replaced."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

#: How connections are opened without SQLAlchemy: module, then dotted names inside it.
OPENERS = {
    "psycopg": ("connect", "Connection.connect", "AsyncConnection.connect"),
    "psycopg2": ("connect",),
    "asyncpg": ("connect", "create_pool"),
    "asyncpg.connection": ("connect",),
    "pg8000": ("connect",),
    "pg8000.dbapi": ("connect",),
    "pymysql": ("connect", "Connect"),
    "MySQLdb": ("connect",),
    "mysql.connector": ("connect",),
    "aiomysql": ("connect", "create_pool"),
    "asyncmy": ("connect", "create_pool"),
    "sqlite3": ("connect",),
    "sqlite3.dbapi2": ("connect",),
    "aiosqlite": ("connect",),
}

Opener = Callable[..., object]
Wrap = Callable[[str, Opener], Opener]


@contextmanager
def fenced(wrap: Wrap) -> Iterator[None]:
    """Replace every opener by `wrap(name, opener)`: in the drivers imported already and in those imported later."""
    fitted = _Fitted(wrap)
    hook = _AfterImport(fitted)
    try:
        for name in OPENERS:
            if sys.modules.get(name) is not None:  # None there makes its import fail
                fitted.fit(name, sys.modules[name])
        sys.meta_path.insert(0, hook)
        try:
            yield
        finally:
            sys.meta_path.remove(hook)
    finally:
        fitted.restore()


class _Fitted:
    def __init__(self, wrap: Wrap) -> None:
        self._wrap = wrap
        self._before: list[tuple[object, str, object]] = []

    def fit(self, driver: str, module: ModuleType) -> None:
        for dotted in OPENERS[driver]:
            *path, name = dotted.split(".")
            holder: object = module
            for part in path:
                holder = getattr(holder, part, None)
            opener = getattr(holder, name, None)
            if holder is None or not callable(opener):
                continue
            kept = holder.__dict__.get(name, opener)
            self._before.append((holder, name, kept))
            wrapped = self._wrap(f"{driver}.{dotted}", opener)
            setattr(holder, name, staticmethod(wrapped) if isinstance(holder, type) else wrapped)

    def restore(self) -> None:
        for holder, name, kept in reversed(self._before):
            setattr(holder, name, kept)


class _AfterImport(importlib.abc.MetaPathFinder):
    """Fits a driver at the moment its import ends."""

    def __init__(self, fitted: _Fitted) -> None:
        self._fitted = fitted
        self._finding: set[str] = set()

    def find_spec(
        self,
        fullname: str,
        path: Sequence[str] | None,  # noqa: ARG002 - importlib's signature
        target: ModuleType | None = None,  # noqa: ARG002 - importlib's signature
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in OPENERS or fullname in self._finding:
            return None
        self._finding.add(fullname)
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._finding.discard(fullname)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(fullname, spec.loader, self._fitted)
        return spec


class _Loader(importlib.abc.Loader):
    def __init__(self, driver: str, real: importlib.abc.Loader, fitted: _Fitted) -> None:
        self._driver = driver
        self._real = real
        self._fitted = fitted

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._real.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._real.exec_module(module)
        self._fitted.fit(self._driver, module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._real, name)

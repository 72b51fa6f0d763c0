"""Rooms of an engine that are loaded when they are first asked for: most commands ask for a few of them."""

from __future__ import annotations

from importlib import import_module
from typing import Any


class _Room:
    def __init__(self, module: str) -> None:
        self._module = module

    def __get__(self, _engine: object, _kind: type | None = None) -> Any:
        return import_module(self._module)


def loaded(module: str) -> Any:
    """Return an attribute of a class that is the module of that name, imported when it is read."""
    return _Room(module)

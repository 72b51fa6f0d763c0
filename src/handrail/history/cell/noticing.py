"""What is noticed while a revision runs in the cell, and makes its reading less than exact."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

_Heard = Callable[[str], None]
_listeners: list[tuple[_Heard, Callable[[], bool]]] = []


def notice(what: str) -> None:
    """Tell whoever listens; `what` goes on from "it", as `uses the value of app.LIMIT, which cannot be imported`."""
    for heard, _ in _listeners:
        heard(what)


def notice_call(what: str) -> None:
    """Tell of a call, which matters only in a revision's function: elsewhere, what it gives is noticed in its use."""
    for heard, inside in _listeners:
        if inside():
            heard(what)


@contextmanager
def noticed(heard: _Heard, inside: Callable[[], bool]) -> Iterator[None]:
    """Hear of what is noticed; `inside` is whether a revision's function is running."""
    _listeners.append((heard, inside))
    try:
        yield
    finally:
        _listeners.pop()


@contextmanager
def unnoticed() -> Iterator[None]:
    """Let nothing be noticed: a module of the application is imported, most of which no revision uses."""
    before = _listeners[:]
    _listeners.clear()
    try:
        yield
    finally:
        _listeners[:] = before

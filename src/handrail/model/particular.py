"""What a database holds beside its schema's fingerprint, its rows and its grants: one fact each, to be compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: How many characters of a value are shown.
_SHOWN = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Particular:
    """One thing and what it is, e.g. `publication news`, `order of columns of players`; equal texts, equal things."""

    of: str
    value: str


def changed(before: Iterable[Particular], after: Iterable[Particular]) -> Iterator[str]:
    """Yield what a copy made `after` does not hold as the original did `before`, one sentence each."""
    found = {one.of: one.value for one in after}
    for one in before:
        value = found.pop(one.of, None)
        if value is None:
            yield f"{one.of} is missing"
        elif value != one.value:
            yield f"{one.of}: {_shown(value)}, expected {_shown(one.value)}"
    yield from (f"{of} was not there" for of in found)


def _shown(value: str) -> str:
    return value if len(value) <= _SHOWN else f"{value[:_SHOWN]}..."

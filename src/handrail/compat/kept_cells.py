"""Cells of the last time, for as long as nothing that they rest on has changed.

A cell rests on the contract, on the bytes of every revision up to its own and up to the version's home, on what the
sandbox was made like, and on Handrail, Alembic, SQLAlchemy and the driver.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

import msgspec

from handrail.host.cache import Cache
from handrail.model.contract import AppVersion
from handrail.model.matrix import Trial
from handrail.model.revision import Revision

#: Cells of one project beyond which the oldest are forgotten.
_LIMIT = 20_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenBy:
    """Which revision and operation made something stop working that began in this cell."""

    trial: Trial
    since: str
    operation: str


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptCell:
    """What was seen and foreseen of one version at one revision, and what caused that which began there."""

    trials: tuple[Trial, ...]
    foreseen: tuple[Trial, ...]
    causes: tuple[BrokenBy, ...] = ()


@dataclass(kw_only=True)
class Kept:
    """The cells of one history, replayed in that order.

    `context` is all that they rest on beside revisions and contracts; `homes` are the revisions at which versions are
    at home.
    """

    cache: Cache
    place: str
    context: Iterable[str]
    order: tuple[Revision, ...]
    homes: Mapping[str, str]

    def cell(self, version: AppVersion, revision: str) -> KeptCell | None:
        """Return the cell of the last time, None where it would be another by now."""
        return self._known.get(self._key(version, revision))

    def keep(self, cells: Mapping[tuple[AppVersion, str], KeptCell]) -> None:
        """Remember these, and of the others the newest."""
        fresh = {self._key(of, revision): cell for (of, revision), cell in cells.items()}
        older = {key: cell for key, cell in self._known.items() if key not in fresh}
        kept = dict(list({**older, **fresh}.items())[-_LIMIT:])
        self.cache.write(self._name, msgspec.json.encode(kept))

    @cached_property
    def _known(self) -> dict[str, KeptCell]:
        try:
            return msgspec.json.decode(self.cache.read(self._name) or b"{}", type=dict[str, KeptCell])
        except msgspec.MsgspecError:  # of another release
            return {}

    @cached_property
    def _name(self) -> str:
        return f"compat-{_digest(self.place)}"

    @cached_property
    def _base(self) -> str:
        return _digest(*self.context)

    @cached_property
    def _lineage(self) -> Mapping[str, str]:
        found, before = {}, self._base
        for revision in self.order:
            ties = (revision.id, str(revision.parents), str(revision.depends_on), revision.digest)
            found[revision.id] = before = _digest(before, *ties)
        return found

    def _key(self, version: AppVersion, revision: str) -> str:
        home = self._lineage.get(self.homes.get(version.name, ""), "")
        return _digest(version.digest, *version.revisions, home, self._lineage[revision])


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()

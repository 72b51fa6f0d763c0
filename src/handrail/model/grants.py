"""Who may do what in a database, beside the owners of things."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

PUBLIC = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one role may do with one thing: `on` as `table players`; `role` is PUBLIC ('') for everybody.

    `privileges` are the server's words in their order, with ` with grant option` behind those that may be given on.
    """

    on: str
    role: str
    privileges: tuple[str, ...]

    @property
    def whom(self) -> str:
        """The role as a person reads it."""
        return self.role or "PUBLIC"


def lost(before: Iterable[Grant], after: Iterable[Grant]) -> Iterator[str]:
    """Yield what a copy made `after` does not keep of the grants `before`, one sentence each.

    Owners' own privileges are no grants, and a copy has other owners: so what it grants beyond the original is a
    difference only where everybody gets it, which is a REVOKE that was lost.
    """
    held = {(grant.on, grant.role): grant for grant in before}
    found = {(grant.on, grant.role): grant for grant in after}
    for key, grant in held.items():
        missing = [p for p in grant.privileges if key not in found or p not in found[key].privileges]
        if missing:
            yield f"{grant.whom} has lost {', '.join(missing)} on {grant.on}"
    for key, grant in found.items():
        gained = [p for p in grant.privileges if key not in held or p not in held[key].privileges]
        if gained and grant.role == PUBLIC:
            yield f"everybody has gained {', '.join(gained)} on {grant.on}"

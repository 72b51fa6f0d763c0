"""Who may do what in a database: what is granted, and who owns what."""

from __future__ import annotations

from collections.abc import Container, Iterable, Iterator
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose a thing is: `of` as `table players`.

    `listed` is how an archive's table of contents names it; '' where that does not name it by itself.
    """

    of: str
    role: str
    listed: str


def disowned(before: Iterable[Owner], after: Iterable[Owner]) -> Iterator[str]:
    """Yield what belongs to somebody else in a copy made `after` than it did `before`, one sentence each."""
    found = {owner.of: owner.role for owner in after}
    for owner in before:
        role = found.get(owner.of)
        if role not in {None, owner.role}:  # what is missing altogether is a difference of the schema
            yield f"{owner.of} belongs to {role}, expected {owner.role}"


def unlisted(owners: Iterable[Owner], contents: Container[str]) -> Iterator[str]:
    """Yield what an archive would give to somebody else, by the lines of its table of contents: kind, name, owner."""
    for owner in owners:
        if owner.listed and f"{owner.listed} {owner.role}" not in contents:
            yield f"the archive does not give {owner.of} to its owner {owner.role}"


def lost(before: Iterable[Grant], after: Iterable[Grant], owners: Iterable[Owner] | None = None) -> Iterator[str]:
    """Yield what a copy made `after` does not keep of the grants `before`, one sentence each.

    Owners' own privileges are no grants, and a copy may have other owners: so what it grants beyond the original is
    told only of roles that own nothing, and without `owners` only where everybody gets it: a REVOKE was lost.
    """
    owning = None if owners is None else {owner.role for owner in owners}
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
        elif gained and owning is not None and grant.role not in owning:
            yield f"{grant.role} has gained {', '.join(gained)} on {grant.on}"

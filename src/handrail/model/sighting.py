"""Who uses a database: which versions of the application are connected to it, or were, and when they wrote."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

#: Between the name of an application and its version in what a session calls itself.
SEPARATOR = "@"


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """One session of somebody else's, as the server tells of it now.

    `began_at` and `wrote_at` are RFC 3339 in UTC; `wrote_at` is '' where no write is to be seen. `readable` is False
    where we may not see what the session does.
    """

    session: str
    name: str
    user: str
    began_at: str = ""
    wrote_at: str = ""
    readable: bool = True

    @property
    def told(self) -> tuple[str, str] | None:
        """The application and its version, None where the session does not say both."""
        application, separator, version = self.name.rpartition(SEPARATOR)
        return (application, version) if separator and application and version else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sighting:
    """A version of an application in an environment: when it was last seen there, with how many sessions at that time.

    `wrote_at` is when it was last seen to write, '' for never. Times are RFC 3339 in UTC.
    """

    environment: str
    application: str
    version: str
    seen_at: str
    sessions: int = 1
    wrote_at: str = ""

    def describe(self) -> str:
        """Return in words when and where it was seen, and with how many sessions."""
        sessions = f"{self.sessions} session{'' if self.sessions == 1 else 's'}"
        wrote = f", wrote {self.wrote_at}" if self.wrote_at else ", no write seen"
        return f"last seen {self.seen_at} in {self.environment} as {self.application} ({sessions}{wrote})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """What is known of a registered version's being in use: who answers for it, and where it was seen, newest first."""

    version: str
    owner: str = ""
    sightings: tuple[Sighting, ...] = ()

    def describe(self) -> str:
        """Return version, owner and when it was last seen, in one line."""
        seen = self.sightings[0].describe() if self.sightings else "never observed"
        return f"{self.version}: owner {self.owner or 'unknown'}, {seen}"


def sightings(presences: Iterable[Presence], *, environment: str, at: str) -> tuple[Sighting, ...]:
    """Return one sighting for each version that sessions say they are of."""
    found: dict[tuple[str, str], list[Presence]] = {}
    for presence in presences:
        if presence.told is not None:
            found.setdefault(presence.told, []).append(presence)
    return tuple(
        Sighting(
            environment=environment,
            application=application,
            version=version,
            seen_at=at,
            sessions=len(theirs),
            wrote_at=max(presence.wrote_at for presence in theirs),
        )
        for (application, version), theirs in sorted(found.items())
    )


def merged(old: Iterable[Sighting], new: Iterable[Sighting]) -> tuple[Sighting, ...]:
    """Return both, the newer look at each version with the latest write of either; newest first."""
    known = {(s.environment, s.application, s.version): s for s in old}
    for each in new:
        key = (each.environment, each.application, each.version)
        before = known.get(key)
        known[key] = replace(each, wrote_at=max(each.wrote_at, before.wrote_at)) if before else each
    return tuple(sorted(known.values(), key=lambda s: (s.seen_at, s.application, s.version), reverse=True))


def deployment(version: str, owner: str, known: Iterable[Sighting]) -> Deployment:
    """Return what is known of that version among all sightings, which come newest first."""
    return Deployment(version=version, owner=owner, sightings=tuple(s for s in known if s.version == version))

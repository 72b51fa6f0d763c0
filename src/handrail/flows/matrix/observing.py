"""`handrail versions observed`: which versions of the application use a database, as far as it tells."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from handrail.engines.base import Purpose
from handrail.errors import NotVerified
from handrail.flows.ports import Ports, ProjectPorts
from handrail.model.contract import AppVersion
from handrail.model.sighting import Deployment, Presence, Sighting, deployment, merged, sightings
from handrail.model.verdict import Unsupported

_BETWEEN_LOOKS_S = 0.1


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What a look at a database has shown.

    `seen` are the versions that sessions say they are of; `unregistered` those of them that nobody registered.
    `nameless` are sessions that say no version, `unreadable` counts those of which we may see no more than the name.
    """

    environment: str
    at: str
    seen: tuple[Sighting, ...]
    unregistered: tuple[str, ...] = ()
    nameless: tuple[Presence, ...] = ()
    unreadable: int = 0


def observe(ports: Ports, *, length: timedelta = timedelta()) -> Observed:
    """Look who is connected, again and again for that time, and keep in the journal what was seen.

    Raises NotVerified where the database cannot tell.
    """
    found = _looked(ports, length)
    if isinstance(found, Unsupported):
        raise NotVerified(
            what="which versions are connected cannot be seen; nothing was touched",
            why=found.reason,
            fix="ask the machines that run the application",
        )
    at = _now(ports)
    seen = sightings(found, environment=ports.environment.name, at=at)
    if seen:
        ports.journal.keep_sightings(seen)
    registered = {version.name for version in ports.journal.versions()}
    return Observed(
        environment=ports.environment.name,
        at=at,
        seen=seen,
        unregistered=tuple(sorted({each.version for each in seen} - registered)),
        nameless=tuple(presence for presence in found if presence.told is None),
        unreadable=sum(not presence.readable for presence in found),
    )


def deployments(ports: ProjectPorts, versions: Iterable[AppVersion]) -> tuple[Deployment, ...]:
    """Return what the journal knows of the use of those versions."""
    known = ports.journal.sightings()
    return tuple(deployment(version.name, version.owner, known) for version in versions)


def deployments_now(ports: Ports, versions: Iterable[AppVersion]) -> tuple[Deployment, ...]:
    """Return the same with what is to be seen at this moment; nothing is kept."""
    found = _looked(ports, timedelta())
    now = () if isinstance(found, Unsupported) else found
    seen = sightings(now, environment=ports.environment.name, at=_now(ports))
    known = merged(ports.journal.sightings(), seen)
    return tuple(deployment(version.name, version.owner, known) for version in versions)


def _now(ports: Ports) -> str:
    return ports.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ")


def _looked(ports: Ports, length: timedelta) -> tuple[Presence, ...] | Unsupported:
    """Return every session that was there at any look, with its latest write."""
    known: dict[tuple[str, str], Presence] = {}
    until = ports.clock.monotonic() + length.total_seconds()
    with ports.engine.connect(Purpose.READ) as conn:
        while True:
            found = ports.engine.usage.presences(conn)
            if isinstance(found, Unsupported):
                return found
            for each in found:
                key = (each.session, each.began_at)
                before = known.get(key)
                known[key] = replace(each, wrote_at=max(each.wrote_at, before.wrote_at)) if before else each
            if ports.clock.monotonic() >= until or ports.stop.requested:
                return tuple(known.values())
            time.sleep(_BETWEEN_LOOKS_S)

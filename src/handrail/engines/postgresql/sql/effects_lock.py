"""One lock of a statement, and how several on the same relation are joined into one effect."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.engines.postgresql.sql.lock_modes import ACCESS_EXCLUSIVE, BLOCKS, MODES
from handrail.model.effect import Cost, Effect
from handrail.model.verdict import Confidence

LOCKING = "https://www.postgresql.org/docs/current/explicit-locking.html"
ANYTHING = "*"

_COSTS = (Cost.INSTANT, Cost.SCAN, Cost.REWRITE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """One lock before lines of the same relation are joined."""

    relation: str
    mode: str
    cost: Cost = Cost.INSTANT
    confidence: Confidence = Confidence.HIGH
    created: bool = False
    severs: tuple[str, ...] = ()
    source: str = LOCKING


UNKNOWN = Lock(relation=ANYTHING, mode=ACCESS_EXCLUSIVE, cost=Cost.REWRITE, confidence=Confidence.LOW)


def stronger(one: Lock, other: Lock) -> Lock:
    """Return the one lock that does what both do."""
    mode = max(one.mode, other.mode, key=MODES.index)
    cost = max(one.cost, other.cost, key=_COSTS.index)
    low = Confidence.LOW in {one.confidence, other.confidence}
    return Lock(
        relation=one.relation,
        mode=mode,
        cost=cost,
        confidence=Confidence.LOW if low else Confidence.HIGH,
        created=one.created,
        severs=(*one.severs, *other.severs),
        source=one.source if one.mode == mode else other.source,
    )


def effect(lock: Lock) -> Effect:
    """Return the lock as the model tells it."""
    return Effect(
        relation=lock.relation,
        lock=lock.mode,
        blocks=BLOCKS[lock.mode],
        cost=lock.cost,
        confidence=lock.confidence,
        created_here=lock.created,
        severs=lock.severs,
        source=lock.source,
    )

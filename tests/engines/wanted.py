"""Locks to ask an engine about."""

from __future__ import annotations

from handrail.model.effect import Blocks, Cost, Effect


def wanted(*relations: str) -> tuple[Effect, ...]:
    """The strongest lock there is, on each of those relations."""
    return tuple(
        Effect(relation=name, lock="ACCESS EXCLUSIVE", blocks=Blocks.READS_AND_WRITES, cost=Cost.INSTANT)
        for name in relations
    )

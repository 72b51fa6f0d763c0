"""The events of a run as the journal keeps them: JSON, of statements their shape without any value."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import msgspec

from handrail.host import secrets
from handrail.model.outline import PlanOutline, outline
from handrail.model.run import Event, Planned, StatementSkipped, StatementStarted

_KINDS: dict[str, type] = {kind.__name__: kind for kind in get_args(Event)} | {"Planned": PlanOutline}


def encode(event: Event, hide_literals: Callable[[str], str]) -> str:
    """Return what is kept of an event: of a plan its outline, of a statement its text without literals."""
    kept: Event | PlanOutline = event
    if isinstance(event, Planned):
        kept = outline(event.plan)
    elif isinstance(event, StatementStarted | StatementSkipped):
        kept = replace(event, sql=hide_literals(event.sql))
    return secrets.mask(msgspec.json.encode(kept).decode())


def decode(kind: str, payload: str) -> Event | PlanOutline | None:
    """Return the event again, None where another version of Handrail wrote it in another form."""
    if kind not in _KINDS:
        return None
    try:
        value: Event | PlanOutline = msgspec.json.decode(payload, type=_KINDS[kind])
    except msgspec.MsgspecError:
        return None
    return value

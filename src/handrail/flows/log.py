"""`handrail log`: what was done to a database, when, by whom, and whether the chain of entries is sound."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.flows.ports import Ports
from handrail.flows.rollback import read_log, what_is_broken
from handrail.model.log import LogEntry


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead:
    """The entries, newest first, and what is wrong with the chain: '' when nothing is."""

    entries: tuple[LogEntry, ...]
    broken: str


def read(ports: Ports, limit: int | None) -> LogRead:
    """Return the newest `limit` entries (all for None). Writes nothing."""
    entries = read_log(ports)
    newest_first = tuple(reversed(entries))
    return LogRead(entries=newest_first[:limit], broken=what_is_broken(ports, entries))

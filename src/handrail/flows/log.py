"""`handrail log`: what was done to a database, when, by whom, and whether the chain of entries is sound."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.flows.ports import Ports
from handrail.flows.rollback import read_log
from handrail.model.log import LogEntry, first_broken


@dataclass(frozen=True, slots=True, kw_only=True)
class LogRead:
    """The entries, newest first, and what is wrong with the chain: '' when nothing is."""

    entries: tuple[LogEntry, ...]
    broken: str


def read(ports: Ports, limit: int | None) -> LogRead:
    """Return the newest `limit` entries (all for None). Writes nothing."""
    entries = read_log(ports)
    newest_first = tuple(reversed(entries))
    return LogRead(entries=newest_first[:limit], broken=_broken(ports, entries))


def _broken(ports: Ports, entries: tuple[LogEntry, ...]) -> str:
    bad = first_broken(entries)
    if bad is not None:
        return f"the entry of {bad.revision} at {bad.at} was changed, or does not follow the one before it"
    binding = ports.journal.binding(ports.environment.name)
    if binding and binding.log_head and binding.log_head not in {e.hash for e in entries}:
        return "entries that this journal has seen are missing at the end"
    return ""

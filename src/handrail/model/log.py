"""The migration log's entries: each chained to the one before by its hash."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace

from handrail.model.revision import Direction

#: What the first entry follows.
GENESIS = "0" * 64


@dataclass(frozen=True, slots=True, kw_only=True)
class LogEntry:
    """One revision applied or rolled back.

    `at` is RFC 3339 in UTC; `heads_*` are the version table's rows, sorted; `source` holds the bytes of the file.
    """

    run: str
    at: str
    who: str
    environment: str
    revision: str
    direction: Direction
    heads_before: tuple[str, ...]
    heads_after: tuple[str, ...]
    file: str
    file_digest: str
    source: bytes
    imports: tuple[tuple[str, str], ...]
    duration_ms: int
    result: str = "done"
    prev_hash: str = GENESIS
    hash: str = ""

    def chained(self, prev_hash: str) -> LogEntry:
        """Return the entry behind the one with that hash, with its own hash."""
        entry = replace(self, prev_hash=prev_hash, hash="")
        return replace(entry, hash=_hash(entry))

    @property
    def intact(self) -> bool:
        """Whether the entry is what was written: its hash covers its fields, its file digest covers its source."""
        source_digest = hashlib.sha256(self.source).hexdigest()
        return self.hash == _hash(replace(self, hash="")) and source_digest == self.file_digest


def _hash(entry: LogEntry) -> str:
    covered = {f.name: getattr(entry, f.name) for f in fields(entry)}
    covered |= {"direction": entry.direction.value, "source": ""}  # file_digest stands for the source
    return hashlib.sha256(json.dumps(covered, sort_keys=True).encode()).hexdigest()


def first_broken(log: tuple[LogEntry, ...]) -> LogEntry | None:
    """Return the first entry that was changed, or that does not follow the one before it; None for a sound chain."""
    previous = GENESIS
    for entry in log:
        if entry.prev_hash != previous or not entry.intact:
            return entry
        previous = entry.hash
    return None


def deployed_sources(log: tuple[LogEntry, ...]) -> dict[str, LogEntry]:
    """Return for each revision that is applied now the entry that applied it."""
    applied: dict[str, LogEntry] = {}
    for entry in log:
        if entry.direction is Direction.UPGRADE:
            applied[entry.revision] = entry
        else:
            applied.pop(entry.revision, None)
    return applied

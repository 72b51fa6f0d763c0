"""Where a target stands: what the version table says, and what runs have left behind."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.model.revision import Direction
from handrail.model.target import Target

#: The states of a statement in the statement log.
INTENT = "intent"
DONE = "done"


@dataclass(frozen=True, slots=True, kw_only=True)
class StatementRecord:
    """What is known of one statement; `ordinal` counts from 0 and leaves reads out."""

    revision: str
    direction: Direction
    ordinal: int
    run: str
    digest: str
    sql: str
    state: str
    file_digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What the database was when it was bound to its environment."""

    uuid: str
    environment: str
    system_id: str
    database_oid: str
    database: str
    host: str


@dataclass(frozen=True, slots=True, kw_only=True)
class LeaseRow:
    """The lease as last written. `heartbeat_age_s` is by the server's clock.

    `owner` took it last. `run`, `command` and `goal` are those of the run that last began under it; `held` is whether
    that one never ended.
    """

    token: int
    run: str
    command: str
    goal: tuple[str, ...]
    owner: str
    held: bool
    session_pid: int | None
    session_started: str
    heartbeat_age_s: float

    def describe(self) -> str:
        """One line that names the holder to a person."""
        return f"{self.owner}, alive {self.heartbeat_age_s:.0f} s ago"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unreadable:
    """Why Handrail's own tables may not be read, in the server's words, and how to change that."""

    why: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Where a target stands: its facts, the version table's rows, and what interrupted runs have left.

    Where Handrail's own tables are `unreadable`, identity, lease and what is half applied are not known.
    """

    target: Target
    heads: tuple[str, ...]
    version_table_exists: bool
    fingerprint: str
    identity: Identity | None
    lease: LeaseRow | None
    lease_taken: bool
    half_applied: tuple[StatementRecord, ...]
    unreadable: Unreadable | None = None

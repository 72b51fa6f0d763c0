"""What a statement does to everybody else."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum

from handrail.model.verdict import Confidence


class Blocks(IntEnum):
    """Whom a lock keeps waiting, in growing strength."""

    NOTHING = 0
    SCHEMA_CHANGES = 1
    WRITES = 2
    READS_AND_WRITES = 3


class Cost(Enum):
    """How long a statement works while it holds its lock."""

    INSTANT = "instant"
    SCAN = "scan"
    REWRITE = "rewrite"


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """One lock a statement takes, on one relation.

    `relation` is the name as the statement writes it (schema-qualified where it does), or `*` where it could not be
    read and may be anything. `lock` is the server's own name for the mode, e.g. ACCESS EXCLUSIVE. `created_here` marks
    a relation that the same statement creates, which nobody else can see yet. `severs` names the columns and
    constraints (`*`: all) whose foreign keys the statement removes or makes again, which locks the tables at their
    other end too; which those are only the catalogue knows. `source` is the URL of the claim.
    """

    relation: str
    lock: str
    blocks: Blocks
    cost: Cost
    confidence: Confidence = Confidence.HIGH
    created_here: bool = False
    severs: tuple[str, ...] = ()
    source: str = ""

    @property
    def strong(self) -> bool:
        """Whether the lock makes ordinary reads or writes of others wait."""
        return self.blocks >= Blocks.WRITES and not self.created_here

    @property
    def guessed(self) -> bool:
        """Whether nothing is known of the lock but that it may be any: to look for its holders would find everybody."""
        return self.relation == "*" and self.confidence is Confidence.LOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocker:
    """Someone who holds what we want.

    `pid` is the server's number for the session, None where it is not known or there is none: a prepared transaction is
    named by its `gid`. `age_s` counts
    from the beginning of its transaction. `query` has its literals hidden. `autovacuum` marks an ordinary autovacuum,
    which gives way; one that prevents transaction wraparound does not.
    """

    pid: int | None
    relation: str
    lock: str
    age_s: float
    user: str = ""
    application: str = ""
    state: str = ""
    query: str = ""
    gid: str = ""
    autovacuum: bool = False

    def describe(self) -> str:
        """One line that names the blocker to a person."""
        who = f"prepared transaction {self.gid}" if self.gid else f"pid {self.pid or 'unknown'}"
        parts = [f"{who} holds {self.lock} on {self.relation} for {self.age_s:.1f} s"]
        details = [f"user {self.user}" if self.user else "", self.application, self.state]
        if any(details):
            parts.append("(" + ", ".join(d for d in details if d) + ")")
        if self.query:
            parts.append(f"query: {self.query}")
        return " ".join(parts)

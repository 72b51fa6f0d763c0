"""A backup: an artefact of one database at one moment, and the proof that it can be restored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from pathlib import Path

from handrail.model.grants import Grant, Owner
from handrail.model.needs import Needs
from handrail.model.particular import Particular
from handrail.model.rows import RowsPrint
from handrail.model.target import Target
from handrail.model.verdict import Verdict

SCHEMA = 1
#: Counts up with each kind of thing that grants and particulars come to tell of.
KINDS = 2


class Method(Enum):
    """Who makes the artefact: the engine (an archive in the folder of backups), or a command of the environment."""

    ENGINE = "engine"
    COMMAND = "command"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extent:
    """What a backup will read. `xmin_age` is how many transactions old the oldest snapshot is, None without such ages.

    `others_wait` says whom the backup keeps waiting while it runs, '' for nobody.
    """

    database_bytes: int
    xmin_age: int | None = None
    others_wait: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What a backup will take.

    `needed_bytes` and `free_bytes` are of the folder of backups; `expected_s` is the whole of it by the last one of the
    same environment, None where there is none.
    """

    estimate: Extent
    needed_bytes: int
    free_bytes: int
    expected_s: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What wrote an archive; `major` is that of what can read it."""

    name: str
    version: str
    major: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """What a database held in the snapshot that a backup was made from: what a restored copy must hold again.

    `heads` are the version table's rows, `fingerprint` the schema's, `parts` what that sums up. `moved` are the
    sequences (name, before, after) that no snapshot holds: a restored one stands where it stood at some moment of the
    dump. `grants`, `owners` and `particulars` are None in manifests that do not say. `kinds` is KINDS as it was then:
    of what an older manifest did not look at a copy may have more.
    """

    heads: tuple[str, ...]
    version_table: str
    fingerprint: str
    rows: RowsPrint
    needs: Needs
    moved: tuple[tuple[str, str, str], ...] = ()
    grants: tuple[Grant, ...] | None = None
    owners: tuple[Owner, ...] | None = None
    particulars: tuple[Particular, ...] | None = None
    parts: tuple[tuple[str, str], ...] = ()
    kinds: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """Whether a backup was restored and compared: PASS equal, FAIL not, UNKNOWN not yet or not possible here.

    `server` is what it was restored on, `seconds` how long restoring and comparing took.
    """

    verdict: Verdict
    reason: str
    at: datetime | None = None
    server: str = ""
    seconds: float = 0.0
    details: tuple[str, ...] = ()


NOT_PROVED = Proof(verdict=Verdict.UNKNOWN, reason="never restored")


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What is known of one backup; stands beside its archive as JSON.

    `archive` is the file's name in the folder, or for Method.COMMAND what the command calls its artefact; then there is
    no `image`, and `bytes`, `sha256` and `program` say nothing. `plain_*` are those before it was encrypted to the
    `recipients`. `identity` is that of the database, '' before its first run. `seconds` is how long making it took.
    """

    schema: int
    id: str
    environment: str
    target: Target
    identity: str
    heads: tuple[str, ...]
    made_at: datetime
    seconds: float
    database_bytes: int
    method: Method
    archive: str
    bytes: int
    sha256: str
    plain_bytes: int
    plain_sha256: str
    program: Program
    recipients: tuple[str, ...] = ()
    image: Image | None = None
    proof: Proof = NOT_PROVED

    @property
    def proved(self) -> bool:
        """Whether it was restored and found equal."""
        return self.proof.verdict is Verdict.PASS

    def of_database(self, target: Target, identity: str) -> bool:
        """Return whether it was made of that database, by what the two tell of themselves."""
        mine = self.target
        if self.identity and identity:
            return self.identity == identity and mine.database == target.database
        same_place = (mine.engine, mine.url, mine.database) == (target.engine, target.url, target.database)
        return same_place and (mine.system_id, mine.database_oid) == (target.system_id, target.database_oid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Damaged:
    """A manifest that cannot be read; what it stood for is no backup."""

    path: Path
    why: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Shelf:
    """Every backup in a folder, oldest first, and the manifests that cannot be read."""

    folder: Path
    backups: tuple[Manifest, ...] = ()
    damaged: tuple[Damaged, ...] = ()

    def of(self, environment: str) -> tuple[Manifest, ...]:
        """Return those of that environment, oldest first."""
        return tuple(b for b in self.backups if b.environment == environment)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pruning:
    """What retention would delete, and why it keeps the others: (id, reason)."""

    delete: tuple[Manifest, ...]
    keep: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupFacts:
    """What the gate `backup-proved` looks at: whether this run will make one, else the newest that is proved.

    `newest` is of the plan's database; `max_age` is how old its proof may be.
    """

    will_make: bool
    newest: Manifest | None
    max_age: timedelta


def pruning(backups: tuple[Manifest, ...], *, keep: int, rollback_points: frozenset[str]) -> Pruning:
    """Return what retention deletes of one environment's backups, oldest first.

    Kept are the `keep` newest, the newest proved one, and those with the ids `rollback_points`.
    """
    newest = {b.id for b in backups[-keep:]}
    proved = next((b.id for b in reversed(backups) if b.proved), "")
    reasons = []
    for backup in backups:
        if backup.id in newest:
            reasons.append((backup.id, f"one of the {keep} newest"))
        elif backup.id == proved:
            reasons.append((backup.id, "the newest proved one"))
        elif backup.id in rollback_points:
            reasons.append((backup.id, "made before the last run: the way back"))
    kept = {id_ for id_, _ in reasons}
    return Pruning(delete=tuple(b for b in backups if b.id not in kept), keep=tuple(reasons))

"""How long a statement may work through a table while others wait: an order of magnitude, never a fact."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handrail.model.effect import Blocks

_MB = 1_000_000


class Work(Enum):
    """What is done with all of a table."""

    SCAN = "read"
    BUILD = "read and sorted into an index"
    REWRITE = "written anew with its indexes"


#: Bytes in a second, slow and fast, of the table (REWRITE: and of its indexes). Measured on PostgreSQL 15, 2 cores, a
#: table of 189 MB in memory with three indexes: SET NOT NULL and ADD CHECK 2 GB/s, ADD FOREIGN KEY 1.2 GB/s, CREATE
#: INDEX 65 MB/s (text) to 290 MB/s (integers), ALTER TYPE 40 MB/s; under load, a type change of 339 MB took 24.6 s and
#: a volatile default 41 s, 8 to 14 MB/s. Cold tables are read as fast as the disk: 50 MB/s is a small volume of a
#: cloud. Bloat, wide rows in TOAST, triggers and foreign keys that look up a parent on disk can be slower still.
PACE = {
    Work.SCAN: (50 * _MB, 2_000 * _MB),
    Work.BUILD: (20 * _MB, 300 * _MB),
    Work.REWRITE: (8 * _MB, 100 * _MB),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """How long one statement may keep others waiting: between `low_s` and `high_s` seconds for that many bytes.

    `low_s` and `high_s` are the bytes divided by the two rates of PACE. The lock is held until the transaction ends,
    which may be later.
    """

    table: str
    work: Work
    lock: str
    blocks: Blocks
    bytes: int
    low_s: float
    high_s: float

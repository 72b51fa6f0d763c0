"""How large a table is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handrail.model.spec import UNKNOWN, Unknown


class Basis(Enum):
    """Where a number of rows comes from."""

    STATISTICS = "statistics"
    COUNTED = "counted"
    NONE = "not known"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableSize:
    """One table, named as in a Snapshot; a partitioned one with all its partitions.

    `rows` is an estimate where `basis` is STATISTICS. `bytes` are those of the table itself, `index_bytes` those of its
    indexes. What the server does not tell is UNKNOWN, and never taken for small.
    """

    table: str
    rows: int | Unknown = UNKNOWN
    basis: Basis = Basis.NONE
    bytes: int | Unknown = UNKNOWN
    index_bytes: int | Unknown = UNKNOWN

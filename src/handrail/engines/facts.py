"""What every engine tells a review about a database: sizes, rows that break something, what depends on what."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from sqlalchemy import Connection

from handrail.model.size import TableSize
from handrail.model.verdict import Unsupported
from handrail.model.violation import Violation

if TYPE_CHECKING:
    from handrail.model.action import Action
    from handrail.model.demand import Demand

#: How many rows, or groups of equal ones, are named by key.
SAMPLED = 10
#: How long finding out sizes may take, in seconds, where rows have to be counted for it.
SIZES_LIMIT_S = 5.0


class Sizes(Protocol):
    """Knows how large tables are."""

    def measure(self, conn: Connection) -> tuple[TableSize, ...]:
        """Return the size of every table; what the server does not tell, or not in time, is UNKNOWN. Reads only."""


class Violations(Protocol):
    """Finds rows that break what a pending statement demands."""

    def look(self, conn: Connection, wanted: Demand, *, limit_s: float) -> Violation | Unsupported | None:
        """Return the rows that break it: counted, `SAMPLED` of them by key; None where there are none.

        `wanted` names a table, columns and a key as the Snapshot has them. A query that takes longer than `limit_s` is
        given up, which is Unsupported as everything else that keeps from counting: a right, a lock, a type. No value of
        a row is told but keys. Reads only.
        """


class Dependants(Protocol):
    """Knows what depends on an object."""

    def taken(self, conn: Connection, action: Action) -> tuple[str, ...] | Unsupported:
        """Return what a DROP ... CASCADE would take beside what it names, as `view totals`; () for no such action."""

"""What every engine can tell of how others use a database, beside `base`."""

from __future__ import annotations

from typing import Protocol

from sqlalchemy import Connection

from handrail.model.query import Query
from handrail.model.sighting import Presence
from handrail.model.verdict import Unsupported


class Usage(Protocol):
    """Sees who uses a database, and with which statements. Reads only."""

    def presences(self, conn: Connection) -> tuple[Presence, ...] | Unsupported:
        """Return every session of others on this database, ours left out; why that cannot be told."""

    def queries(self, conn: Connection) -> tuple[Query, ...] | Unsupported:
        """Return the statements that the server has counted on this database, most called first; why there are none.

        Their literals are placeholders already.
        """

    def visits(self, conn: Connection) -> int:
        """Return a number that is higher when others have opened the database since it was last asked for on `conn`.

        What other connections of ours do in between counts as well.
        """


class Plans(Protocol):
    """Lets the server say whether it accepts a statement, without running it."""

    question_marks: bool  # whether `?` is a placeholder in this engine's statements, and no operator

    def placeholder(self, number: int) -> str:
        """Return the placeholder of that number, from 1."""

    def plan(self, conn: Connection, sql: str, parameters: int) -> None:
        """Have the statement planned in the transaction that `conn` is in. Raises the driver's error where it fails.

        Its parameters are of the types that the server takes them for.
        """

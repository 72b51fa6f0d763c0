"""What every engine offers to compare a database with the models that use it, beside `base`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from sqlalchemy import Connection

from handrail.model.grants import Grant
from handrail.model.relation import Looked, Relation
from handrail.model.schema import Snapshot
from handrail.model.sequence import ServingSequence
from handrail.model.verdict import Unsupported

#: How many orphans of one relation are named by key.
SAMPLED = 20


class Rights(Protocol):
    """Knows what we and others may do, so that nothing unseen is taken for nothing."""

    def missing(self, conn: Connection, name: str) -> Unsupported | None:
        """Return which right is missing to read that table, with the GRANT; None where none is, or no such table."""

    def granted(self, conn: Connection, *, version_table: str) -> tuple[Grant, ...]:
        """Return what is granted to others than the owner, in the order of things and roles; () without roles."""


class Orphans(Protocol):
    """Finds rows without their parent."""

    def vouched(self) -> bool:
        """Return whether rows cannot break a foreign key that is marked as validated, so that it may be trusted."""

    def look(self, conn: Connection, relation: Relation) -> Looked:
        """Return the rows that name a parent which is not there: all counted, `SAMPLED` of them by key.

        Two scans of the child at most, with a lookup of each key in the parent; ends after a minute, and where a lock
        or a right is missing, with Unsupported. Reads only.
        """


class Sequences(Protocol):
    """Looks at what gives keys to new rows."""

    def serving(self, conn: Connection) -> Iterator[ServingSequence]:
        """Yield each sequence beside its column's furthest value, asked for one by one; nothing where none is used."""


class Ground(Protocol):
    """What tables rest on and models do not make."""

    def schema(self, conn: Connection) -> str | None:
        """Return the schema that a name without one means in this session; None where there is none."""

    def lay(self, conn: Connection, snapshot: Snapshot) -> None:
        """Make the snapshot's schemas, extensions, functions and domains in an empty database, as far as that goes.

        `conn` commits each statement.
        """


class Trials(Protocol):
    """Lets things be tried in a database of ours."""

    def trying(self, conn: Connection) -> AbstractContextManager[None]:
        """Begin a transaction in which constraints are checked at once; what is inside is rolled back at the end."""

    def within(self, conn: Connection) -> AbstractContextManager[bool]:
        """Do the same in the middle of a transaction, which goes on at the end; False where that cannot be."""

    def ordinary(self, conn: Connection, role: str) -> bool:
        """Return whether there is such a role and its rights count: a superuser's do not."""

    def rights(self, conn: Connection, role: str) -> Mapping[str, str]:
        """Return a text of the rights on each relation, by its name in a snapshot; {} for no role. Reads only."""

    def acting(self, conn: Connection, role: str) -> AbstractContextManager[None]:
        """Run what is inside with the rights of that role, '' for those of the session. In a savepoint of its own."""

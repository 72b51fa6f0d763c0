"""What a revision does, as recorded: operations under Alembic's names, and the statements they become."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from handrail.model.revision import Direction


class StatementKind(Enum):
    """What a statement is about; decided by the engine that reads it.

    SCHEMA changes the catalogue, DATA changes rows, READ only looks, SESSION changes settings of the connection.
    """

    SCHEMA = "schema"
    DATA = "data"
    READ = "read"
    SESSION = "session"


class Origin(Enum):
    """Who sends a statement: the revision's own code, or Alembic for its version table."""

    REVISION = "revision"
    ALEMBIC = "alembic"


class Reading(Enum):
    """How well a revision was read. DATA_DEPENDENT: it looked into the database, so what follows may differ there."""

    EXACT = "exact"
    DATA_DEPENDENT = "data-dependent"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A line in a revision file, 1-based."""

    file: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One schema change under Alembic's name, e.g. `add_column`.

    `table` is schema-qualified where the operation names a schema. `subject` is the column, constraint or index it is
    about, None where it has no name (`drop_constraint(None, ...)`). `details` holds further facts as (name, value).
    """

    name: str
    table: str | None
    subject: str | None
    details: tuple[tuple[str, str], ...] = ()
    place: Place | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Data that an operation drops: those columns of the table, or the `whole` table with them."""

    table: str
    columns: tuple[str, ...]
    whole: bool = False

    def __str__(self) -> str:
        if self.whole:
            return f"table {self.table}" + (f" ({', '.join(self.columns)})" if self.columns else "")
        return f"column {self.table}.{', '.join(self.columns)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One SQL statement as the server receives it.

    `sql` has the server's placeholders ($1 on PostgreSQL, ? on SQLite) and no driver escapes. `parameters` holds one
    tuple per execution (executemany sends several), each value rendered as a SQL literal; () when there are none.
    `operation` indexes RecordedRevision.operations, None for SQL sent outside an operation. `transaction` numbers the
    transactions of the revision from 0; every autocommitted statement has a number of its own.
    `exact` is False for what came after the revision looked into the database.
    """

    sql: str
    kind: StatementKind
    parameters: tuple[tuple[str, ...], ...] = ()
    operation: int | None = None
    place: Place | None = None
    transaction: int = 0
    autocommit: bool = False
    exact: bool = True
    origin: Origin = Origin.REVISION


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRevision:
    """What one function of one revision does, read against a database that executes nothing.

    `reason` says why a reading is not EXACT, in one sentence; empty otherwise. Statements include Alembic's own write
    to the version table, last.
    """

    revision: str
    direction: Direction
    reading: Reading
    reason: str
    operations: tuple[Operation, ...]
    statements: tuple[Statement, ...]

    @property
    def own_statements(self) -> tuple[Statement, ...]:
        """The statements that the revision itself sends, without Alembic's writes to the version table."""
        return tuple(s for s in self.statements if s.origin is Origin.REVISION)

    @property
    def transactions(self) -> int:
        """How many transactions the revision takes; 1 for the ordinary case."""
        return len({s.transaction for s in self.statements}) or 1

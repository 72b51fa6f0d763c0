"""What a review knows of one database, without any row: taken live, or kept in a file."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from handrail.model.replayed import bare
from handrail.model.schema import Snapshot, Table
from handrail.model.size import TableSize
from handrail.model.spec import Unknown

#: The form of the file; another one is refused.
SCHEMA = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Portrait:
    """A database at one moment: server, revision, schema, sizes.

    `heads` are the rows of the version table. `default_schema` is what a name without a schema means, '' where there
    are none.
    """

    environment: str
    database: str
    engine: str
    server: str
    server_major: int
    heads: tuple[str, ...]
    taken_at: datetime
    default_schema: str
    snapshot: Snapshot
    sizes: tuple[TableSize, ...]
    schema: int = SCHEMA

    def named(self, table: str) -> str:
        """Return the name that the snapshot has for a table as a revision writes it."""
        known = {t.name for t in self.snapshot.tables}
        qualified = f"{self.default_schema}.{table}"
        return qualified if table not in known and qualified in known else bare(table)

    def table(self, name: str) -> Table | None:
        """Return the table that a revision writes so, None where there is none."""
        return self.snapshot.table(self.named(name))

    def size(self, table: str) -> TableSize | None:
        """Return the size of the table that a revision writes so, None where there is no such table."""
        name = self.named(table)
        return next((s for s in self.sizes if s.table == name), None)

    def rows(self) -> Mapping[str, int]:
        """Return how many rows each table has, by every name that a revision may write; without what is not known."""
        return self._by_name((size.table, size.rows) for size in self.sizes)

    def bytes(self) -> Mapping[str, int]:
        """Return how many bytes each table takes without its indexes, as `rows`."""
        return self._by_name((size.table, size.bytes) for size in self.sizes)

    def _by_name(self, numbers: Iterable[tuple[str, int | Unknown]]) -> Mapping[str, int]:
        known = {table: number for table, number in numbers if isinstance(number, int)}
        return {table.removeprefix(f"{self.default_schema}."): number for table, number in known.items()} | known

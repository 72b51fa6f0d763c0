"""What a version of the application maps: its tables by the names that snapshots have, and what it sees to itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from handrail.compat.children import Children, known_children
from handrail.model.contract import Contract, ContractTable

#: The schemas that snapshots leave out of names, of PostgreSQL and of SQLite.
_PLAIN = frozenset({None, "", "public", "main"})


@dataclass(frozen=True, slots=True, kw_only=True)
class MappedTable:
    """One table: its name in a snapshot, and a digest of what the version does with it.

    `children` are the foreign keys to it whose rows the version sees to, `believed` the tables that its own keys name.
    """

    name: str
    table: ContractTable
    digest: str
    children: Children
    believed: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Mapped:
    """All tables of a contract; `tables` and `digests` are by their names in a snapshot."""

    every: tuple[MappedTable, ...]
    tables: Mapping[str, ContractTable]
    digests: Mapping[str, str]


def mapped(contract: Contract, default: str | None) -> Mapped:
    """Return what a contract maps, on a database whose sessions begin with the schema `default`."""

    def name(table: ContractTable) -> str:
        return named(table.schema, table.name, default)

    names = {(table.name, table.schema): name(table) for table in contract.tables}
    every = tuple(
        MappedTable(
            name=name(table),
            table=table,
            digest=hashlib.sha256(repr(table).encode()).hexdigest(),
            children=known_children(contract, table, name),
            believed=frozenset(names[at] for key in table.foreign_keys if (at := (key.table, key.schema)) in names),
        )
        for table in contract.tables
    )
    return Mapped(
        every=every,
        tables={each.name: each.table for each in every},
        digests={each.name: each.digest for each in every},
    )


def named(schema: str | None, table: str, default: str | None) -> str:
    """Return a table's name as a snapshot has it: qualified unless by the schema that the engine begins with."""
    owner = schema or default
    return table if owner in _PLAIN else f"{owner}.{table}"

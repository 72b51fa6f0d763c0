"""The rows that name a row of a version's table: which of them the version sees to itself when it deletes that row."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from handrail.model.contract import Contract, ContractTable

#: Foreign keys by their table's name in a snapshot and the columns that the version knows of them.
Children = frozenset[tuple[str, tuple[str, ...]]]
#: What a server does with children by itself.
_BY_SERVER = frozenset({"CASCADE", "SET NULL", "SET DEFAULT"})


def known_children(contract: Contract, parent: ContractTable, name_of: Callable[[ContractTable], str]) -> Children:
    """Return the foreign keys to that table whose children the version sees to itself when it deletes a row.

    Those that it declares, unless it relies on the server for them (ON DELETE ...), and those behind a relationship of
    its own: its mapper deletes or empties those rows first.
    """
    declared = {
        (name_of(child), key.columns)
        for child in contract.tables
        for key in child.foreign_keys
        if (key.table, key.schema) == (parent.name, parent.schema) and key.on_delete not in _BY_SERVER
    }
    names = {table.full_name: name_of(table) for table in contract.tables}
    related = {
        (names.get(r.table, r.table), r.foreign) for r in parent.relationships if r.foreign and not r.passive_deletes
    }
    return frozenset(declared | related)


def seen_to(child: str, columns: tuple[str, ...], mapped: Mapping[str, ContractTable], known: Children) -> bool:
    """Return whether the version sees to the rows behind that foreign key, which may have grown wider."""
    table = mapped.get(child)
    return (child, table.mapped_of(columns) if table else columns) in known

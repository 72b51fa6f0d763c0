"""What a version is used to: the schema that it was written for, as far as it matters at every other revision."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.compat.conditions import condition, names_of
from handrail.compat.known_schema import KnownSchema
from handrail.model.contract import ContractTable
from handrail.model.replayed_table import ReplayedTable
from handrail.model.schema import ConstraintKind

Keys = frozenset[tuple[str, ...]]
UNIQUE = frozenset({ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY})


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What a version is used to with one table: keys, columns that name other rows, and CHECKs that its rows pass."""

    keys: Keys
    parents: Keys = frozenset()
    checks: frozenset[str] = frozenset()


def home(schema: KnownSchema, table: ContractTable, name: str) -> Home:
    """Return what a version is used to on the schema that it was written for."""
    live = schema.tables.get(name)
    own = {*table.unique, table.primary_key}
    if live is None:
        return Home(keys=frozenset(own))
    own |= {c.columns for c in live.constraints if c.kind in UNIQUE}
    own |= {(*i.columns, i.where) if i.where else i.columns for i in live.indexes if i.unique}
    parents = frozenset(key.columns for key in live.foreign_keys)
    bound = {name for columns in (table.primary_key, *parents) for name in columns}
    asked = {each: condition(each, names_of(live)) for each in checks(live)}
    passed = frozenset(each for each, found in asked.items() if found and found.column not in bound)
    return Home(keys=frozenset(own), parents=parents, checks=passed)


def checks(table: ReplayedTable) -> frozenset[str]:
    """Return the CHECKs of a table, in the server's words or the revision's."""
    return frozenset(str(each.expression) for each in table.constraints if each.kind is ConstraintKind.CHECK)

"""Predicts every version at every revision, schema by schema."""

from __future__ import annotations

from dataclasses import dataclass, field

from handrail.compat.board import named
from handrail.compat.children import known_children
from handrail.compat.home import Home, home
from handrail.compat.known_schema import KnownSchema
from handrail.compat.prediction import Outlook
from handrail.model.contract import AppVersion, ContractTable
from handrail.model.matrix import Trial


@dataclass(slots=True, kw_only=True)
class Foresight:
    """`default` is the schema that names without one mean. What versions are used to is learnt at their home."""

    default: str | None = None
    _homes: dict[str, dict[str, Home]] = field(default_factory=dict)

    def settle(self, version: AppVersion, schema: KnownSchema) -> None:
        """Note what the version is used to on the schema that it was written for; only the first time counts."""
        if version.name not in self._homes:
            tables = version.contract.tables
            self._homes[version.name] = {self._name(t): home(schema, t, self._name(t)) for t in tables}

    def trials(self, version: AppVersion, schema: KnownSchema) -> tuple[Trial, ...]:
        """Return what will not work there, or cannot be told."""
        mapped = {self._name(table): table for table in version.contract.tables}
        homes = self._homes.get(version.name, {})
        found: list[Trial] = []
        for name, table in mapped.items():
            used_to = homes.get(name) or Home(keys=frozenset({*table.unique, table.primary_key}))
            found += Outlook(
                table=table,
                name=name,
                schema=schema,
                home=used_to,
                children=known_children(version.contract, table, self._name),
                mapped=mapped,
            ).trials()
        return tuple(found)

    def _name(self, table: ContractTable) -> str:
        return named(table.schema, table.name, self.default)

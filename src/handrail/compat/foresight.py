"""Predicts every version at every revision, schema by schema."""

from __future__ import annotations

from dataclasses import dataclass, field

from handrail.compat.home import Home, home
from handrail.compat.known_schema import KnownSchema
from handrail.compat.mapped import Mapped, mapped
from handrail.compat.prediction import Outlook
from handrail.model.contract import AppVersion
from handrail.model.matrix import Trial


@dataclass(slots=True, kw_only=True)
class Foresight:
    """`default` is the schema that names without one mean. What versions are used to is learnt at their home."""

    default: str | None = None
    _homes: dict[str, dict[str, Home]] = field(default_factory=dict)
    _mapped: dict[str, Mapped] = field(default_factory=dict)

    def settle(self, version: AppVersion, schema: KnownSchema) -> None:
        """Note what the version is used to on the schema that it was written for; only the first time counts."""
        if version.name not in self._homes:
            every = self._mapped_by(version).every
            self._homes[version.name] = {each.name: home(schema, each.table, each.name) for each in every}

    def trials(self, version: AppVersion, schema: KnownSchema) -> tuple[Trial, ...]:
        """Return what will not work there, or cannot be told."""
        maps = self._mapped_by(version)
        homes = self._homes.get(version.name, {})
        found: list[Trial] = []
        for each in maps.every:
            used_to = homes.get(each.name) or Home(keys=frozenset({*each.table.unique, each.table.primary_key}))
            found += Outlook(
                table=each.table,
                name=each.name,
                schema=schema,
                home=used_to,
                children=each.children,
                mapped=maps.tables,
            ).trials()
        return tuple(found)

    def _mapped_by(self, version: AppVersion) -> Mapped:
        if version.name not in self._mapped:
            self._mapped[version.name] = mapped(version.contract, self.default)
        return self._mapped[version.name]

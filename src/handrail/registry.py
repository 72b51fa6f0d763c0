"""Finds the shelves: every module of rules, gates and checks, then those that other packages offer.

A plug-in from elsewhere is an entry point in the group `handrail.rules`, `handrail.gates` or `handrail.checks` that
names the plug-in's value.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pkgutil import iter_modules
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from handrail import checks as _checks
from handrail import gates as _gates
from handrail import rules as _rules
from handrail.errors import SettingsInvalid

if TYPE_CHECKING:
    from handrail.model.check import Check
    from handrail.model.gate import Gate
    from handrail.model.rule import Rule

P = TypeVar("P", "Rule", "Gate", "Check")


@cache
def rules() -> dict[str, Rule]:
    """Return every rule by name."""
    from handrail.model.rule import Rule  # noqa: PLC0415 - what rules look at is much, and most commands ask none

    return dict(_shelf(_rules, Rule))


@cache
def gates() -> dict[str, Gate]:
    """Return every gate by name."""
    from handrail.model.gate import Gate  # noqa: PLC0415 - see rules

    return dict(_shelf(_gates, Gate))


@cache
def checks() -> dict[str, Check]:
    """Return every check by name."""
    from handrail.model.check import Check  # noqa: PLC0415 - see rules

    return dict(_shelf(_checks, Check))


def _shelf(package: ModuleType, kind: type[P]) -> Iterator[tuple[str, P]]:
    for module in iter_modules(package.__path__, f"{package.__name__}."):
        plugin = getattr(import_module(module.name), kind.__name__.upper())
        yield plugin.name, plugin
    for point in entry_points(group=package.__name__):
        plugin = _load(point, kind)
        yield plugin.name, plugin


def _load(point: EntryPoint, kind: type[P]) -> P:
    try:
        plugin = point.load()
    except KeyboardInterrupt:
        raise
    except BaseException as exc:  # sys.exit() too
        raise SettingsInvalid(
            what=f"the plug-in {point.name} cannot be loaded; nothing was touched",
            why=f"{type(exc).__name__}: {exc}",
            fix=f"repair or uninstall {point.dist.name if point.dist else point.value}",
        ) from exc
    if not isinstance(plugin, kind):
        raise SettingsInvalid(
            what=f"the plug-in {point.name} is not a {kind.__name__.lower()}; nothing was touched",
            why=f"{point.value} is a {type(plugin).__name__}",
            fix=f"repair or uninstall {point.dist.name if point.dist else point.value}",
        )
    return plugin

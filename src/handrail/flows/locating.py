"""Looks, for a review, at the database of an environment: where it stands and which server it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from handrail.errors import HandrailError, OnlyRead
from handrail.flows.ports import ReviewPorts, target_ports, with_journal
from handrail.history import dialect
from handrail.model.review import EngineChoice

if TYPE_CHECKING:
    from handrail.history.env_py import EnvPy


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """What an environment tells: its engine, the rows of the version table, and what env.py configures.

    Of a database that is not connected to, only the engine is told.
    """

    environment: str
    engine: EngineChoice
    heads: tuple[str, ...] | None = None
    env: EnvPy | None = None


def locate(ports: ReviewPorts, name: str | None) -> tuple[Located | None, tuple[str, ...]]:
    """Return what the named environment tells, or the only one declared; None where there is none, with notes.

    Reads only. One that is named has to be there: raises SettingsInvalid, Unreachable, ProjectUnreadable. One that is
    only declared may be out of reach: a note says so.
    """
    if name is None and len(ports.settings.environments) != 1:
        return None, ()
    from handrail.flows import planning  # noqa: PLC0415 - much, and most reviews look at no database

    environment = ports.settings.environment(name)
    try:
        target = target_ports(with_journal(ports), environment, emit=lambda _event: None)
        standing = planning.look_as_allowed(target)
    except OnlyRead as exc:
        told = dialect.choice(exc.dialect, environment.name)
        return Located(environment=environment.name, engine=told), (
            f"{environment.name} was not looked at, so every revision is reviewed: {exc.why}",
        )
    except HandrailError as exc:
        if name is not None:
            raise
        return None, (f"{environment.name} was not looked at, so every revision is reviewed: {exc.what}; {exc.why}",)
    choice = EngineChoice(name=target.engine.name, server_major=standing.target.server_major, told_by=environment.name)
    return Located(environment=environment.name, engine=choice, heads=standing.heads, env=target.env), ()

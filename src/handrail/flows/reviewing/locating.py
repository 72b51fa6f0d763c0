"""Finds, for a review, the database it is about: that of an environment, or a file that was saved of one."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.errors import HandrailError, OnlyRead, UsageRefused
from handrail.flows.ports import Ports, ReviewPorts, target_ports, with_journal
from handrail.history.files import dialect
from handrail.model.portrait import Portrait
from handrail.model.review import EngineChoice

if TYPE_CHECKING:
    from handrail.history.env.env_py import EnvPy

#: From this age on a saved snapshot is said to be old: tables grow, and others deploy.
OLD_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Located:
    """What a database tells: its engine, what it looks like, and what env.py configures where that was asked.

    `target` is the live one, None where all that is known is a file. Of a database that is not connected to, only the
    engine is told.
    """

    engine: EngineChoice
    portrait: Portrait | None = None
    target: Ports | None = None

    @property
    def env(self) -> EnvPy | None:
        """What the project's env.py configures, None where no environment was asked."""
        return self.target.env if self.target else None


def locate(ports: ReviewPorts, name: str | None, saved: Path | None) -> tuple[Located | None, tuple[str, ...]]:
    """Return what the named environment or the saved file tells, or else the only environment declared, with notes.

    None where there is none. Reads only. One that is named has to be there: raises SettingsInvalid, Unreachable,
    ProjectUnreadable, UsageRefused. One that is only declared may be out of reach: a note says so.
    """
    if saved is not None:
        return _from_file(ports, name, saved)
    if name is None and not ports.settings.default_environment and len(ports.settings.environments) != 1:
        return None, ()
    from handrail.engines.base import Purpose  # noqa: PLC0415 - much, and most reviews look at no database
    from handrail.flows.assessing import portraying  # noqa: PLC0415 - the same
    from handrail.flows.standing import planning  # noqa: PLC0415 - the same

    environment = ports.settings.environment(name)
    try:
        target = target_ports(with_journal(ports), environment, emit=lambda _event: None)
        with target.engine.connect(Purpose.READ) as conn:
            portrait = portraying.portray(target, conn, planning.look_on(target, conn))
    except OnlyRead as exc:
        told = dialect.choice(exc.dialect, environment.name)
        return Located(engine=told), (
            f"{environment.name} was not looked at, so every revision is reviewed: {exc.why}",
        )
    except HandrailError as exc:
        if name is not None:
            raise
        return None, (f"{environment.name} was not looked at, so every revision is reviewed: {exc.what}; {exc.why}",)
    return Located(engine=_choice(portrait, environment.name), portrait=portrait, target=target), ()


def _from_file(ports: ReviewPorts, name: str | None, saved: Path) -> tuple[Located, tuple[str, ...]]:
    from handrail.journal import portraits  # noqa: PLC0415 - most reviews read none

    portrait = portraits.read(saved)
    if name is not None:
        raise UsageRefused(
            what="a review rests on a database or on a file; nothing was touched",
            why=f"-e {name} and --snapshot {saved} were given together",
            fix="leave one of them out",
        )
    told_by = f"{saved.name}, of {portrait.environment}"
    located = Located(engine=_choice(portrait, told_by), portrait=portrait)
    return located, (f"sizes and schema are those of {portrait.environment} in {saved}", *_doubts(ports, portrait))


def _choice(portrait: Portrait, told_by: str) -> EngineChoice:
    return EngineChoice(name=portrait.engine, server_major=portrait.server_major, told_by=told_by)


def _doubts(ports: ReviewPorts, portrait: Portrait) -> Iterator[str]:
    """Yield why the database may have become another one since the file was saved."""
    from handrail.model.run import RunState  # noqa: PLC0415 - most reviews rest on no file

    age = ports.clock.now() - portrait.taken_at
    if age >= OLD_AFTER:
        yield f"the snapshot is {age.days} days old: take a new one with handrail status --save"
    at = ", ".join(portrait.heads) or "base"
    unknown = [head for head in portrait.heads if head not in ports.graph.revisions]
    if unknown:
        yield f"the snapshot is of revision {at}, of which the files know nothing: every revision is taken for pending"
    later = next(
        (
            run
            for run in with_journal(ports).journal.runs(portrait.environment)
            if run.state is RunState.DONE and run.started_at > portrait.taken_at and run.goal != portrait.heads
        ),
        None,
    )
    if later is not None:
        goal = ", ".join(later.goal) or "base"
        yield f"the snapshot is of revision {at}; {later.command} has brought {portrait.environment} to {goal} since"

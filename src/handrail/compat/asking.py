"""Asks the server of each revision's schema whether it still accepts the statements that applications send."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from sqlalchemy import Connection
from sqlalchemy.exc import StatementError

from handrail.compat import finding
from handrail.compat.attempt import message, undone
from handrail.engines.base import Engine
from handrail.model.query import FailingQuery, Query
from handrail.model.revision import Revision


@dataclass(slots=True, kw_only=True)
class Asking:
    """A watcher of a replay: has each statement planned at each of those revisions."""

    queries: tuple[Query, ...]
    revisions: frozenset[str]
    _seen: list[Refused] = field(default_factory=list)

    def sent(self, engine: Engine, conn: Connection, revision: Revision, sql: str) -> None:
        """Nothing is asked within a revision."""

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:  # noqa: ARG002 - a watcher's shape
        """Ask at this revision; nothing is executed, and nothing stays."""
        if revision.id not in self.revisions:
            return
        messages = {}
        with engine.trials.trying(conn):
            for place, query in enumerate(self.queries):
                refused = undone(conn, partial(engine.plans.plan, conn, query.text, query.parameters))
                if isinstance(refused, StatementError):
                    messages[place] = message(refused)
        self._seen.append(Refused(revision=revision, messages=messages))

    def result(self, engine: Engine) -> tuple[Refused, ...]:  # noqa: ARG002 - a watcher's shape
        """Return what was refused, revision by revision."""
        return tuple(self._seen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """What the server said at one revision, by the place of the statement."""

    revision: Revision
    messages: dict[int, str]


def failing(
    queries: tuple[Query, ...],
    seen: tuple[Refused, ...],
    *,
    shown: Callable[[str], str],
    cause: Callable[[str, str], str],
) -> tuple[tuple[FailingQuery, ...], tuple[FailingQuery, ...]]:
    """Return what fails newly, and what fails already at the first revision; `shown` hides literals.

    `cause` names the operation of a revision that a message speaks of.
    """
    newly: list[FailingQuery] = []
    from_start: list[FailingQuery] = []
    for place, query in enumerate(queries):
        for at, refused in enumerate(seen):
            said = refused.messages.get(place)
            if said is None or (at and place in seen[at - 1].messages):
                continue
            since = refused.revision.id
            healed = next((later.revision.id for later in seen[at:] if place not in later.messages), "")
            (newly if at else from_start).append(
                FailingQuery(
                    text=shown(query.text),
                    place=query.place,
                    calls=query.calls,
                    since=since,
                    message=finding.without_literals(said, query.text),
                    operation=cause(since, said) if at else "",
                    healed_by=healed,
                )
            )
    return tuple(newly), tuple(from_start)

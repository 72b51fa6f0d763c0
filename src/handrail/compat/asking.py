"""Asks the server of each revision's schema whether it still accepts the statements that applications send."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise

from sqlalchemy import Connection
from sqlalchemy.exc import StatementError

from handrail.compat import query_sources
from handrail.compat.attempt import Attempts, message
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
        attempts = Attempts(conn)
        with engine.trials.trying(conn):
            for place, query in enumerate(self.queries):
                refused = attempts.undone(partial(engine.plans.plan, conn, query.text, query.parameters))
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Culprit:
    """The statement of a revision, the nth from 0, after which the server accepted something no longer."""

    sql: str
    nth: int


@dataclass(slots=True, kw_only=True)
class Pinpointing:
    """A watcher of a replay: asks again after each statement of a revision what fails since then.

    `wanted` are the places of the statements to ask, by revision. Where nothing can be asked within a revision, as in
    autocommit, nothing of it is pinpointed.
    """

    queries: tuple[Query, ...]
    wanted: Mapping[str, frozenset[int]]
    _sent: Counter[str] = field(default_factory=Counter)
    _blind: set[str] = field(default_factory=set)
    _found: dict[tuple[str, int], Culprit] = field(default_factory=dict)

    def sent(self, engine: Engine, conn: Connection, revision: Revision, sql: str) -> None:
        """Ask what is wanted of this revision."""
        places = self.wanted.get(revision.id, frozenset())
        nth = self._sent[revision.id]
        self._sent[revision.id] += 1
        if not places:
            return
        with engine.trials.within(conn) as possible:
            if not possible:
                self._blind.add(revision.id)
                return
            attempts = Attempts(conn)
            for place in places:
                query = self.queries[place]
                refused = attempts.undone(partial(engine.plans.plan, conn, query.text, query.parameters))
                if not isinstance(refused, StatementError):
                    self._found.pop((revision.id, place), None)
                else:
                    self._found.setdefault((revision.id, place), Culprit(sql=sql, nth=nth))

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:
        """The revision's end has been seen already."""

    def result(self, engine: Engine) -> Mapping[tuple[str, int], Culprit]:  # noqa: ARG002 - a watcher's shape
        """Return the culprit by revision and place of the statement, where it was seen."""
        return {key: culprit for key, culprit in self._found.items() if key[0] not in self._blind}


def begun(seen: tuple[Refused, ...]) -> Mapping[str, frozenset[int]]:
    """Return the places of what fails since a revision and did not before, by revision."""
    pairs = ((now, frozenset(now.messages) - frozenset(before.messages)) for before, now in pairwise(seen))
    return {now.revision.id: places for now, places in pairs if places}


def failing(
    queries: tuple[Query, ...],
    seen: tuple[Refused, ...],
    *,
    shown: Callable[[str], str],
    cause: Callable[[str, int, str], str],
) -> tuple[tuple[FailingQuery, ...], tuple[FailingQuery, ...]]:
    """Return what fails newly, and what fails already at the first revision; `shown` hides literals.

    `cause` names the operation of a revision that made the statement of that place fail, with that message.
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
                    message=query_sources.without_literals(said, query.text),
                    operation=cause(since, place, said) if at else "",
                    healed_by=healed,
                )
            )
    return tuple(newly), tuple(from_start)

"""Exercises every version at every revision while a history is replayed; only what a revision changed, once more."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field

from sqlalchemy import Connection

from handrail.compat.exercise import BY_SERVER, Exercise, Habits
from handrail.compat.planting import Planter
from handrail.compat.reach import Reach
from handrail.engines.base import Engine
from handrail.model.contract import AppVersion, Contract, ContractTable
from handrail.model.matrix import Trial
from handrail.model.revision import Revision
from handrail.model.schema import Snapshot

Applied = Callable[[tuple[str, ...]], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One revision: what does not work, for each version that was exercised there. `exercised` counts tables."""

    revision: Revision
    trials: dict[str, tuple[Trial, ...]]
    exercised: int


@dataclass(slots=True, kw_only=True)
class Board:
    """A watcher of a replay. `applied` tells which revisions rows of the version table stand for.

    A version is exercised from the revision on that it was registered at, with `everywhere` at all of them.
    """

    versions: tuple[AppVersion, ...]
    applied: Applied
    version_table: str
    everywhere: bool = False
    _seen: list[Seen] = field(default_factory=list)
    _habits: dict[tuple[str, str], Habits] = field(default_factory=dict)
    _at_home: dict[tuple[str, str], Habits] = field(default_factory=dict)
    _known: dict[tuple[str, str, Habits], tuple[Trial, ...]] = field(default_factory=dict)
    _digests: dict[int, str] = field(default_factory=dict)

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:
        """Exercise what can occur at this revision."""
        applied = self.applied(heads)
        there = [v for v in self.versions if self.everywhere or applied.issuperset(v.revisions)]
        if not there:
            return
        snapshot = engine.catalog.snapshot(conn, version_table=self.version_table)
        with ExitStack() as stack:
            moment = _Moment(engine=engine, conn=conn, snapshot=snapshot, stack=stack)
            trials = {v.name: tuple(self._version(moment, v, home=applied.issuperset(v.revisions))) for v in there}
        self._seen.append(Seen(revision=revision, trials=trials, exercised=moment.exercised))

    def result(self, engine: Engine) -> tuple[Seen, ...]:  # noqa: ARG002 - a watcher's shape
        """Return what was seen, revision by revision."""
        return tuple(self._seen)

    def _version(self, moment: _Moment, version: AppVersion, *, home: bool) -> Iterable[Trial]:
        for table in version.contract.tables:
            name = moment.name_of(table)
            children = known_children(version.contract, table, moment.name_of)
            own = f"{self._digest(table)} {sorted(children)}"
            reach = moment.reach(name)
            habits = self._habits.get((version.name, name))
            if habits is None and home:
                habits = self._at_home.get((own, reach))
                if habits is None:
                    habits = moment.exercise(table, name, Habits(), children).at_home()
                    self._at_home[own, reach] = habits
                self._habits[version.name, name] = habits
            habits = habits or Habits(keys=frozenset({*table.unique, table.primary_key}))
            key = (own, reach, habits)
            if key not in self._known:
                self._known[key] = moment.exercise(table, name, habits, children).trials()
            yield from self._known[key]

    def _digest(self, table: ContractTable) -> str:
        found = self._digests.get(id(table))
        if found is None:
            found = self._digests[id(table)] = hashlib.sha256(repr(table).encode()).hexdigest()
        return found


class _Moment:
    """One revision's schema, with a transaction to try things in that is begun when the first one is tried."""

    def __init__(self, *, engine: Engine, conn: Connection, snapshot: Snapshot, stack: ExitStack) -> None:
        self._engine, self._conn, self._snapshot, self._stack = engine, conn, snapshot, stack
        self._reach = Reach(snapshot)
        self._digests: dict[str, str] = {}
        self._planter: Planter | None = None
        self.exercised = 0

    def reach(self, name: str) -> str:
        """Return the digest of what statements about that table can meet."""
        if name not in self._digests:
            self._digests[name] = self._reach.digest(name)
        return self._digests[name]

    def name_of(self, table: ContractTable) -> str:
        """Return the table's name as the snapshot has it."""
        return named(table.schema, table.name, self._conn.dialect.default_schema_name)

    def exercise(
        self, table: ContractTable, name: str, habits: Habits, children: frozenset[tuple[str, tuple[str, ...]]]
    ) -> Exercise:
        """Return the exercise of that table, ready to be done."""
        if self._planter is None:
            self._stack.enter_context(self._engine.trials.trying(self._conn))
            self._planter = Planter(self._conn, self._snapshot)
        self.exercised += 1
        return Exercise(
            conn=self._conn,
            planter=self._planter,
            table=table,
            name=name,
            classify=self._engine.classify,
            habits=habits,
            known_children=children,
        )


def named(schema: str | None, table: str, default: str | None) -> str:
    """Return a table's name as a snapshot has it: qualified unless by the default schema."""
    return table if schema in {None, "", default} else f"{schema}.{table}"


def known_children(
    contract: Contract, parent: ContractTable, name_of: Callable[[ContractTable], str]
) -> frozenset[tuple[str, tuple[str, ...]]]:
    """Return the foreign keys to that table whose children the version sees to itself when it deletes a row.

    Those for which it relies on the server (ON DELETE ...) are none of them.
    """
    return frozenset(
        (name_of(child), key.columns)
        for child in contract.tables
        for key in child.foreign_keys
        if (key.table, key.schema) == (parent.name, parent.schema) and key.on_delete not in BY_SERVER
    )

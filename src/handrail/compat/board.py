"""Exercises every version at every revision while a history is replayed; only what a revision changed, once more."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field

from sqlalchemy import Connection

from handrail.compat.exercise import Exercise
from handrail.compat.home import Home, checks
from handrail.compat.known_schema import of_snapshot
from handrail.compat.mapped import Mapped, MappedTable, mapped
from handrail.compat.planting import Planter
from handrail.compat.prediction import Outlook
from handrail.compat.reach import Reach
from handrail.compat.rows import Habits, Rows
from handrail.engines.base import Engine
from handrail.model.contract import AppVersion
from handrail.model.matrix import Trial
from handrail.model.revision import Revision

Applied = Callable[[tuple[str, ...]], frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """One revision: what does not work, for each version that was exercised there, and what was predicted not to.

    `exercised` counts tables.
    """

    revision: Revision
    trials: Mapping[str, tuple[Trial, ...]]
    foreseen: Mapping[str, tuple[Trial, ...]]
    exercised: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What does not work with one table, and what was predicted not to."""

    trials: tuple[Trial, ...]
    foreseen: tuple[Trial, ...] = ()


@dataclass(slots=True, kw_only=True)
class Learnt:
    """What was found out so far: versions' habits by their table, and trials by all that they can depend on."""

    habits: dict[tuple[str, str], Habits] = field(default_factory=dict)
    at_home: dict[tuple[str, str], Habits] = field(default_factory=dict)
    homes: dict[tuple[str, str], Home] = field(default_factory=dict)
    known: dict[tuple[str, str, Habits], tuple[Trial, ...]] = field(default_factory=dict)
    foretold: dict[tuple[str, str, Home], tuple[Trial, ...]] = field(default_factory=dict)
    mapped: dict[str, Mapped] = field(default_factory=dict)

    def settled(self, version: AppVersion) -> bool:
        """Return whether it is known already what the version is used to."""
        return any(name == version.name for name, _ in self.habits)

    def mapped_by(self, version: AppVersion, default: str | None) -> Mapped:
        """Return what the version maps; `default` is the schema that sessions begin with, one for all replays."""
        if version.name not in self.mapped:
            self.mapped[version.name] = mapped(version.contract, default)
        return self.mapped[version.name]


@dataclass(slots=True, kw_only=True)
class Board:
    """A watcher of a replay. `applied` tells which revisions rows of the version table stand for.

    A version is exercised from the revision on that it was registered at, with `everywhere` at all of them: what it is
    used to has to be in `learnt` then, from a replay before. What is in `kept`, by version and revision, is not
    exercised again; `unfinished` are the versions of which not everything is. Versions are exercised at the revisions
    `wanted`, None for all; at others only with what is in `tables`, by version.
    """

    versions: tuple[AppVersion, ...]
    applied: Applied
    version_table: str
    role: str = ""
    everywhere: bool = False
    learnt: Learnt = field(default_factory=Learnt)
    kept: Mapping[tuple[str, str], Found] = field(default_factory=dict)
    unfinished: frozenset[str] = frozenset()
    wanted: frozenset[str] | None = None
    tables: Mapping[str, frozenset[str]] = field(default_factory=dict)
    _seen: list[Seen] = field(default_factory=list)

    def sent(self, engine: Engine, conn: Connection, revision: Revision, sql: str) -> None:
        """Nothing is looked at between statements."""

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:
        """Exercise what can occur at this revision."""
        applied = self.applied(heads)
        home = [v for v in self.versions if applied.issuperset(v.revisions)]
        met = self.versions if self.everywhere else home
        whole = self.wanted is None or revision.id in self.wanted
        there = [v for v in met if whole or v.name in self.tables]
        found: dict[str, tuple[Found, ...]] = {
            v.name: (self.kept[v.name, revision.id],) for v in there if (v.name, revision.id) in self.kept
        }
        elsewhere = [v for v in home if v.name in found or v not in there]
        unsettled = [v for v in elsewhere if v.name in self.unfinished and not self.learnt.settled(v)]
        if len(found) == len(there) and not unsettled:
            self._note(revision, found, 0)
            return
        with ExitStack() as stack:
            moment = Moment(
                engine=engine,
                conn=conn,
                version_table=self.version_table,
                role=self.role,
                learnt=self.learnt,
                begin=lambda: stack.enter_context(engine.trials.trying(conn)),
            )
            for version in unsettled:
                moment.settle(version)
            for version in there:
                if version.name not in found:
                    only = frozenset() if whole else self.tables[version.name]
                    found[version.name] = tuple(moment.found(version, home=version in home, only=only))
        self._note(revision, found, moment.exercised)

    def _note(self, revision: Revision, found: Mapping[str, tuple[Found, ...]], exercised: int) -> None:
        if not found:
            return
        self._seen.append(
            Seen(
                revision=revision,
                trials={name: tuple(t for each in tables for t in each.trials) for name, tables in found.items()},
                foreseen={name: tuple(t for each in tables for t in each.foreseen) for name, tables in found.items()},
                exercised=exercised,
            )
        )

    def result(self, engine: Engine) -> tuple[Seen, ...]:  # noqa: ARG002 - a watcher's shape
        """Return what was seen, revision by revision."""
        return tuple(self._seen)


class Moment:
    """One schema, and what versions can do with it. `begin` opens the scope to try in, before the first trial."""

    def __init__(
        self,
        *,
        engine: Engine,
        conn: Connection,
        version_table: str,
        role: str,
        learnt: Learnt,
        begin: Callable[[], object],
    ) -> None:
        self._engine, self._conn, self._learnt, self._begin, self._role = engine, conn, learnt, begin, role
        self._snapshot = engine.catalog.snapshot(conn, version_table=version_table)
        self._reach = Reach(self._snapshot, engine.trials.rights(conn, role))
        self._known_schema = of_snapshot(self._snapshot)
        self._tables = {table.name: table for table in self._snapshot.tables}
        self._reached: dict[str, str] = {}
        self._planter: Planter | None = None
        self.exercised = 0

    def found(self, version: AppVersion, *, home: bool, only: Collection[str] = ()) -> Iterator[Found]:
        """Yield what was found out about each table of that version, or of `only` those."""
        maps = self._mapped_by(version)
        for each in maps.every:
            if not only or each.name in only:
                yield self._of_table(version, each, maps, home=home)

    def settle(self, version: AppVersion) -> None:
        """Find out what the version is used to, here where it is at home."""
        maps = self._mapped_by(version)
        for each in maps.every:
            self._settled(version, each, maps)

    def _mapped_by(self, version: AppVersion) -> Mapped:
        return self._learnt.mapped_by(version, self._conn.dialect.default_schema_name)

    def _settled(self, version: AppVersion, each: MappedTable, maps: Mapped) -> Habits:
        learnt, name = self._learnt, each.name
        key = (self._own(each, maps), self._reach_of(name))
        if key not in learnt.at_home:
            learnt.at_home[key] = self._exercise(each, maps, Habits()).at_home()
        habits = learnt.habits[version.name, name] = learnt.at_home[key]
        live = self._known_schema.tables.get(name)
        passed = checks(live) if live is not None and habits.writable else frozenset()
        learnt.homes[version.name, name] = Home(keys=habits.keys, parents=habits.parents, checks=passed)
        return habits

    def _own(self, each: MappedTable, maps: Mapped) -> str:
        """Return a digest of all of the version that matters to that table: its parents too, where they moved."""
        parents = maps.tables.keys() & self._parents(each.name)
        moved = sorted(maps.digests[name] for name in each.believed - parents)
        return f"{each.digest} {sorted(each.children)} {sorted(parents)} {moved}"

    def _of_table(self, version: AppVersion, each: MappedTable, maps: Mapped, *, home: bool) -> Found:
        learnt, table, name = self._learnt, each.table, each.name
        own, reach = self._own(each, maps), self._reach_of(name)
        habits = learnt.habits.get((version.name, name))
        if habits is None and home:
            habits = self._settled(version, each, maps)
        own_keys = frozenset({*table.unique, table.primary_key})
        habits = habits or Habits(keys=own_keys)
        key = (own, reach, habits)
        if key not in learnt.known:
            learnt.known[key] = self._exercise(each, maps, habits).trials()
        used_to = learnt.homes.get((version.name, name)) or Home(keys=own_keys)
        told = (own, reach, used_to)
        if told not in learnt.foretold:
            outlook = Outlook(
                table=table,
                name=name,
                schema=self._known_schema,
                home=used_to,
                children=each.children,
                mapped=maps.tables,
            )
            learnt.foretold[told] = outlook.trials()
        return Found(trials=learnt.known[key], foreseen=learnt.foretold[told])

    def _parents(self, name: str) -> frozenset[str]:
        live = self._tables.get(name)
        return frozenset(c.referenced_table for c in live.constraints if c.referenced_table) if live else frozenset()

    def _reach_of(self, name: str) -> str:
        if name not in self._reached:
            self._reached[name] = self._reach.digest(name)
        return self._reached[name]

    def _exercise(self, each: MappedTable, maps: Mapped, habits: Habits) -> Exercise:
        if self._planter is None:
            self._begin()
            self._planter = Planter(self._conn, self._snapshot)
        self.exercised += 1
        return Exercise(
            conn=self._conn,
            rows=Rows(planter=self._planter, table=each.table, name=each.name, mapped=maps.tables, habits=habits),
            classify=self._engine.classify,
            known_children=each.children,
            acting=lambda: self._engine.trials.acting(self._conn, self._role),
            denial_counts=bool(self._role),
        )

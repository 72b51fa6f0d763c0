"""Looks between the statements of a revision, so that the one which made something stop working is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection

from handrail.compat.board import Learnt, Moment
from handrail.engines.base import Engine
from handrail.model.contract import AppVersion
from handrail.model.matrix import Trial
from handrail.model.operation import StatementKind
from handrail.model.revision import Revision


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What did not work after one statement of a revision, by version; `seen` is False where nothing could be tried."""

    sql: str
    seen: bool = True
    trials: Mapping[str, frozenset[Trial]] = field(default_factory=dict)


#: By revision, statement by statement.
Looks = Mapping[str, tuple[Look, ...]]


@dataclass(slots=True, kw_only=True)
class Tracer:
    """A watcher of a replay. `wanted` are the tables to look at, by revision and version."""

    versions: Mapping[str, AppVersion]
    wanted: Mapping[str, Mapping[str, frozenset[str]]]
    version_table: str
    role: str
    learnt: Learnt
    _looks: dict[str, list[Look]] = field(default_factory=dict)

    def sent(self, engine: Engine, conn: Connection, revision: Revision, sql: str) -> None:
        """Try the tables again that are wanted."""
        wanted = self.wanted.get(revision.id)
        if wanted is None:
            return
        looks = self._looks.setdefault(revision.id, [])
        if looks and engine.statements.kind(sql) is StatementKind.READ:
            looks.append(replace(looks[-1], sql=sql))  # whoever only looks has changed nothing
            return
        with engine.trials.within(conn) as possible:
            if not possible:
                looks.append(Look(sql=sql, seen=False))
                return
            moment = Moment(
                engine=engine,
                conn=conn,
                version_table=self.version_table,
                role=self.role,
                learnt=self.learnt,
                begin=lambda: None,
            )
            trials = {
                name: frozenset(t for f in moment.found(self.versions[name], home=False, only=tables) for t in f.trials)
                for name, tables in wanted.items()
            }
        looks.append(Look(sql=sql, trials=trials))

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:
        """The revision's end has been seen already."""

    def result(self, engine: Engine) -> Looks:  # noqa: ARG002 - a watcher's shape
        """Return every look, in the order the statements were sent."""
        return {revision: tuple(looks) for revision, looks in self._looks.items()}

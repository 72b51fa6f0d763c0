"""`handrail compat --queries`: statements that applications send, asked again on the schema of each revision."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from handrail.compat import asking, cause, query_sources
from handrail.compat.asking import Asking, Culprit, Pinpointing
from handrail.compat.cause import Certainty
from handrail.engines.base import Engine, Purpose
from handrail.errors import NotVerified, UsageRefused
from handrail.flows.matrix import choosing
from handrail.flows.ports import Ports, target_ports
from handrail.flows.standing import expected, planning
from handrail.history import execute
from handrail.history.recording import record
from handrail.model.matrix import Result, Trial
from handrail.model.needs import Needs
from handrail.model.operation import RecordedRevision, StatementKind
from handrail.model.query import Query, QueryAnswers
from handrail.model.revision import Direction
from handrail.model.verdict import Unsupported

#: Statements that differ in literals only: so many of them are asked.
_VARIANTS = 8
_ENVIRONMENT = "env:"
_READ_OR_WRITE = frozenset({StatementKind.READ, StatementKind.DATA})


@dataclass(frozen=True, slots=True, kw_only=True)
class QueriesRequest:
    """Where statements come from: `env:NAME` for what the server of an environment has counted, else a file.

    `revisions` as for the matrix; '' for what is pending where the statements come from, from where that stands.
    """

    source: str
    revisions: str = ""


def replay(ports: Ports, request: QueriesRequest) -> QueryAnswers:
    """Return which statements the server accepts no longer, since which revision. Executes none of them.

    Raises UsageRefused for a source without statements, NotVerified where the revisions cannot be replayed.
    """
    place, found = _source(ports, request.source)
    queries, left_out = _askable(ports.engine, found)
    if not queries:
        raise UsageRefused(
            what=f"{request.source} holds no statement that reads or writes rows; nothing was touched",
            why=f"{len(left_out)} other statements or unreadable texts were found" if left_out else "it is empty",
            fix="name a .sql file, a log with statements in it, or env:NAME with pg_stat_statements",
        )
    rows = _rows(place, request.revisions)
    with ports.engine.connect(Purpose.READ) as conn:
        needs = ports.engine.needs(conn)
    seen = expected.replayed(
        ports, ports.graph.heads, needs=needs, begin=lambda: Asking(queries=queries, revisions=frozenset(rows))
    )
    if isinstance(seen, Unsupported):
        raise NotVerified(
            what="what becomes of the statements cannot be known; nothing was touched",
            why="; ".join((seen.reason, *seen.details)),
            fix="make the sandbox like the database, or the history replayable: handrail verify says the same",
        )
    causes = _Causes(ports, needs, queries, seen)
    newly, from_start = asking.failing(
        queries, seen, shown=ports.engine.statements.hide_literals, cause=causes.operation
    )
    return QueryAnswers(
        source=request.source,
        first=seen[0].revision.id if seen else "",
        last=seen[-1].revision.id if seen else "",
        asked=len(queries),
        newly=newly,
        from_start=from_start,
        left_out=left_out,
    )


def _source(ports: Ports, source: str) -> tuple[Ports, tuple[Query, ...]]:
    """Return where the database stands that the statements are of, and the statements."""
    if source.startswith(_ENVIRONMENT):
        environment = ports.settings.environment(source.removeprefix(_ENVIRONMENT))
        there = target_ports(ports, environment, emit=ports.emit)
        with there.engine.connect(Purpose.READ) as conn:
            counted = there.engine.usage.queries(conn)
        if isinstance(counted, Unsupported):
            raise NotVerified(
                what=f"the statements of {environment.name} cannot be had; nothing was touched",
                why=counted.reason,
                fix="or name a .sql file or a log: --queries FILE",
            )
        return there, counted
    path = Path(source)
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as exc:
        raise UsageRefused(
            what=f"the statements in {source} cannot be read; nothing was touched",
            why=exc.strerror or type(exc).__name__,
            fix="name a .sql file, a log with statements in it, or env:NAME with pg_stat_statements",
        ) from exc
    read = query_sources.in_sql if path.suffix.lower() == ".sql" else query_sources.in_log
    return ports, tuple(read(text, path.name))


def _askable(engine: Engine, found: Iterable[Query]) -> tuple[tuple[Query, ...], tuple[str, ...]]:
    """Return each statement once with its placeholders numbered, and the places of those that cannot be asked."""
    known: dict[str, Query] = {}
    variants: Counter[str] = Counter()
    left_out = []
    for query in found:
        text, parameters = query_sources.numbered(
            query.text, engine.plans.placeholder, question_marks=engine.plans.question_marks
        )
        if text in known:
            known[text] = replace(known[text], calls=known[text].calls + query.calls)
        elif not query_sources.about_rows(query) or engine.statements.kind(text) not in _READ_OR_WRITE:
            left_out.append(query.place)
        elif variants[shown := engine.statements.hide_literals(text)] < _VARIANTS:
            variants[shown] += 1
            known[text] = replace(query, text=text, parameters=parameters)
    return tuple(known.values()), tuple(left_out)


def _rows(place: Ports, revisions: str) -> tuple[str, ...]:
    """Return the revisions to ask at, in order: those of the range, else where `place` stands and what is pending."""
    way = [revision.id for revision, _ in planning.way_up(place.graph, (), place.graph.heads)[0]]
    wanted = choosing.revisions(place.graph, revisions)
    if wanted is not None:
        return tuple(name for name in way if name in wanted)
    with place.engine.connect(Purpose.READ) as conn:
        applied = place.graph.applied(execute.heads(conn, place.env))
    last = max((at for at, name in enumerate(way) if name in applied), default=0)
    return tuple(name for at, name in enumerate(way) if at == last or name not in applied)


class _Causes:
    """Finds which operations make statements fail, in a second replay that looks within revisions."""

    def __init__(
        self, ports: Ports, needs: Needs, queries: tuple[Query, ...], seen: tuple[asking.Refused, ...]
    ) -> None:
        self._ports, self._needs = ports, needs
        self._revisions = {each.revision.id: each.revision for each in seen}
        self._read: dict[str, RecordedRevision] = {}
        self._culprits: Mapping[tuple[str, int], Culprit] = {}
        wanted = asking.begun(seen)
        if wanted:
            found = expected.replayed(
                ports, ports.graph.heads, needs=needs, begin=lambda: Pinpointing(queries=queries, wanted=wanted)
            )
            self._culprits = {} if isinstance(found, Unsupported) else found

    def operation(self, revision: str, place: int, message: str) -> str:
        """Return the operation that was seen to do it, else the one that the server's message speaks of."""
        read = self._recorded(revision)
        culprit = self._culprits.get((revision, place))
        if culprit is not None:
            return cause.operation_of(read, culprit.sql, culprit.nth)
        return cause.operation(Trial(result=Result.READ_FAILS, table="", message=message), read, Certainty.NAMED)

    def _recorded(self, revision: str) -> RecordedRevision:
        if revision not in self._read:
            [self._read[revision]] = record.record(
                planning.basis(self._ports, self._needs.server_major), [(self._revisions[revision], Direction.UPGRADE)]
            )
        return self._read[revision]

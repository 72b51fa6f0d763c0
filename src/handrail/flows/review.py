"""`handrail review`: what each revision would do, to whom, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from handrail import registry
from handrail.engines.dialects import DIALECTS, for_name
from handrail.flows import explain, judging, locating, registered, selecting
from handrail.flows.judging import Shelf
from handrail.flows.ports import ReviewPorts
from handrail.flows.selecting import Selection
from handrail.history import dialect, ignoring
from handrail.history.graph import Graph, whole
from handrail.history.memory import Memory, digest
from handrail.host.cache import NO_CACHE, Cache
from handrail.model.action import UNKNOWN, Unknown
from handrail.model.finding import Finding
from handrail.model.review import Coverage, EngineChoice, Judged, Review
from handrail.model.reviewed import GraphProblem, ReviewedGraph, ReviewedRevision
from handrail.model.rule import RuleFacts
from handrail.model.suppressing import Marks, suppress
from handrail.model.verdict import Confidence, Severity

if TYPE_CHECKING:
    from handrail.history.env_py import EnvPy
    from handrail.history.reading import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """What to review. `target` is a revision or a range `a:b`, `since` a git ref; see selecting.

    `engine` names the engine to read for, '' to find it out. `sizes` are rows per table. `enable`
    switches rules of style on. `cache` is where what was found is kept for the next time.
    """

    target: str = ""
    everything: bool = False
    since: str = ""
    environment: str | None = None
    engine: str = ""
    sizes: Mapping[str, int] | Unknown = UNKNOWN
    static: bool = False
    enable: frozenset[str] = frozenset()
    cache: Cache = NO_CACHE


def review(ports: ReviewPorts, request: ReviewRequest) -> Review:
    """Return what the rules find. Reads files only, but for the database of an environment that is named.

    Raises ProjectUnreadable, HistoryBroken for a target that is not there, UsageRefused.
    """
    located, notes = locating.locate(ports, request.environment)
    selection = selecting.select(
        ports,
        request.target,
        everything=request.everything,
        since=request.since,
        heads=located.heads if located else None,
    )
    engines = (located.engine,) if located and not request.engine else _engines(ports, request)
    mended = whole(ports.graph)
    policy = replace(ports.settings.review, enable=(*ports.settings.review.enable, *request.enable))
    on = judging.shelf(policy, _old(ports))
    marks = {id_: ignoring.suppressions(mended.revisions[id_].source) for id_ in selection.revisions}
    asked = [
        _asked(ports, request, choice, mended, selection, on, marks, located.env if located else None)
        for choice in engines
    ]
    facts = _facts(ports, request, engines[0])
    found = [finding for findings, _ in asked[:1] for finding in findings]
    for choice, (findings, _) in zip(engines[1:], asked[1:], strict=True):
        found += _doubtful(findings, choice, found)
    found += judging.of_graph(on, _graph(ports.graph, selection), facts)
    kept, hidden, judged = suppress(_once(found), marks, today=facts.today)
    kept = (*kept, *_of_suppressions(on, mended, selection, judged, facts))
    return Review(
        scope=selection.scope,
        revisions=selection.revisions,
        engines=engines,
        findings=_ordered(kept, selection),
        suppressed=hidden,
        coverage=tuple(one for _, coverage in asked for one in coverage),
        sources=tuple(
            (str(mended.revisions[i].path), tuple(mended.revisions[i].source.splitlines())) for i in selection.revisions
        ),
        notes=notes,
        static=request.static,
    )


def _engines(ports: ReviewPorts, request: ReviewRequest) -> tuple[EngineChoice, ...]:
    return dialect.choices(ports.project, ports.graph.revisions.values(), request.engine, known=DIALECTS)


def _facts(ports: ReviewPorts, request: ReviewRequest, choice: EngineChoice) -> RuleFacts:
    return RuleFacts(
        engine=choice.name,
        server_major=choice.server_major,
        today=ports.clock.now().date(),
        engine_assumed=not choice.told_by,
        sizes=request.sizes,
        deployed=(registered.models if request.environment else registered.models_here)(ports.settings),
        rules=frozenset(registry.rules()),
    )


def _asked(
    ports: ReviewPorts,
    request: ReviewRequest,
    choice: EngineChoice,
    graph: Graph,
    selection: Selection,
    on: Shelf,
    marks: Marks,
    env: EnvPy | None,
) -> tuple[list[Finding], list[Coverage]]:
    """Return what the rules say of the revisions as one engine would get them, and how well they were read."""
    facts = _facts(ports, request, choice)
    memory = None if env or request.static else _memory(ports, request, choice, graph, on, facts)
    known = {id_: judged for id_ in selection.revisions if memory and (judged := memory.judged(id_))}
    fresh = replace(selection, revisions=tuple(id_ for id_ in selection.revisions if id_ not in known))
    if fresh.revisions:
        read = _read(ports, request, choice, graph, fresh, env, memory)
        for revision in _revisions(graph, fresh, read, marks):
            findings = tuple(judging.of_revision(on, revision, facts))
            known[revision.id] = Judged(findings=findings, coverage=tuple(_coverage(revision, choice.spoken)))
            if memory:
                memory.keep_judged(revision.id, known[revision.id])
    if memory:
        memory.save()
    told = [known[id_] for id_ in selection.revisions]
    return [finding for one in told for finding in one.findings], [c for one in told for c in one.coverage]


def _memory(
    ports: ReviewPorts, request: ReviewRequest, choice: EngineChoice, graph: Graph, on: Shelf, facts: RuleFacts
) -> Memory | None:
    """Return what is remembered; None where rules of other packages, or what a database holds, have a say."""
    if request.cache is NO_CACHE or facts.sizes is not UNKNOWN or not on.own:
        return None
    names = (rule.name for rule in on.rules)
    return Memory(
        cache=request.cache,
        project=ports.project,
        graph=graph,
        engine=f"{choice.spoken} {choice.server_major}",
        context=digest(*names, "", *sorted(on.old), str(facts.engine_assumed), _told(facts)),
    )


def _told(facts: RuleFacts) -> str:
    """Return what the rules are told of deployed versions, as a text that is the same for the same."""
    if facts.deployed is UNKNOWN:
        return ""
    return repr(
        [(version, sorted((t, sorted(c)) for t, c in tables.items())) for version, tables in facts.deployed.items()]
    )


def _read(
    ports: ReviewPorts,
    request: ReviewRequest,
    choice: EngineChoice,
    graph: Graph,
    selection: Selection,
    env: EnvPy | None,
    memory: Memory | None,
) -> Read:
    from handrail.history import plain_sight, reading  # noqa: PLC0415 - Alembic, which what is remembered does not need

    engine = for_name(choice.spoken)
    if request.static:
        return plain_sight.read(graph, engine=engine, server_major=choice.server_major)
    return reading.read(
        ports.project,
        graph,
        engine=engine,
        server_major=choice.server_major,
        env=env,
        downgrades=selection.revisions,
        memory=memory,
    )


def _old(ports: ReviewPorts) -> frozenset[str]:
    """Return the revisions that rules about how a file is written leave alone."""
    return ports.graph.applied(ports.settings.rules_after)


def _revisions(graph: Graph, selection: Selection, read: Read, marks: Marks) -> Iterator[ReviewedRevision]:
    order = [revision.id for revision in reversed(list(graph.walk()))]
    upgrades = tuple(read.upgrades[id_] for id_ in order)
    number = {id_: position for position, id_ in enumerate(order)}
    for id_ in selection.revisions:
        below = graph.applied((id_,)) - {id_}
        line = len(below) == number[id_]  # all that comes before it in the order is below it
        yield ReviewedRevision(
            revision=graph.revisions[id_],
            upgrade=read.upgrades[id_],
            downgrade=read.downgrades[id_],
            earlier=upgrades[: number[id_]] if line else tuple(read.upgrades[i] for i in order if i in below),
            suppressions=marks[id_],
        )


def _coverage(revision: ReviewedRevision, engine: str) -> Iterator[Coverage]:
    for step in revision.steps:
        yield Coverage(
            revision=revision.id, direction=step.direction, engine=engine, reading=step.reading, reason=step.reason
        )


def _graph(graph: Graph, selection: Selection) -> ReviewedGraph:
    return ReviewedGraph(
        revisions=tuple(graph.revisions.values()),
        heads=graph.heads,
        reviewed=frozenset(selection.revisions),
        problems=tuple(
            GraphProblem(
                kind=problem.kind.name.lower().replace("_", "-"),
                what=problem.what,
                why=problem.why,
                fix=problem.fix,
                file=problem.files[0] if problem.files else None,
                line=problem.line,
                revision=problem.revisions[0] if problem.revisions else "",
            )
            for problem in graph.problems
        ),
    )


def _of_suppressions(
    on: Shelf,
    graph: Graph,
    selection: Selection,
    marks: Marks,
    facts: RuleFacts,
) -> Iterator[Finding]:
    for id_ in selection.revisions:
        revision = ReviewedRevision(revision=graph.revisions[id_], suppressions=marks[id_])
        yield from judging.of_revision(on, revision, facts, last=True)


def _doubtful(findings: list[Finding], choice: EngineChoice, told: list[Finding]) -> list[Finding]:
    """Return what is only said of an engine that the project may not use, and is not told yet: never an error."""
    known = {(f.rule, f.revision, f.direction, f.place) for f in told}
    return [
        replace(
            finding,
            severity=Severity.NOTE if finding.severity is Severity.NOTE else Severity.WARNING,
            confidence=Confidence.LOW,
            what=f"on {choice.name}, if it is used: {finding.what}",
        )
        for finding in findings
        if (finding.rule, finding.revision, finding.direction, finding.place) not in known
    ]


def _once(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return each finding once; what is said of several engines in the same words is one."""
    return tuple(dict.fromkeys(findings))


def _ordered(findings: tuple[Finding, ...], selection: Selection) -> tuple[Finding, ...]:
    """Return the findings in the order of the history, then of the file."""
    place = {id_: number for number, id_ in enumerate(selection.revisions)}

    def key(finding: Finding) -> tuple[int, int]:
        return place.get(finding.revision, len(place)), finding.place.line if finding.place else 0

    return tuple(sorted(findings, key=key))


def pages() -> dict[str, str]:
    """Return the page of every rule by its name."""
    return {page.name: page.text for page in explain.index()}

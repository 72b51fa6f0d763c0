"""`handrail review`: what each revision would do, to whom, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from handrail import registry
from handrail.engines.dialects import DIALECTS, for_name
from handrail.flows import explain
from handrail.flows.assessing import judging, registered
from handrail.flows.assessing.judging import ActiveRules
from handrail.flows.ports import ReviewPorts
from handrail.flows.reviewing import locating, selecting
from handrail.flows.reviewing.locating import Located
from handrail.flows.reviewing.selecting import Selection
from handrail.history.files import dialect, ignoring
from handrail.history.files.graph import Graph, whole
from handrail.history.recording.memory import Memory, digest
from handrail.host.cache import NO_CACHE, Cache
from handrail.model.action import Opaque
from handrail.model.demand import COUNTING_LIMIT_S
from handrail.model.finding import Finding
from handrail.model.hazards.demands import demands
from handrail.model.hazards.weighing import Known, weighed
from handrail.model.operation import Reading
from handrail.model.portrait import Portrait
from handrail.model.review import Coverage, EngineChoice, Judged, Review, ReviewedDatabase
from handrail.model.reviewed import GraphProblem, ReviewedGraph, ReviewedRevision
from handrail.model.rule import RuleFacts
from handrail.model.spec import UNKNOWN, Unknown
from handrail.model.suppressing import Marks, suppress
from handrail.model.verdict import Confidence, Severity
from handrail.model.violation import Counted

if TYPE_CHECKING:
    from handrail.history.env.env_py import EnvPy
    from handrail.history.recording.reading import Read


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewRequest:
    """What to review. `target` is a revision or a range `a:b`, `since` a git ref; see selecting.

    `snapshot` is a file that `handrail status --save` has written. `engine` names the engine to read for, '' to find it
    out. `sizes` are rows per table. `count_for_s` bounds how long rows are counted, 0 for not at all; they are counted
    only where the environment is named. `enable` switches rules of style on. `cache` is where what was found is kept
    for the next time.
    """

    target: str = ""
    everything: bool = False
    since: str = ""
    environment: str | None = None
    snapshot: Path | None = None
    engine: str = ""
    sizes: Mapping[str, int] | Unknown = UNKNOWN
    count_for_s: float = COUNTING_LIMIT_S
    static: bool = False
    enable: frozenset[str] = frozenset()
    cache: Cache = NO_CACHE


@dataclass(frozen=True, slots=True, kw_only=True)
class _Job:
    """What a review works with, once it is known what it is about."""

    ports: ReviewPorts
    request: ReviewRequest
    graph: Graph
    selection: Selection
    located: Located | None
    on: ActiveRules
    marks: Marks

    @property
    def env(self) -> EnvPy | None:
        """What the project's env.py configures, None where no environment was asked."""
        return self.located.env if self.located else None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Answer:
    """What the rules say of the revisions as one engine would get them, and how well they were read."""

    findings: tuple[Finding, ...]
    coverage: tuple[Coverage, ...]
    counted: tuple[Counted, ...] = ()
    notes: tuple[str, ...] = ()


def review(ports: ReviewPorts, request: ReviewRequest) -> Review:
    """Return what the rules find. Reads files only, but for the database of an environment that is named.

    Raises ProjectUnreadable, HistoryBroken for a target that is not there, UsageRefused.
    """
    located, notes = locating.locate(ports, request.environment, request.snapshot)
    selection = selecting.select(
        ports,
        request.target,
        everything=request.everything,
        since=request.since,
        heads=located.portrait.heads if located and located.portrait else None,
    )
    engines = (located.engine,) if located and not request.engine else _engines(ports, request)
    mended = whole(ports.graph)
    policy = replace(ports.settings.review, enable=(*ports.settings.review.enable, *request.enable))
    marks = {id_: ignoring.suppressions(mended.revisions[id_].source) for id_ in selection.revisions}
    job = _Job(
        ports=ports,
        request=request,
        graph=mended,
        selection=selection,
        located=located,
        on=judging.active(policy, _old(ports)),
        marks=marks,
    )
    asked = [_asked(job, choice) for choice in engines]
    facts = _facts(job, engines[0], None)
    found = list(asked[0].findings)
    for choice, answer in zip(engines[1:], asked[1:], strict=True):
        found += _doubtful(answer.findings, choice, found)
    found += judging.of_graph(job.on, _graph(ports.graph, selection), facts)
    kept, hidden, judged = suppress(_once(found), marks, today=facts.today)
    kept = (*kept, *_of_suppressions(job, judged, facts))
    return Review(
        scope=selection.scope,
        revisions=selection.revisions,
        engines=engines,
        findings=_ordered(kept, selection),
        suppressed=hidden,
        coverage=tuple(one for answer in asked for one in answer.coverage),
        counted=tuple(one for answer in asked for one in answer.counted),
        database=_database(located, request),
        sources=tuple(
            (str(mended.revisions[i].path), tuple(mended.revisions[i].source.splitlines())) for i in selection.revisions
        ),
        notes=(*notes, *(note for answer in asked for note in answer.notes)),
        static=request.static,
    )


def _engines(ports: ReviewPorts, request: ReviewRequest) -> tuple[EngineChoice, ...]:
    return dialect.choices(ports.project, ports.graph.revisions.values(), request.engine, known=DIALECTS)


def _database(located: Located | None, request: ReviewRequest) -> ReviewedDatabase | None:
    portrait = located.portrait if located else None
    if portrait is None:
        return None
    return ReviewedDatabase(
        environment=portrait.environment,
        server=f"{portrait.engine} {portrait.server}",
        heads=portrait.heads,
        taken_at=portrait.taken_at,
        file=str(request.snapshot) if request.snapshot else "",
        sizes=portrait.sizes,
    )


def _facts(job: _Job, choice: EngineChoice, known: Known | None) -> RuleFacts:
    sizes = job.request.sizes
    return RuleFacts(
        engine=choice.name,
        server_major=choice.server_major,
        today=job.ports.clock.now().date(),
        engine_assumed=not choice.told_by,
        sizes=known.portrait.rows() if known is not None and sizes is UNKNOWN else sizes,
        bytes=known.portrait.bytes() if known is not None else {},
        counted=known.counted if known is not None else {},
        deployed=(registered.models if job.request.environment else registered.models_here)(job.ports.settings),
        rules=frozenset(registry.rules()),
        settled=bool(job.ports.settings.environments),
        headed=frozenset(one.id for one in job.graph.revisions.values() if one.header.is_there),
    )


def _asked(job: _Job, choice: EngineChoice) -> _Answer:
    """Return what the rules say of the revisions as one engine would get them, and how well they were read."""
    portrait = job.located.portrait if job.located else None
    if portrait is None or portrait.engine != choice.name:
        return _asked_of_files(job, choice)
    read = _read(job, choice, job.selection, None)
    known = _known(job, portrait, read)
    facts = _facts(job, choice, known)
    place = {id_: number for number, id_ in enumerate(job.selection.revisions)}
    revisions = sorted(_revisions(job.graph, read, job.marks), key=lambda revision: place[revision.id])
    found = [finding for revision in revisions for finding in judging.of_revision(job.on, revision, facts)]
    steps = [step for revision in revisions for step in revision.steps]
    return _Answer(
        findings=tuple(weighed(found, registry.rules(), steps, known)),
        coverage=tuple(one for revision in revisions for one in _coverage(revision, choice.spoken)),
        counted=tuple(known.counted.values()),
        notes=tuple(_left(job.request, known)),
    )


def _asked_of_files(job: _Job, choice: EngineChoice) -> _Answer:
    """Return what the rules say where no database has a say; what is remembered is not read and judged again."""
    facts = _facts(job, choice, None)
    memory = None if job.env or job.request.static else _memory(job, choice, facts)
    chosen = job.selection.revisions
    known = {id_: judged for id_ in chosen if memory and (judged := memory.judged(id_))}
    fresh = replace(job.selection, revisions=tuple(id_ for id_ in chosen if id_ not in known))
    if fresh.revisions:
        read = _read(job, choice, fresh, memory)
        for revision in _revisions(job.graph, read, job.marks):
            findings = tuple(judging.of_revision(job.on, revision, facts))
            known[revision.id] = Judged(findings=findings, coverage=tuple(_coverage(revision, choice.spoken)))
            if memory:
                memory.keep_judged(revision.id, known[revision.id])
    if memory:
        memory.save()
    told = [known[id_] for id_ in chosen]
    return _Answer(
        findings=tuple(finding for one in told for finding in one.findings),
        coverage=tuple(c for one in told for c in one.coverage),
    )


def _told(facts: RuleFacts) -> str:
    """Return what the rules are told of deployed versions, as a text that is the same for the same."""
    if facts.deployed is UNKNOWN:
        return ""
    return repr(
        [(version, sorted((t, sorted(c)) for t, c in tables.items())) for version, tables in facts.deployed.items()]
    )


def _memory(job: _Job, choice: EngineChoice, facts: RuleFacts) -> Memory | None:
    """Return what is remembered; None where rules of other packages, or what a database holds, have a say."""
    if job.request.cache is NO_CACHE or facts.sizes is not UNKNOWN or not job.on.own:
        return None
    names = (rule.name for rule in job.on.rules)
    return Memory(
        cache=job.request.cache,
        project=job.ports.project,
        graph=job.graph,
        engine=f"{choice.spoken} {choice.server_major}",
        context=digest(*names, "", *sorted(job.on.old), str(facts.engine_assumed), str(facts.settled), _told(facts)),
    )


def _read(job: _Job, choice: EngineChoice, selection: Selection, memory: Memory | None) -> Read:
    from handrail.history.recording import plain_sight, reading  # noqa: PLC0415 - not needed for what is remembered

    engine = for_name(choice.spoken)
    if job.request.static:
        return plain_sight.read(
            job.graph, engine=engine, server_major=choice.server_major, downgrades=selection.revisions
        )
    return reading.read(
        job.ports.project,
        job.graph,
        engine=engine,
        server_major=choice.server_major,
        env=job.env,
        downgrades=selection.revisions,
        memory=memory,
    )


def _left(request: ReviewRequest, known: Known) -> Iterator[str]:
    """Yield why rows were not counted that could be."""
    if not known.wanted or request.snapshot is not None or request.count_for_s == 0:
        return
    if request.static:
        yield "rows are not counted with --static: the conditions to count by are SQL of the revisions"
    elif request.environment is None:
        name = known.portrait.environment
        yield f"rows that would break something are counted where the environment is named: -e {name}"


def _known(job: _Job, portrait: Portrait, read: Read) -> Known:
    """Return what the database says of the pending revisions; of the others it says what became of them long ago."""
    from handrail.flows.assessing import counting  # noqa: PLC0415 - SQLAlchemy, and most reviews look at no database

    request, live = job.request, job.located.target if job.located else None
    applied = job.graph.applied(portrait.heads)
    order = [revision.id for revision in reversed(list(job.graph.walk())) if revision.id not in applied]
    pending = [read.upgrades[id_] for id_ in order]
    wanted = [demand for demand in demands(pending, portrait) if demand.revision in job.selection.revisions]
    named = live is None or request.environment is not None
    counts = request.count_for_s > 0 and named and not request.static  # a condition is the revision's own SQL
    of_selected = [step for step in pending if step.revision in job.selection.revisions]
    return Known(
        portrait=portrait,
        wanted=tuple(wanted),
        counted=counting.counted(live, portrait, wanted, limit_s=request.count_for_s) if counts and wanted else {},
        dependants=counting.dependants(live, of_selected) if live else {},
    )


def _old(ports: ReviewPorts) -> frozenset[str]:
    """Return the revisions that rules about how a file is written leave alone."""
    return ports.graph.applied(ports.settings.rules_after)


def _revisions(graph: Graph, read: Read, marks: Marks) -> Iterator[ReviewedRevision]:
    """Yield each revision as soon as its downgrade was read, while the next one is being read."""
    for downgrade in read.downgrades:
        id_ = downgrade.revision
        yield ReviewedRevision(
            revision=graph.revisions[id_],
            upgrade=read.upgrades[id_],
            downgrade=downgrade,
            earlier=tuple(map(read.upgrades.__getitem__, graph.below(id_))),
            suppressions=marks[id_],
        )


def _coverage(revision: ReviewedRevision, engine: str) -> Iterator[Coverage]:
    for step in revision.steps:
        reading, reason = step.reading, step.reason
        opaque = next(((s.place, a.reason) for s, a in step.actions() if isinstance(a, Opaque) and a.anything), None)
        if reading is Reading.EXACT and opaque is not None:
            place, why = opaque
            reading, reason = Reading.DATA_DEPENDENT, f"line {place.line}: {why}" if place else why
        yield Coverage(revision=revision.id, direction=step.direction, engine=engine, reading=reading, reason=reason)


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


def _of_suppressions(job: _Job, judged: Marks, facts: RuleFacts) -> Iterator[Finding]:
    for id_ in job.selection.revisions:
        revision = ReviewedRevision(revision=job.graph.revisions[id_], suppressions=judged[id_])
        yield from judging.of_revision(job.on, revision, facts, last=True)


def _doubtful(findings: tuple[Finding, ...], choice: EngineChoice, told: list[Finding]) -> list[Finding]:
    """Return what is only said of an engine that the project may not use, and is not told yet: notes."""
    known = {(f.rule, f.revision, f.direction, f.place) for f in told}
    return [
        replace(
            finding,
            severity=Severity.NOTE,
            confidence=Confidence.LOW,
            what=f"on {choice.name}, if it is used: {finding.what}",
        )
        for finding in findings
        if (finding.rule, finding.revision, finding.direction, finding.place) not in known
    ]


def _once(findings: list[Finding]) -> tuple[Finding, ...]:
    """Return each finding once: what is said of several engines, or of several statements of a line, is one."""
    once: dict[Finding, Finding] = {}
    for finding in findings:
        once.setdefault(replace(finding, statement=None), finding)
    return tuple(once.values())


def _ordered(findings: tuple[Finding, ...], selection: Selection) -> tuple[Finding, ...]:
    """Return the findings in the order of the history, then of the file."""
    place = {id_: number for number, id_ in enumerate(selection.revisions)}

    def key(finding: Finding) -> tuple[int, int]:
        return place.get(finding.revision, len(place)), finding.place.line if finding.place else 0

    return tuple(sorted(findings, key=key))


def pages() -> dict[str, str]:
    """Return the page of every rule by its name."""
    return {page.name: page.text for page in explain.index()}

"""Reads where a target stands and plans the way to where it shall be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import TYPE_CHECKING

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from handrail import registry
from handrail.engines.base import Cause, Purpose
from handrail.errors import Halfway, TargetRefused
from handrail.flows.ports import Ports
from handrail.flows.standing import halfway
from handrail.history import execute, stage
from handrail.history.files.graph import Graph, revision_map
from handrail.history.recording import record
from handrail.history.recording.task import Basis
from handrail.host import secrets
from handrail.journal import backups, identity, lease, statement_log, tables
from handrail.model.backup import BackupFacts, Manifest
from handrail.model.finding import Finding
from handrail.model.gate import GateFacts
from handrail.model.operation import Origin, Reading, RecordedRevision
from handrail.model.plan import Plan, Step
from handrail.model.revision import Direction, Revision
from handrail.model.run import Judgement
from handrail.model.standing import DONE, Standing, Unreadable
from handrail.model.verdict import Verdict
from handrail.model.violation import Counted

if TYPE_CHECKING:
    from handrail.model.matrix import CompatFacts

#: The gate by whose name an environment asks for a backup before every run.
BACKUP_PROVED = "backup-proved"
#: The gate by whose name an environment has the rules' findings, and the rows they are about, decide.
REVIEWED = "reviewed"
#: The gate by whose name an environment has its plans exercised by the deployed versions.
COMPATIBLE = "compatible"
#: No SQL of any kind, so that an engine assumes the worst of it.
_UNREADABLE = "?"


def look(ports: Ports) -> Standing:
    """Return where the target stands. Raises Unreachable, and TargetRefused also where our tables may not be read."""
    standing = look_as_allowed(ports)
    hidden = standing.unreadable
    if hidden is not None:
        raise TargetRefused(
            what=f"Handrail's own tables in database {standing.target.database} may not be read; nothing was touched",
            why=hidden.why,
            fix=hidden.fix,
        )
    return standing


def look_as_allowed(ports: Ports) -> Standing:
    """Return where the target stands, as far as its user may see. Read-only. Raises Unreachable, TargetRefused."""
    with ports.engine.connect(Purpose.READ) as conn:
        return look_on(ports, conn)


def look_on(ports: Ports, conn: Connection) -> Standing:
    """Return where the target behind `conn` stands, as far as its user may see."""
    rows = execute.version_rows(conn, ports.env)
    public = Standing(
        target=ports.engine.target(conn),
        heads=rows or (),
        version_table_exists=rows is not None,
        fingerprint=ports.engine.catalog.fingerprint(conn, version_table=ports.version_table),
        identity=None,
        lease=None,
        lease_taken=False,
        half_applied=(),
    )
    if not tables.exist(conn, ports.engine):
        return public
    try:
        return _with_ours(ports, conn, public)
    except DBAPIError as exc:
        if ports.engine.classify(exc) is not Cause.DENIED:
            raise
        said = secrets.mask(str(exc.orig).partition("\n")[0])
        rights = ports.engine.activity.reading_rights(public.target.user)
        hidden = Unreadable(why=said, fix=f"as the owner of the schema: {rights}")
        return replace(public, lease_taken=ports.engine.locks.lease_taken(conn), unreadable=hidden)


def _with_ours(ports: Ports, conn: Connection, public: Standing) -> Standing:
    """Return the standing with what our tables say; the row of the lease before its lock, which outlives it."""
    engine = ports.engine
    return replace(
        public,
        identity=identity.read(conn, engine),
        lease=lease.read(conn, engine),
        lease_taken=engine.locks.lease_taken(conn),
        half_applied=halfway.still_open(ports.graph, public.heads, statement_log.read(conn, engine)),
    )


def way_up(
    graph: Graph, heads: tuple[str, ...], targets: tuple[str, ...]
) -> tuple[list[tuple[Revision, Direction]], tuple[str, ...]]:
    """Return the way from those rows of the version table to all of the targets, and the rows at its end.

    Raises HistoryBroken.
    """
    way: list[tuple[Revision, Direction]] = []
    for target in targets:
        further = [(revision, Direction.UPGRADE) for revision in graph.upgrade_path(heads, target)]
        heads = stage.heads_along(revision_map(graph), heads, further)
        way += further
    return way, heads


def way_down(graph: Graph, heads: tuple[str, ...], goal: tuple[str, ...]) -> list[tuple[Revision, Direction]]:
    """Return the way that undoes what is applied at `heads` and not at `goal`; empty where nothing is."""
    surplus = graph.applied(heads) - graph.applied(goal)
    return [(revision, Direction.DOWNGRADE) for revision in graph.walk() if revision.id in surplus] if surplus else []


def what_is_left(ports: Ports, plan: Plan, standing: Standing) -> list[tuple[Revision, Direction]]:
    """Return the steps of the plan that are still to be done where the target stands now.

    Raises TargetRefused where they do not lead to the plan's goal any more: nobody has agreed to other steps.
    """
    graph, applied = ports.graph, ports.graph.applied(standing.heads)
    left = [s for s in plan.steps if (s.revision.id in applied) is (s.direction is Direction.DOWNGRADE)]
    after = applied.symmetric_difference(s.revision.id for s in left)
    closed = all(i in graph.revisions and after.issuperset(graph.needs(i)) for i in after)
    if not closed or not after.issuperset(graph.applied(plan.goal)):
        raise TargetRefused(
            what="the database was changed while this run waited; nothing was touched",
            why=f"it stands at {_rows(standing.heads)}, this run was to go from {_rows(plan.start)} "
            f"to {_rows(plan.goal)}",
            fix=f"handrail status -e {ports.environment.name}, then give the command again if it is still meant",
        )
    return [(s.revision, s.direction) for s in left]


def _rows(heads: tuple[str, ...]) -> str:
    return ", ".join(heads) or "base"


def basis(ports: Ports, server_major: int) -> Basis:
    """Return what the reading of a revision rests on, for a server of that version."""
    return Basis(
        project=ports.project, graph=ports.graph, env=ports.env, engine=ports.engine, server_major=server_major
    )


def make_plan(
    ports: Ports, standing: Standing, way: Sequence[tuple[Revision, Direction]], *, counts: bool = False
) -> Plan:
    """Return the plan of that way: each revision recorded, its effects known, its findings listed.

    `counts` is whether the rows are counted that the steps may fail on, which takes a while on large tables.
    """
    recordings = (
        ()
        if not way
        else record.record(
            basis(ports, standing.target.server_major),
            way,
            heads=standing.heads,
            version_table_exists=standing.version_table_exists,
            shadow=ports.engine.shadow(),
        )
    )
    steps = tuple(
        _step(ports, standing, revision, direction, recorded)
        for (revision, direction), recorded in zip(way, recordings, strict=True)
    )
    findings, counted = _findings(ports, standing, steps, counts=counts)
    return Plan(
        environment=ports.environment.name,
        target=standing.target,
        start=standing.heads,
        goal=stage.heads_along(revision_map(ports.graph), standing.heads, way) if way else standing.heads,
        steps=steps,
        findings=findings,
        counted=counted,
        fingerprint=standing.fingerprint,
    )


def _step(
    ports: Ports, standing: Standing, revision: Revision, direction: Direction, recorded: RecordedRevision
) -> Step:
    major = standing.target.server_major
    effects = tuple(  # nobody else uses the version table
        () if s.origin is Origin.ALEMBIC else ports.engine.effects.effects(s.sql, server_major=major)
        for s in recorded.statements
    )
    failed = recorded.reading is Reading.FAILED
    assumed = ports.engine.effects.effects(_UNREADABLE, server_major=major) if failed else ()
    return Step(revision=revision, direction=direction, recorded=recorded, effects=effects, assumed=assumed)


def _findings(
    ports: Ports, standing: Standing, steps: tuple[Step, ...], *, counts: bool
) -> tuple[tuple[Finding, ...], tuple[Counted, ...]]:
    if not steps:
        return (), ()
    from handrail.flows.assessing import findings  # noqa: PLC0415 - nothing pending is the most frequent answer, and needs no rules

    return findings.of_plan(ports, standing, steps, counts=counts)


def judge_gates(
    ports: Ports, plan: Plan, *, backs_up: bool = False, compat: CompatFacts | None = None
) -> tuple[Judgement, ...]:
    """Return the answer of each gate that the environment requires, in its order.

    `backs_up` is whether the run will make a proved backup before its first step, `compat` what becomes of the deployed
    versions.
    """
    facts = GateFacts(
        plan=plan,
        now=ports.clock.now(),
        window=ports.environment.window,
        backup=BackupFacts(
            will_make=backs_up, newest=_newest_proved(ports, plan), max_age=ports.environment.backup.max_age
        ),
        compat=compat,
    )
    return tuple(_judge(name, facts) for name in ports.environment.requires)


def _newest_proved(ports: Ports, plan: Plan) -> Manifest | None:
    """Return the newest backup of the plan's database that is proved; not looked for where no gate asks."""
    if BACKUP_PROVED not in ports.environment.requires:
        return None
    shelf = backups.read(ports.settings.root / ports.environment.backup.directory)
    binding = ports.journal.binding(ports.environment.name)
    known = binding.identity if binding else ""
    mine = [b for b in shelf.of(ports.environment.name) if b.proved and b.of_database(plan.target, known)]
    return mine[-1] if mine else None


def _judge(name: str, facts: GateFacts) -> Judgement:
    gate = registry.gates().get(name)
    if gate is None:
        known = registry.gates()
        meant = "".join(f"; did you mean {near}?" for near in get_close_matches(name, known, n=1))
        return Judgement(name=name, verdict=Verdict.UNKNOWN, reason=f"no gate of that name: {', '.join(known)}{meant}")
    return gate.judge(facts)


def refuse_half_applied(ports: Ports, standing: Standing) -> None:
    """Raise Halfway when an earlier run left a revision between its start and its end."""
    if not standing.half_applied:
        return
    records = standing.half_applied
    done = sum(r.state == DONE for r in records)
    open_ = [r for r in records if r.state != DONE]
    at = f"; in flight: {ports.engine.statements.hide_literals(open_[0].sql)}" if open_ else ""
    raise Halfway(
        what=f"revision {records[0].revision} stands half applied; nothing more was touched",
        why=f"run {records[0].run} was interrupted after {done} of its statements{at}",
        fix=f"handrail resume -e {ports.environment.name}",
    )

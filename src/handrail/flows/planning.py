"""Reads where a target stands and plans the way to where it shall be."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection

from handrail import registry
from handrail.engines.base import Purpose
from handrail.errors import Halfway
from handrail.flows import halfway
from handrail.flows.ports import Ports
from handrail.history import execute, record
from handrail.journal import identity, lease, statement_log, tables
from handrail.model.finding import Finding
from handrail.model.gate import GateFacts
from handrail.model.operation import Origin, Reading, RecordedRevision
from handrail.model.plan import Plan, Step, moved
from handrail.model.revision import Direction, Revision
from handrail.model.rule import RuleFacts
from handrail.model.run import Judgement
from handrail.model.standing import DONE, Standing
from handrail.model.verdict import Verdict

#: No SQL of any kind, so that an engine assumes the worst of it.
_UNREADABLE = "?"


def look(ports: Ports) -> Standing:
    """Return where the target stands, on a read-only connection of its own. Raises Unreachable, TargetRefused."""
    with ports.engine.connect(Purpose.READ) as conn:
        return look_on(ports, conn)


def look_on(ports: Ports, conn: Connection) -> Standing:
    """Return where the target behind `conn` stands."""
    ours = tables.exist(conn, ports.engine)
    heads = execute.heads(conn, ports.env)
    return Standing(
        target=ports.engine.target(conn),
        heads=heads,
        version_table_exists=execute.version_table_exists(conn, ports.env),
        fingerprint=ports.engine.catalog.fingerprint(conn, version_table=ports.version_table),
        identity=identity.read(conn, ports.engine) if ours else None,
        lease=lease.read(conn, ports.engine) if ours else None,
        lease_taken=ours and ports.engine.locks.lease_taken(conn),
        half_applied=halfway.still_open(ports.graph, heads, statement_log.read(conn, ports.engine)) if ours else (),
    )


def make_plan(ports: Ports, standing: Standing, way: Sequence[tuple[Revision, Direction]]) -> Plan:
    """Return the plan of that way: each revision recorded, its effects known, its findings listed."""
    recordings = (
        ()
        if not way
        else record.record(
            ports.project,
            ports.graph,
            ports.env,
            way,
            engine=ports.engine,
            server_major=standing.target.server_major,
            heads=standing.heads,
            version_table_exists=standing.version_table_exists,
            shadow=ports.engine.shadow(),
        )
    )
    steps = tuple(
        _step(ports, standing, revision, direction, recorded)
        for (revision, direction), recorded in zip(way, recordings, strict=True)
    )
    return Plan(
        environment=ports.environment.name,
        target=standing.target,
        start=standing.heads,
        goal=_goal(standing.heads, way),
        steps=steps,
        findings=tuple(finding for step in steps for finding in _findings(ports, standing, step)),
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


def _findings(ports: Ports, standing: Standing, step: Step) -> list[Finding]:
    facts = RuleFacts(engine=ports.engine.name, server_major=standing.target.server_major, effects=step.effects)
    rules = [rule for rule in registry.rules().values() if ports.engine.name in rule.engines]
    return [finding for rule in rules for finding in rule.findings(step.recorded, facts)]


def _goal(heads: tuple[str, ...], way: Sequence[tuple[Revision, Direction]]) -> tuple[str, ...]:
    for revision, direction in way:
        heads = moved(heads, revision, direction)
    return heads


def judge_gates(ports: Ports, plan: Plan) -> tuple[Judgement, ...]:
    """Return the answer of each gate that the environment requires, in its order."""
    facts = GateFacts(plan=plan, now=ports.clock.now(), window=ports.environment.window)
    return tuple(_judge(name, facts) for name in ports.environment.requires)


def _judge(name: str, facts: GateFacts) -> Judgement:
    gate = registry.gates().get(name)
    if gate is None:
        return Judgement(
            name=name, verdict=Verdict.UNKNOWN, reason=f"no gate of that name: {', '.join(registry.gates())}"
        )
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

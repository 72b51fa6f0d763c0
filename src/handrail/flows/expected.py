"""The schema that a project's revisions make, found by making it in an empty sandbox of the target's version."""

from __future__ import annotations

from sqlalchemy.schema import CreateSchema

from handrail import registry
from handrail.engines.base import Engine, Purpose
from handrail.errors import HistoryBroken, SandboxUnavailable
from handrail.flows import planning
from handrail.flows.ports import Ports
from handrail.history import execute, record, stage
from handrail.history.graph import revision_map
from handrail.history.recognise import is_stamped
from handrail.model.check import CheckFacts
from handrail.model.operation import Origin
from handrail.model.revision import Direction, Revision
from handrail.model.run import CheckJudged, Judgement, VerifyStarted
from handrail.model.schema import Snapshot
from handrail.model.verdict import Unsupported, Verdict


class _Unwatched:
    """Hooks that let everything pass: in a sandbox nobody waits for us."""

    def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:  # noqa: ARG002 - the protocol's names
        return True

    def after(self, sql: str, *, origin: Origin, autocommit: bool) -> None:
        """Nothing follows."""

    def before_commit(self) -> None:
        """Nothing is owed."""


def expected_snapshot(ports: Ports, heads: tuple[str, ...], *, server_major: int) -> Snapshot | Unsupported:
    """Return the schema at those rows of the version table, or why it cannot be had."""
    try:
        way = [revision for revision, _ in planning.way_up(ports.graph, (), heads)[0]]
        with ports.engine.sandbox(server_major=server_major) as sandbox, sandbox.database() as engine:
            return _replay(ports, engine, way, server_major)
    except SandboxUnavailable as exc:
        return Unsupported(reason=f"no sandbox like the target: {exc.why}; {exc.fix}")
    except HistoryBroken as exc:
        return Unsupported(reason=f"{exc.what}: {exc.why}")


def _replay(ports: Ports, engine: Engine, way: list[Revision], server_major: int) -> Snapshot | Unsupported:
    heads: tuple[str, ...] = ()
    if ports.env.version_table_schema:  # made by hand in the target, before the first revision
        with engine.connect(Purpose.STATE) as conn:
            conn.execute(CreateSchema(ports.env.version_table_schema, if_not_exists=True))
    with engine.connect(Purpose.MIGRATE) as conn:
        driver = execute.Driver(conn, project=ports.project, graph=ports.graph, env=ports.env)
        for revision in way:
            engine.before_step(conn)
            raised = driver.run(revision, Direction.UPGRADE, hooks=_Unwatched(), heads=heads)
            engine.after_step(conn)
            if raised is not None:
                return _not_replayable(ports, engine, way, f"{revision.id}: {raised.summary}", server_major)
            heads = stage.heads_after(revision_map(ports.graph), heads, revision, Direction.UPGRADE)
    with engine.connect(Purpose.READ) as conn:
        return engine.catalog.snapshot(conn, version_table=ports.version_table)


def _not_replayable(ports: Ports, engine: Engine, way: list[Revision], failure: str, server_major: int) -> Unsupported:
    """Say why the history does not make its own schema: it is stamped, or it is broken."""
    steps = [(revision, Direction.UPGRADE) for revision in way]
    recordings = record.record(ports.project, ports.graph, ports.env, steps, engine=engine, server_major=server_major)
    stamped = is_stamped(zip(way, recordings, strict=True))
    if stamped is None:
        return Unsupported(reason=f"the history does not replay on an empty database: {failure}")
    return Unsupported(
        reason=f"the history is stamped: {stamped.revision.id} changes the table {stamped.table}, which no revision "
        "creates, so the revisions alone do not make the schema"
    )


def run_checks(ports: Ports, expected_heads: tuple[str, ...]) -> tuple[Judgement, ...]:
    """Ask every check about the live database, which should stand at `expected_heads`."""
    ports.emit(VerifyStarted(heads=expected_heads))
    with ports.engine.connect(Purpose.READ) as conn:
        heads = execute.heads(conn, ports.env)
        major = ports.engine.target(conn).server_major
        snapshot = ports.engine.catalog.snapshot(conn, version_table=ports.version_table)
    facts = CheckFacts(
        heads=heads,
        expected_heads=expected_heads,
        snapshot=snapshot,
        expected_snapshot=expected_snapshot(ports, expected_heads, server_major=major),
    )
    judgements = tuple(check.judge(facts) for check in registry.checks().values())
    for judgement in judgements:
        ports.emit(CheckJudged(judgement=judgement))
    return judgements


def failures(judgements: tuple[Judgement, ...]) -> tuple[Judgement, ...]:
    """Return those that are not good enough: FAIL and UNKNOWN."""
    return tuple(j for j in judgements if j.verdict in {Verdict.FAIL, Verdict.UNKNOWN})

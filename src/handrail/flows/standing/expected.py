"""The schema that a project's revisions make, found by making it in an empty sandbox of the target's version."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from sqlalchemy import Connection

from handrail import registry
from handrail.engines.base import Cause, Engine, Purpose, Statements
from handrail.engines.sandboxes import Sandbox
from handrail.errors import HistoryBroken, SandboxUnavailable
from handrail.flows.ports import Ports
from handrail.flows.standing import planning, sights
from handrail.history import execute, stage
from handrail.history.fencing.guard import Raised
from handrail.history.files.graph import revision_map
from handrail.history.recording import record
from handrail.history.recording.recognise import is_stamped
from handrail.model.check import CheckFacts, Sight
from handrail.model.needs import Needs
from handrail.model.operation import Origin
from handrail.model.revision import Direction, Revision
from handrail.model.run import CheckJudged, Judgement, VerifyStarted
from handrail.model.schema import Snapshot
from handrail.model.verdict import NoServer, Unsupported, Verdict

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)


class _Unwatched:
    """Hooks that let everything pass, for in a sandbox nobody waits for us; they note which roles a history makes."""

    def __init__(self, statements: Statements) -> None:
        self.roles: set[str] = set()
        self.heard: Callable[[str], None] = lambda _sql: None
        self._statements = statements

    def before(self, sql: str, *, origin: Origin, autocommit: bool) -> bool:  # noqa: ARG002 - the protocol's names
        self.roles |= self._statements.roles_made(sql)
        return True

    def after(self, sql: str, *, origin: Origin, autocommit: bool) -> None:  # noqa: ARG002 - the protocol's names
        if origin is Origin.REVISION:
            self.heard(sql)

    def before_commit(self) -> None:
        """Nothing is owed."""


def expected_snapshot(ports: Ports, heads: tuple[str, ...], *, needs: Needs) -> Snapshot | Unsupported:
    """Return the schema at those rows of the version table, or why it cannot be had.

    It is made in a database that is like the target, by the role that the target is migrated by; by the database's
    owner where the environment's user may only look.
    """
    return replayed(ports, heads, needs=needs, begin=lambda: _Last(ports))


def replayed(ports: Ports, heads: tuple[str, ...], *, needs: Needs, begin: Callable[[], Watcher[T]]) -> T | Unsupported:
    """Return what a watcher has seen when the history was replayed up to those heads, in a sandbox like the target.

    `begin` makes the watcher, once more where the replay has to begin again.
    """
    try:
        way = [revision for revision, _ in planning.way_up(ports.graph, (), heads)[0]]
        with ports.engine.sandbox(server_major=needs.server_major) as sandbox:
            missing = sandbox.lacks(needs)
            if missing:
                lacking = sights.unlike(missing)
                return NoServer(reason=lacking.reason, details=lacking.details)
            return _make(ports, sandbox, way, needs, begin)
    except SandboxUnavailable as exc:
        return NoServer(reason=f"no sandbox like the target: {exc.why}; {exc.fix}")
    except HistoryBroken as exc:
        return Unsupported(reason=f"{exc.what}: {exc.why}")


class Watcher(Protocol[T_co]):
    """Looks at a database while a history is replayed in it."""

    def sent(self, engine: Engine, conn: Connection, revision: Revision, sql: str) -> None:
        """Hear that a statement of the revision was run on `conn`, in the transaction it is in."""

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:
        """Hear that the revision was run and committed on `conn`, and which rows the version table has."""

    def result(self, engine: Engine) -> T_co:
        """Return what was seen, after the last revision."""


class _Last:
    """Watches nothing but the end: the schema as it is then."""

    def __init__(self, ports: Ports) -> None:
        self._version_table = ports.version_table

    def sent(self, engine: Engine, conn: Connection, revision: Revision, sql: str) -> None:
        """Nothing is looked at on the way."""

    def after(self, engine: Engine, conn: Connection, revision: Revision, heads: tuple[str, ...]) -> None:
        """Nothing is looked at on the way."""

    def result(self, engine: Engine) -> Snapshot:
        with engine.connect(Purpose.READ) as conn:
            return engine.catalog.snapshot(conn, version_table=self._version_table)


def _make(
    ports: Ports, sandbox: Sandbox, way: list[Revision], needs: Needs, begin: Callable[[], Watcher[T]]
) -> T | Unsupported:
    """Replay the history; once more where it makes a role itself that the sandbox had made already."""
    schema = ports.env.version_table_schema  # made by hand in the target, before the first revision
    needs = replace(needs, schemas=(schema,) if schema else ())
    hooks, role = _Unwatched(ports.engine.statements), needs.user
    try:
        while True:
            with sandbox.database(like=needs, role=role) as bare:
                engine = bare.settled(ports.env.session, ports.engine.url.get_driver_name())
                watcher = begin()
                failed = _replay(ports, engine, way, hooks, watcher)
                if failed is None:
                    return watcher.result(engine)
                in_the_way = {known.name for known in needs.roles} & hooks.roles - needs.self_made
                denied = engine.classify(failed[1].exception) is Cause.DENIED
                if denied and role != needs.owner:  # who may only read is not the one that migrates
                    role = needs.owner
                elif not in_the_way:
                    revision, raised = failed
                    failure = f"{revision.id}: {raised.summary}{sandbox.way_out(raised.exception)}"
                    return _not_replayable(ports, engine, way, failure, needs)
            needs = replace(needs, self_made=needs.self_made | in_the_way)
            sandbox.drop_roles(hooks.roles)
    finally:
        sandbox.drop_roles(hooks.roles)


def _replay(
    ports: Ports, engine: Engine, way: list[Revision], hooks: _Unwatched, watcher: Watcher[object]
) -> tuple[Revision, Raised] | None:
    """Run every upgrade; return which one failed and how, None where none did."""
    heads: tuple[str, ...] = ()
    with engine.connect(Purpose.MIGRATE) as conn:
        driver = execute.Driver(conn, project=ports.project, graph=ports.graph, env=ports.env)
        for revision in way:
            engine.before_step(conn)
            hooks.heard = partial(watcher.sent, engine, conn, revision)
            raised = driver.run(revision, Direction.UPGRADE, hooks=hooks, heads=heads)
            engine.after_step(conn)
            if raised is not None:
                return revision, raised
            heads = stage.heads_after(revision_map(ports.graph), heads, revision, Direction.UPGRADE)
            watcher.after(engine, conn, revision, heads)
    return None


def _not_replayable(ports: Ports, engine: Engine, way: list[Revision], failure: str, needs: Needs) -> Unsupported:
    """Say why the history does not make its own schema: it is stamped, or it is broken."""
    steps = [(revision, Direction.UPGRADE) for revision in way]
    recordings = record.record(replace(planning.basis(ports, needs.server_major), engine=engine), steps)
    stamped = is_stamped(zip(way, recordings, strict=True))
    if stamped is None:
        by = f" by {needs.user}" if needs.user else ""
        return Unsupported(reason=f"the history does not replay on an empty database{by}: {failure}")
    return Unsupported(
        reason=f"the history is stamped: {stamped.revision.id} changes the table {stamped.table}, which no revision "
        "creates, so the revisions alone do not make the schema"
    )


def run_checks(
    ports: Ports, expected_heads: tuple[str, ...], *, names: tuple[str, ...] = (), all_keys: bool = False
) -> tuple[Judgement, ...]:
    """Ask the checks of those names, all where there are none, about the live database, expected at those heads.

    Only what they look at is found out. `all_keys` looks for orphans of validated foreign keys too.
    """
    ports.emit(VerifyStarted(heads=expected_heads))
    checks = [check for check in registry.checks().values() if not names or check.name in names]
    seen = frozenset[Sight]().union(*(check.looks_at for check in checks))
    with ports.engine.connect(Purpose.READ) as conn:
        hidden = ports.engine.rights.missing(conn, ports.version_table)
        facts = CheckFacts(
            heads=hidden or execute.heads(conn, ports.env),
            expected_heads=expected_heads,
            snapshot=ports.engine.catalog.snapshot(conn, version_table=ports.version_table),
        )
        needs, schema = ports.engine.needs(conn), ports.engine.ground.schema(conn)
        if Sight.SEQUENCES in seen:
            facts = replace(facts, sequences=tuple(ports.engine.sequences.serving(conn)))
        if Sight.ORPHANS in seen:
            facts = replace(facts, orphans=sights.orphans_facts(ports, conn, facts.snapshot, all_keys=all_keys))
    if Sight.EXPECTED in seen:
        facts = replace(facts, expected_snapshot=expected_snapshot(ports, expected_heads, needs=needs))
    if Sight.MODELS in seen:
        made = sights.models_facts(
            ports, facts.snapshot, expected_heads=expected_heads, default_schema=schema, needs=needs
        )
        facts = replace(facts, models=made)
    judgements = tuple(check.judge(facts) for check in checks)
    for judgement in judgements:
        ports.emit(CheckJudged(judgement=judgement))
    return judgements


def failures(judgements: tuple[Judgement, ...]) -> tuple[Judgement, ...]:
    """Return those that are not good enough: FAIL and UNKNOWN."""
    return tuple(j for j in judgements if j.verdict in {Verdict.FAIL, Verdict.UNKNOWN})


def about_schema(judgements: tuple[Judgement, ...]) -> tuple[Judgement, ...]:
    """Return those that say whether the schema is what it should be, rather than the rows."""
    return tuple(j for j in judgements if (check := registry.checks().get(j.name)) is not None and check.drift)

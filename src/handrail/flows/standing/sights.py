"""Finds out what checks look at, beyond the schema that the revisions make."""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection

from handrail.engines.base import Engine, Purpose, Refusal
from handrail.errors import SandboxUnavailable
from handrail.flows.ports import Ports
from handrail.flows.standing import planning
from handrail.history.env import models
from handrail.history.env.scope import scoped
from handrail.model.check import ModelsFacts, NotAsked, OrphansFacts
from handrail.model.needs import Needs
from handrail.model.relation import Relation, RelationKind, declared, only_in_models
from handrail.model.schema import Snapshot
from handrail.model.verdict import Unsupported


def models_facts(
    ports: Ports, live: Snapshot, *, expected_heads: tuple[str, ...], default_schema: str | None, needs: Needs
) -> ModelsFacts | NotAsked | Unsupported:
    """Return the schema that the models make, made in a sandbox, and the live one: both as far as env.py compares."""
    why = _without_models(ports)
    if why is not None:
        return why
    _way, rows = planning.way_up(ports.graph, (), ports.graph.heads)
    if set(rows) != set(expected_heads):
        at = ", ".join(expected_heads) or "base"
        return NotAsked(reason=f"the models are those of {', '.join(rows)}, and the database is looked at as of {at}")
    try:
        with ports.engine.sandbox(server_major=needs.server_major) as sandbox:
            missing = sandbox.lacks(needs)
            if missing:
                return unlike(missing)
            with sandbox.database(like=needs) as engine:
                made = _made(ports, engine, live, default_schema)
    except SandboxUnavailable as exc:
        return Unsupported(reason=f"no sandbox like the target: {exc.why}; {exc.fix}")
    if isinstance(made, Unsupported):
        return made
    compared = scoped(ports.env, made, live, name_of=_namer((made, live), default_schema))
    if isinstance(compared, Unsupported):
        return compared
    of_models, of_live = compared
    types = ports.env.options.get("compare_type", True) is True
    return ModelsFacts(of_models=of_models, live=of_live, types_compared=types)


def unlike(missing: tuple[Refusal, ...]) -> Unsupported:
    """Return what to say of a sandbox that lacks something the database has."""
    return Unsupported(
        reason="the sandbox is not like the database",
        details=tuple(f"{refusal.what}: {refusal.why}; {refusal.fix}" for refusal in missing),
    )


def _without_models(ports: Ports) -> NotAsked | Unsupported | None:
    """Return why there are no models to ask: none were meant, or the ones that were are not there."""
    if ports.env.target_metadata is None:
        return NotAsked(reason="env.py names no target_metadata")
    if not any(each.tables for each in models.metadata(ports.env)):
        return Unsupported(reason="target_metadata holds no table: env.py has to import the modules of the models")
    return None


def _made(ports: Ports, engine: Engine, live: Snapshot, default_schema: str | None) -> Snapshot | Unsupported:
    with engine.connect(Purpose.STATE) as conn:
        engine.ground.lay(conn, live)
    with engine.connect(Purpose.MIGRATE) as conn:
        failed = models.create(conn, ports.env, default_schema=default_schema)
    if failed is not None:
        return failed
    with engine.connect(Purpose.READ) as conn:
        return engine.catalog.snapshot(conn, version_table=ports.version_table)


def orphans_facts(ports: Ports, conn: Connection, live: Snapshot, *, all_keys: bool) -> OrphansFacts:
    """Return what was found of each relation that the database does not vouch for; of every one with `all_keys`."""
    keys = declared(live)
    trusted = [] if all_keys or not ports.engine.orphans.vouched() else [k for k in keys if _validated(k)]
    why: NotAsked | Unsupported | None = _without_models(ports)
    related = models.Related()
    if why is None:
        read = models.relations(ports.env, name_of=_namer((live,), ports.engine.ground.schema(conn)))
        if isinstance(read, Unsupported):
            why = read
        else:
            related = read
    wanted = [*(k for k in keys if k not in trusted), *only_in_models(live, related.relations)]
    return OrphansFacts(
        looked=tuple(ports.engine.orphans.look(conn, relation) for relation in wanted),
        trusted=len(trusted),
        unread=related.unread,
        of_models=why,
    )


def _validated(relation: Relation) -> bool:
    return relation.kind is RelationKind.VALIDATED


def _namer(snapshots: tuple[Snapshot, ...], default_schema: str | None) -> Callable[[str | None, str], str]:
    """Return what turns schema and table of a model into a Snapshot's name, which leaves the default schema out."""
    known = {table.name for snapshot in snapshots for table in snapshot.tables}

    def name_of(schema: str | None, table: str) -> str:
        qualified = f"{schema or default_schema}.{table}"
        return qualified if qualified in known or schema not in {None, default_schema} else table

    return name_of

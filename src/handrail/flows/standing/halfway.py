"""A revision that stands half applied where the catalogue does not tell how far: what a person must find out."""

from __future__ import annotations

from enum import Enum
from typing import assert_never

from sqlalchemy import Connection

from handrail.engines.base import Engine, transaction
from handrail.errors import Halfway
from handrail.flows.ports import Ports
from handrail.history.files.graph import Graph
from handrail.journal import statement_log
from handrail.model.revision import Direction
from handrail.model.standing import DONE, INTENT, StatementRecord


class Settlement(Enum):
    """What a person found out: of the statement in flight, or that the whole revision was undone by hand."""

    LANDED = "landed"
    LOST = "lost"
    UNDONE = "undone"


def settle(conn: Connection, engine: Engine, records: tuple[StatementRecord, ...], settlement: Settlement) -> None:
    """Write down what a person found out. `conn` is a STATE connection, its session holds the lease."""
    open_ = [r for r in records if r.state == INTENT]
    with transaction(conn):
        match settlement:
            case Settlement.LANDED:
                for record in open_:
                    statement_log.finish(conn, engine, record)
            case Settlement.LOST:
                for record in open_:
                    statement_log.drop(conn, engine, record)
            case Settlement.UNDONE:
                for record in records:
                    statement_log.drop(conn, engine, record)
            case _:
                assert_never(settlement)


def sweep(conn: Connection, engine: Engine, standing: tuple[StatementRecord, ...]) -> None:
    """Remove the records of revisions that do not stand half applied any more. The session of `conn` has the lease."""
    for record in statement_log.read(conn, engine):
        if record not in standing:
            statement_log.drop(conn, engine, record)


def still_open(
    graph: Graph, heads: tuple[str, ...], records: tuple[StatementRecord, ...]
) -> tuple[StatementRecord, ...]:
    """Return the records of revisions that the version table does not say are complete: it is the truth.

    A person may have finished one by hand, and stamped it.
    """
    if not records:
        return ()
    applied = graph.applied(heads)
    return tuple(r for r in records if (r.revision in applied) is not (r.direction is Direction.UPGRADE))


def in_flight(ports: Ports, record: StatementRecord, why: str) -> Halfway:
    """Return the error for a statement of which nobody but a person can find out whether it took effect."""
    sql = ports.engine.statements.hide_literals(record.sql)
    return Halfway(
        what=f"revision {record.revision} stands half applied and cannot be finished by itself; nothing was touched",
        why=f"statement {record.ordinal + 1} was in flight ({sql}), and {why}",
        fix=_states(
            ("it took effect", f"handrail resume -e {ports.environment.name} --settle landed"),
            ("it did not", f"handrail resume -e {ports.environment.name} --settle lost"),
            *_by_hand(ports, record),
        ),
    )


def unrepeatable(ports: Ports, records: tuple[StatementRecord, ...], why: str, way_out: str = "") -> Halfway:
    """Return the error for a revision whose rest cannot be known to be what was begun; `way_out` makes it known."""
    name, done = records[0].revision, sum(r.state == DONE for r in records)
    open_ = [f"; in flight: {ports.engine.statements.hide_literals(r.sql)}" for r in records if r.state == INTENT]
    return Halfway(
        what=f"revision {name} stands half applied and cannot be finished by itself; nothing was touched",
        why=f"{why}; {done} of its statements are committed{''.join(open_[:1])}",
        fix=_states(
            *(((way_out, f"handrail resume -e {ports.environment.name}"),) if way_out else ()),
            *_by_hand(ports, records[0]),
        ),
    )


def _by_hand(ports: Ports, record: StatementRecord) -> tuple[tuple[str, str], ...]:
    name, direction = record.revision, record.direction.value
    stamp = f"alembic stamp {name}" if direction == "upgrade" else "alembic stamp REVISION_BEFORE_IT"
    return (
        (f"you have done the rest of its {direction} by hand", f"{stamp}, then handrail status"),
        (
            f"you have undone all of its {direction} by hand",
            f"handrail resume -e {ports.environment.name} --settle undone",
        ),
    )


def _states(*states: tuple[str, str]) -> str:
    return "look which of these holds, then type its command" + "".join(
        f"\n    - {state}: {command}" for state, command in states
    )

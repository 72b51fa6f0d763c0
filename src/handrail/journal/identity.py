"""Which database this is: a random number of its own, and whether it is the one an environment means."""

from __future__ import annotations

import uuid

from sqlalchemy import Connection

from handrail.engines.base import Engine, transaction
from handrail.errors import TargetRefused
from handrail.journal.tables import tables
from handrail.model.standing import Identity
from handrail.model.target import Target


def read(conn: Connection, engine: Engine) -> Identity | None:
    """Return the identity written into the database, None where none was. Our tables must exist."""
    table = tables(engine).identity
    row = conn.execute(table.select()).mappings().first()
    if row is None:
        return None
    return Identity(
        uuid=row["uuid"],
        environment=row["environment"],
        system_id=row["system_id"],
        database_oid=row["database_oid"],
        database=row["database"],
        host=row["host"],
    )


def bind(conn: Connection, engine: Engine, target: Target, environment: str) -> Identity:
    """Write an identity for this database and environment, replacing one that came along from elsewhere."""
    table = tables(engine).identity
    identity = Identity(
        uuid=str(uuid.uuid4()),
        environment=environment,
        system_id=target.system_id,
        database_oid=target.database_oid,
        database=target.database,
        host=target.host,
    )
    with transaction(conn):
        conn.execute(table.delete())
        conn.execute(
            table.insert().values(
                id=1,
                uuid=identity.uuid,
                environment=identity.environment,
                system_id=identity.system_id,
                database_oid=identity.database_oid,
                database=identity.database,
                host=identity.host,
            )
        )
    return identity


def refuse_mismatch(found: Identity | None, expected_uuid: str, target: Target, environment: str) -> None:
    """Raise TargetRefused when the database is not the one that this environment was bound to.

    `expected_uuid` is what the journal remembers for the environment, '' where it never met it.
    """
    why = ""
    if found is None:
        if expected_uuid:
            why = f"{environment} was bound to another database, and this one has no identity"
    elif found.environment != environment:
        why = f"it was bound to the environment {found.environment!r}"
    elif expected_uuid and found.uuid != expected_uuid:
        why = f"{environment} was bound to another database (identity {expected_uuid[:8]}, here {found.uuid[:8]})"
    elif (found.system_id, found.database_oid) != (target.system_id, target.database_oid) and target.system_id:
        why = f"it is a copy of the database {found.database} that was bound to {found.environment}"
    if why:
        raise TargetRefused(
            what=f"{target.database} is not the database that {environment} means; nothing was touched",
            why=why,
            fix=f"correct the url of {environment}, or if this is meant: handrail status --rebind {environment}",
        )

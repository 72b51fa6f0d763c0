"""The registered versions of the application, in a table of the journal; contracts as JSON, in it and in files."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import msgspec
import sqlalchemy as sa
from sqlalchemy import Column, Connection, MetaData, String, Table, Text

from handrail.engines.base import transaction
from handrail.errors import UsageRefused
from handrail.model.contract import SCHEMA, AppVersion, Contract

_METADATA = MetaData()
_VERSIONS = Table(
    "handrail_versions",
    _METADATA,
    Column("name", String(100), primary_key=True),
    Column("contract", Text, nullable=False),
    Column("revisions", Text, nullable=False),
    Column("digest", String(64), nullable=False),
    Column("registered_at", String(40), nullable=False),
    Column("ref", Text, nullable=False),
    Column("models", Text, nullable=False),
    Column("retired_at", String(40), nullable=False),
    Column("owner", Text),
)
# SQLite: the whole file; PostgreSQL: ACCESS EXCLUSIVE on the table, instant. For journals made before it had owners.
_ADD_OWNER = sa.text("ALTER TABLE handrail_versions ADD COLUMN owner TEXT")


def encode(contract: Contract) -> str:
    """Return the contract as JSON."""
    return msgspec.json.encode(contract).decode()


def digest(contract: Contract) -> str:
    """Return a hex digest that equal contracts share."""
    return hashlib.sha256(encode(contract).encode()).hexdigest()


def from_file(path: Path) -> Contract:
    """Return the contract in a file: what `versions show --format json` prints, or a contract alone.

    Raises UsageRefused for a file that is none.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        given = document.get("contract", document) if isinstance(document, dict) else document
        found = msgspec.convert(given, Contract)
    except (OSError, ValueError, msgspec.MsgspecError) as exc:
        raise UsageRefused(
            what=f"{path} holds no contract; nothing was touched",
            why=" ".join(str(exc).split()),
            fix="handrail versions show NAME --format json writes one",
        ) from exc
    if found.schema != SCHEMA or not found.tables:
        raise UsageRefused(
            what=f"the contract in {path} cannot be used; nothing was touched",
            why="it has no table" if found.tables == () else f"its schema is {found.schema}, and this is {SCHEMA}",
            fix="derive it again with this release of Handrail",
        )
    return found


def exist(conn: Connection) -> bool:
    """Return whether a version was ever registered in that journal."""
    return sa.inspect(conn).has_table(_VERSIONS.name)


def read(conn: Connection) -> tuple[AppVersion, ...]:
    """Return every version, in the order they were registered."""
    columns = [column for column in _VERSIONS.c if column.name != "owner" or _has_owners(conn)]
    rows = conn.execute(sa.select(*columns).order_by(_VERSIONS.c.registered_at, _VERSIONS.c.name)).mappings()
    return tuple(
        AppVersion(
            name=row["name"],
            contract=msgspec.json.decode(row["contract"], type=Contract),
            revisions=tuple(json.loads(row["revisions"])),
            digest=row["digest"],
            registered_at=row["registered_at"],
            ref=row["ref"],
            models=row["models"],
            retired_at=row["retired_at"],
            owner=row.get("owner") or "",
        )
        for row in rows
    )


def keep(conn: Connection, version: AppVersion) -> None:
    """Write a version, in place of the one of its name. `conn` commits each statement."""
    if not exist(conn):
        _METADATA.create_all(conn)
    elif not _has_owners(conn):
        conn.execute(_ADD_OWNER)
    values = {
        "name": version.name,
        "contract": encode(version.contract),
        "revisions": json.dumps(version.revisions),
        "digest": version.digest,
        "registered_at": version.registered_at,
        "ref": version.ref,
        "models": version.models,
        "retired_at": version.retired_at,
        "owner": version.owner,
    }
    with transaction(conn):
        conn.execute(_VERSIONS.delete().where(_VERSIONS.c.name == version.name))
        conn.execute(_VERSIONS.insert().values(values))


def _has_owners(conn: Connection) -> bool:
    return any(column["name"] == "owner" for column in sa.inspect(conn).get_columns(_VERSIONS.name))

"""What tables rest on and models do not make, brought from one database into an empty one."""

from __future__ import annotations

import re

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from handrail.engines.postgresql.sql.syntax import qualified, quote
from handrail.model.schema import SchemaObject, Snapshot

# No lock; one row. The session's search_path may be env.py's own.
_CURRENT = text("select current_schema()")
_SCHEMA = "CREATE SCHEMA IF NOT EXISTS {}"
# CASCADE brings the extensions that it needs itself.
_EXTENSION = "CREATE EXTENSION IF NOT EXISTS {} CASCADE"
_DOMAIN = "CREATE DOMAIN {} AS {}"
# A Snapshot tells a domain's constraints as `name CHECK (...)`.
_NAMED_CHECK = re.compile(r"(\S+) CHECK \(")
# A function may name a table that is still to come; what it does is not looked at until it is called.
_UNCHECKED = "SET check_function_bodies = off"


def schema(conn: Connection) -> str | None:
    """Return the first schema of search_path that is there; None where none is."""
    name: str | None = conn.execute(_CURRENT).scalar_one()
    return name


def lay(conn: Connection, snapshot: Snapshot) -> None:
    """Make schemas, extensions, domains and functions. What the server refuses is left out: the tables will tell."""
    conn.exec_driver_sql(_UNCHECKED)
    for kind in ("schema", "extension", "domain", "function"):
        for thing in snapshot.objects:
            if thing.kind == kind:
                _make(conn, thing)


def _make(conn: Connection, thing: SchemaObject) -> None:
    match thing.kind:
        case "schema":
            sql = _SCHEMA.format(quote(thing.name))
        case "extension":
            sql = _EXTENSION.format(quote(thing.name))
        case "domain":
            schema, _, name = thing.name.rpartition(".")
            definition = _NAMED_CHECK.sub(r"CONSTRAINT \1 CHECK (", thing.definition)
            sql = _DOMAIN.format(qualified(schema, name), definition)
        case _:
            sql = thing.definition
    try:
        conn.exec_driver_sql(sql.replace("%", "%%"))
    except DBAPIError as exc:
        if exc.connection_invalidated:
            raise

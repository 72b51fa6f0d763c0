"""A server to try MySQL's rules and effects on: the one that is named, else one on this machine that lets root in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from uuid import uuid4

import pytest
from sqlalchemy import URL, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from handrail.model.schema import SchemaObject, Snapshot

_LOCAL = "mysql+pymysql://root@127.0.0.1:3306/"


@cache
def server() -> URL | None:
    """Return where the server is, None where there is none."""
    named = os.environ.get("HANDRAIL_TEST_MARIADB_URL")
    if named:
        return make_url(named)
    try:
        create_engine(_LOCAL, poolclass=NullPool, connect_args={"connect_timeout": 1}).connect().close()
    except DBAPIError:
        return None
    return make_url(_LOCAL)


@contextmanager
def fresh_database() -> Iterator[URL]:
    """Make an empty database of a new name, and drop it at the end; skips the test where there is no server."""
    url = server()
    if url is None:
        pytest.skip("needs MariaDB (HANDRAIL_TEST_MARIADB_URL)")
    name = f"handrail_{uuid4().hex[:12]}"
    admin = create_engine(url, isolation_level="AUTOCOMMIT", poolclass=NullPool)
    with admin.connect() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {name} CHARACTER SET utf8mb4")
        try:
            yield url.set(database=name)
        finally:
            conn.exec_driver_sql(f"DROP DATABASE {name}")


def snapshot(url: URL) -> Snapshot:
    """Return the schema there, each table as the server's own text; the order of its lines does not count."""
    with create_engine(url, poolclass=NullPool).connect() as conn:
        names = conn.execute(text("SHOW FULL TABLES")).all()
        shown = [(name, kind, conn.exec_driver_sql(f"SHOW CREATE TABLE `{name}`").one()[1]) for name, kind in names]
    objects = (
        SchemaObject(
            kind=kind.lower(), name=name, definition="\n".join(sorted(line.strip(" ,") for line in sql.splitlines()))
        )
        for name, kind, sql in shown
        if name != "alembic_version"
    )
    return Snapshot(engine="mysql", server_major=10, tables=(), objects=tuple(objects))

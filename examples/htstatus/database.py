"""The database all releases share: DATABASE_URL, or a PostgreSQL of our own below this folder."""

import os
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import sqlalchemy as sa

FOLDER = Path(__file__).parent / ".handrail" / "postgres"


def url():
    return os.environ.get("DATABASE_URL") or embedded("htstatus")


@cache
def embedded(name):
    """The URL of a database on the embedded server; the database is created if it is not there."""
    with _maintenance() as connection:
        known = connection.scalar(sa.text("SELECT true FROM pg_database WHERE datname = :name"), {"name": name})
        if not known:
            connection.exec_driver_sql(f"CREATE DATABASE {_quoted(connection, name)}")
    return _server().url(name)


def drop(name):
    """Remove a database from the embedded server, with whoever is still connected."""
    with _maintenance() as connection:
        connection.exec_driver_sql(f"DROP DATABASE {_quoted(connection, name)} WITH (FORCE)")


@contextmanager
def _maintenance():
    engine = sa.create_engine(_server().url("postgres"), isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        yield connection


def _quoted(connection, name):
    return connection.dialect.identifier_preparer.quote(name)


@cache
def _server():
    """The embedded server: joined when it already runs, else started, and ended with this process."""
    from handrail.engines.postgresql import sandbox  # noqa: PLC0415 - with DATABASE_URL set it is not needed

    return sandbox.join_or_start(FOLDER)

"""A PostgreSQL of our own in .handrail/postgres: joined while another process runs it, else run by this one."""

import atexit
from contextlib import ExitStack, suppress
from functools import cache
from pathlib import Path

from psycopg.errors import DuplicateDatabase

from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.server import join_or_start

FOLDER = Path(__file__).parent / ".handrail" / "postgres"


def database(name):
    """The URL of a database, which is created unless it is there."""
    with suppress(DuplicateDatabase):
        server().create_database(name)
    return server().url(name)


def drop(name):
    server().drop_database(name)


@cache
def server():
    """The server, for as long as this process lives."""
    until_exit = ExitStack()
    atexit.register(until_exit.close)
    return until_exit.enter_context(join_or_start(find_any(), FOLDER))

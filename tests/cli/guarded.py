"""A server that asks for passwords, and the databases on it."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from refusal import CANARY
from sqlalchemy import URL, make_url

from handrail.engines.base import Purpose, for_url
from handrail.engines.postgresql.servers.server import Server


@dataclass(frozen=True, kw_only=True)
class Guarded:
    """A server that asks for passwords; the user `app` has the canary."""

    server: Server

    def run(self, sql: str, database: str = "postgres") -> None:
        with for_url(self.server.url(database)).connect(Purpose.STATE) as conn:
            conn.exec_driver_sql(sql)

    def url(self, database: str) -> URL:
        """The URL of a database for `app`."""
        return make_url(self.server.url(database)).set(username="app", password=CANARY)

    def database(self, *, owner: str = "app") -> str:
        """Create a database; return its name."""
        name = f"d{secrets.token_hex(5)}"
        self.run(f"create database {name} owner {owner}")
        return name


def written(url: URL) -> str:
    """The URL as text, with its password."""
    return url.render_as_string(hide_password=False)

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from refusal import CANARY
from sqlalchemy import URL, make_url
from workbench import Workbench

from handrail.engines.base import Purpose, for_url
from handrail.engines.postgresql.binaries import find_any
from handrail.engines.postgresql.server import Server, start

USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))'


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


@pytest.fixture(scope="session")
def guarded() -> Iterator[Guarded]:
    with start(find_any(), listen=True) as server:
        guarded = Guarded(server=server)
        guarded.run(f"create role app login password '{CANARY.replace('%', '%%')}'")
        yield guarded


@pytest.fixture
def pg_bench(tmp_path: Path, guarded: Guarded) -> Workbench:
    """A project with one revision on a database of `app`, whose password is the canary."""
    return _bench(tmp_path, written(guarded.url(guarded.database())))


@pytest.fixture
def lite_bench(tmp_path: Path) -> Workbench:
    """A project with one revision on a SQLite file."""
    (tmp_path / "data").mkdir()
    return _bench(tmp_path, f"sqlite:///{tmp_path / 'data' / 'test.db'}")


def _bench(tmp_path: Path, url: str) -> Workbench:
    bench = Workbench(tmp_path / "project", url)
    bench.revision("aaa1", None, USERS, 'op.drop_table("users")')
    return bench


def written(url: URL) -> str:
    """The URL as text, with its password."""
    return url.render_as_string(hide_password=False)

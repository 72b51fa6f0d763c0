from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from guarded import Guarded, written
from refusal import CANARY
from workbench import Workbench

from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.server import start

USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))'


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

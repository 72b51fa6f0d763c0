from __future__ import annotations

from pathlib import Path

import pytest
from workbench import Workbench


@pytest.fixture
def bench(tmp_path: Path, database_url: str) -> Workbench:
    """A scratch project on a fresh database; the test runs on each engine."""
    return Workbench(tmp_path / "project", database_url)


@pytest.fixture
def pg_bench(tmp_path: Path, postgresql_url: str) -> Workbench:
    """A scratch project on a fresh PostgreSQL database."""
    return Workbench(tmp_path / "project", postgresql_url)


@pytest.fixture
def lite_bench(tmp_path: Path, sqlite_url: str) -> Workbench:
    """A scratch project on a fresh SQLite file."""
    return Workbench(tmp_path / "project", sqlite_url)

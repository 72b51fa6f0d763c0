"""The reference application on the databases of `make services`, with no variable set, as its README shows it."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from pathlib import Path

import pytest
import sqlalchemy as sa
from document import blocks
from htstatus import DEADLINE_S, HEAD, SOURCE, Example

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
SERVER = "flask --app app run"


@pytest.fixture
def example(tmp_path: Path) -> Iterator[Example]:
    example = Example(tmp_path / "htstatus")
    yield example
    example.run("uv run make stop-services")


@pytest.fixture
def served(example: Example) -> Example:
    example.run("uv run make services")
    return example


def ask(example: Example, expression: str) -> str:
    """What the module services answers."""
    return example.run(f"python -c 'import services; print({expression})'").strip()


def test_the_lines_of_the_readme_run_in_its_order(example: Example) -> None:
    for block in blocks(SOURCE / "README.md"):
        assert block.language == "bash"
        for line in block.lines:
            if SERVER in line:
                assert_pages_are_served(example, line)
            else:
                example.run(line)


def assert_pages_are_served(example: Example, line: str) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {**example.environment, "FLASK_RUN_PORT": str(port)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(line.split(), cwd=example.folder, env=environment, start_new_session=True, **quiet) as server:
        try:
            assert status_of_first_page(server, port) == 401  # nobody is logged in
        finally:
            os.killpg(server.pid, signal.SIGTERM)


def status_of_first_page(server: subprocess.Popen[bytes], port: int) -> int:
    deadline = time.monotonic() + DEADLINE_S
    while True:
        assert server.poll() is None
        assert time.monotonic() < deadline
        try:
            page = HTTPConnection("127.0.0.1", port, timeout=DEADLINE_S)
            page.request("GET", "/players")
            return page.getresponse().status
        except ConnectionRefusedError:
            time.sleep(0.05)


def test_each_environment_has_a_database_of_its_own_until_the_services_are_stopped(served: Example) -> None:
    urls = {name: served.run(f"python database.py {name}") for name in ("development", "staging", "production")}
    assert len(set(urls.values())) == 3
    assert served.run("uv run make services").strip() == "the services are running already"
    served.run("uv run python scripts/apply_migrations.py --environment staging")
    status = served.run("uv run handrail status")
    assert re.findall(r"revision +(\w+)", status) == ["base", HEAD, "base"]
    served.run("uv run make stop-services")
    refused = served.try_to("python database.py staging")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "make services" in refused.stderr


def test_the_variable_decides_where_it_is_set(served: Example) -> None:
    for environment, prefix in (("development", ""), ("staging", "STAGING_"), ("production", "PRODUCTION_")):
        variable = {f"{prefix}DATABASE_URL": "sqlite:///chosen.db"}
        assert served.run(f"python database.py {environment}", **variable).strip() == "sqlite:///chosen.db"
        assert ask(served, f'services.urls()["{environment}"]') != "sqlite:///chosen.db"


def test_of_two_that_start_at_once_both_get_the_same_databases(example: Example) -> None:
    command = ["uv", "run", "make", "services"]
    both = [
        subprocess.Popen(command, cwd=example.folder, env=example.environment, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    said = [process.communicate(timeout=DEADLINE_S)[0] for process in both]
    assert [process.returncode for process in both] == [0, 0]
    shown = {match for text in said for match in re.findall(r"staging +(\S+)", text)}
    assert shown == {ask(example, 'services.urls()["staging"]')}


def kill_keeper(example: Example) -> None:
    os.kill(int(ask(example, 'services.running()["pid"]')), signal.SIGKILL)


def kill_server(example: Example) -> None:
    engine = sa.create_engine(ask(example, 'services.urls()["development"]'))
    with engine.connect() as connection:
        pid_file = connection.scalar(sa.text("SELECT pg_read_file('postmaster.pid')"))
    engine.dispose()
    os.kill(int(pid_file.split()[0]), signal.SIGKILL)


@pytest.mark.parametrize("kill", [kill_keeper, kill_server], ids=lambda kill: kill.__name__)
def test_after_a_kill_the_services_start_again_with_their_data(
    served: Example, kill: Callable[[Example], None]
) -> None:
    served.run("uv run alembic upgrade head")
    kill(served)
    served.run("uv run make services")
    assert HEAD in served.run("uv run alembic current")


def test_the_services_of_a_deleted_folder_end(served: Example) -> None:
    sockets = Path(str(sa.make_url(ask(served, 'services.urls()["development"]')).query["host"]))
    assert sockets.exists()
    shutil.rmtree(served.folder / ".handrail")
    deadline = time.monotonic() + DEADLINE_S
    while sockets.exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)

"""A real standby, copied from a running primary, and a server that is stopped under a run."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from refusal import refusal, told
from sqlalchemy import make_url
from workbench import Workbench

from handrail.engines.postgresql.servers.binaries import find_any
from handrail.engines.postgresql.servers.server import Server, start
from handrail.host.kept_folder import kept_folder
from handrail.host.process import server_account

pytestmark = pytest.mark.slow

_USERS = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))'


@contextmanager
def _standby_of(primary: Server, folder: Path) -> Iterator[Server]:
    binaries, account = find_any(), server_account()
    data = kept_folder(folder, account) / "data"
    address = make_url(primary.url())
    words = ["-h", str(address.query["host"]), "-p", str(address.query["port"]), "-U", str(address.username)]
    subprocess.run(
        [binaries.folder / "pg_basebackup", *words, "-D", data, "-R", "-X", "stream", "-c", "fast"],
        check=True,
        capture_output=True,
        timeout=60,
    )
    if account is not None:
        for path in (data, *data.rglob("*")):
            os.chown(path, account.uid, account.gid)
    with start(binaries, data=folder) as standby:
        yield standby


def test_a_standby_is_refused_and_nothing_is_touched(tmp_path: Path) -> None:
    with ExitStack() as stack:
        primary = stack.enter_context(start(find_any()))
        primary.create_database("shop")
        bench = Workbench(tmp_path / "project", primary.url("shop"))
        bench.revision("aaa1", None, _USERS)
        assert bench.run("apply", "--yes").returncode == 0
        bench.revision("aaa2", "aaa1", 'op.add_column("users", sa.Column("email", sa.String(50)))')
        bench.url = stack.enter_context(_standby_of(primary, tmp_path / "standby")).url("shop")
        said = refusal(bench, "apply", "--yes")
        assert "the server is a standby; nothing was touched" in said
        assert "name the primary" in said
        dry = bench.run("apply", "--dry-run")
        assert dry.returncode == 0
        assert "would be refused now: the server is a standby" in dry.stdout
        assert bench.run("status").returncode == 0
        refusal(bench, "rollback", "base", "--yes")
        refusal(bench, "status", "--rebind", "main")
        assert bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_a_server_that_stops_under_a_run_leaves_a_state_that_resume_finishes(tmp_path: Path) -> None:
    folder = tmp_path / "server"
    with start(find_any(), data=folder) as server:
        server.create_database("shop")
        bench = Workbench(tmp_path / "project", server.url("shop"))
        bench.revision("aaa1", None, _USERS)
        bench.revision("aaa2", "aaa1", 'op.execute("select pg_sleep(100)")')
        process = bench.start("apply", "--yes", "--format", "json")
        deadline = time.monotonic() + 60
        sleeping = "select from pg_stat_activity where query = 'select pg_sleep(100)' and state = 'active'"
        while not bench.rows(sleeping):
            assert time.monotonic() < deadline
    out, err = process.communicate(timeout=60)
    done = subprocess.CompletedProcess([], process.returncode, out, err)
    assert "the connection was lost during aaa2" in told(done, bench.root, 7)
    assert "is not reachable" in refusal(bench, "resume", "--yes")
    with start(find_any(), data=folder) as server:
        bench.url = server.url("shop")
        bench.revision("aaa2", "aaa1", 'op.execute("select 1")')
        assert bench.rows("select version_num from alembic_version") == [("aaa1",)]
        again = bench.run("resume", "--yes")
        assert again.returncode == 0, again.stderr
        assert bench.rows("select version_num from alembic_version") == [("aaa2",)]

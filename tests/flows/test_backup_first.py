"""A backup before a run: proved and over before the first statement, or nothing is applied."""

from __future__ import annotations

from pathlib import Path

import pytest
from archives import filled, listed
from load import holding, until
from workbench import Workbench

from handrail.engines.postgresql.servers.server import Server
from handrail.flows import apply
from handrail.flows.apply import ApplyRequest
from handrail.flows.ports import project_ports, target_ports
from handrail.model.run import BackupProved, Event, StatementStarted, StepStarted


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch, handrail_postgresql: Server) -> None:
    """Restore on the server of the tests: starting one takes seconds."""
    monkeypatch.setenv("HANDRAIL_SANDBOX_URL", handrail_postgresql.url())


def test_apply_backup_first_makes_a_proved_backup_of_where_it_starts(bench: Workbench) -> None:
    done = filled(bench).run("apply", "--backup-first", "--yes")
    assert done.returncode == 0, done.stderr
    backup = listed(bench)[0]
    assert (backup["heads"], backup["proof"]["verdict"]) == (["aaa1"], "pass")
    assert bench.rows("select version_num from alembic_version") == [("aaa2",)]


def test_without_a_pending_revision_no_backup_is_made(lite_bench: Workbench) -> None:
    filled(lite_bench)
    lite_bench.run("apply", "--yes")
    assert lite_bench.run("apply", "--backup-first").returncode == 0
    assert listed(lite_bench) == []


def test_a_backup_that_fails_leaves_the_database_as_it_was(bench: Workbench) -> None:
    filled(bench)
    bench.settings('backup = { directory = "pyproject.toml/x" }')
    done = bench.run("apply", "--backup-first", "--yes")
    assert done.returncode == 9
    assert "nothing was touched" in done.stderr
    assert bench.rows("select version_num from alembic_version") == [("aaa1",)]


@pytest.mark.slow
def test_a_backup_that_cannot_be_proved_leaves_the_database_as_it_was(
    pg_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(pg_bench)
    monkeypatch.setenv("HANDRAIL_SANDBOX_URL", "postgresql://postgres@127.0.0.1:1/postgres")
    done = pg_bench.run("apply", "--backup-first", "--yes")
    assert done.returncode == 9, done.stderr
    assert "could not be proved" in done.stderr
    assert pg_bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_an_environment_that_requires_the_gate_backs_up_by_itself(bench: Workbench) -> None:
    filled(bench)
    bench.settings('requires = ["backup-proved"]')
    dry = bench.run("apply", "--dry-run")
    assert "met by the backup that this run will make" in dry.stdout
    assert listed(bench) == []
    assert bench.run("apply", "--yes").returncode == 0
    assert [b["heads"] for b in listed(bench)] == [["aaa1"]]


def sessions(bench: Workbench) -> list[str]:
    """What dumps, or keeps a snapshot for one, at this moment."""
    query = (
        "select application_name from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid() "
        "and (application_name = 'pg_dump' or state = 'idle in transaction' or backend_xmin is not null)"
    )
    return [row[0] for row in bench.rows(query)]


def test_no_dump_and_no_snapshot_of_ours_is_left_when_the_first_statement_is_sent(
    pg_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(pg_bench)
    monkeypatch.setenv("HANDRAIL_TEST_URL", pg_bench.url)
    seen: list[tuple[str, list[str]]] = []

    def emit(event: Event) -> None:
        if isinstance(event, BackupProved):
            seen.append(("BackupProved", sessions(pg_bench)))
        elif isinstance(event, StepStarted | StatementStarted):  # the run's own sessions are at work by now
            dumping = [name for name in sessions(pg_bench) if name == "pg_dump"]
            seen.append((type(event).__name__, dumping))

    project = project_ports(pg_bench.root)
    ports = target_ports(project, project.settings.environment("main"), emit=emit)
    apply.apply(ports, ApplyRequest(backup_first=True), lambda _plan: None)
    assert [name for name, _ in seen][:3] == ["BackupProved", "StepStarted", "StatementStarted"]
    assert all(others == [] for _, others in seen), seen


@pytest.mark.slow
def test_a_dump_of_somebody_else_that_began_meanwhile_stops_the_run_after_its_backup(
    pg_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(pg_bench)
    begins = Path(pg_bench.root / "begins")
    pg_bench.settings('backup = { command = "sh make.sh", proof = "true" }')
    (pg_bench.root / "make.sh").write_text(f"touch {begins}; while ! test -e {begins}.go; do sleep 0.05; done; echo x")
    run = pg_bench.start("apply", "--backup-first", "--yes")
    until(begins.exists, "the backup is being made")
    with holding(pg_bench.url, "select count(*) from players", application_name="pg_dump"):
        Path(f"{begins}.go").touch()
        _, said = run.communicate(timeout=60)
    assert run.returncode == 2, said
    assert "pg_dump" in said
    assert pg_bench.rows("select version_num from alembic_version") == [("aaa1",)]

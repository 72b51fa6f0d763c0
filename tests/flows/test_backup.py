"""`handrail backup`: what is left when it is interrupted or fails, restoring, retention, encryption, other means."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from archives import created, filled, folder, left_behind, listed, with_full_disk
from load import DEADLINE_S, connect, holding, until
from sqlalchemy import make_url
from workbench import Workbench

from handrail.engines.postgresql.servers.server import Server
from handrail.host import scratch


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch, handrail_postgresql: Server) -> None:
    """Restore on the server of the tests: starting one takes seconds."""
    monkeypatch.setenv("HANDRAIL_SANDBOX_URL", handrail_postgresql.url())


@contextmanager
def dumping(bench: Workbench, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    """`handrail backup create` in the middle of its dump: pg_dump waits for a table that nobody else reads."""
    with holding(bench.url, "lock table handrail.log in access exclusive mode"):
        run = bench.start(*(arguments or ("backup", "create")))
        try:
            until(lambda: len(dumps(bench)) == 1, "pg_dump is at work")
            yield run
        finally:
            run.kill()
            run.communicate()


def dumps(bench: Workbench) -> list[int]:
    """The sessions of pg_dump in the database."""
    query = (
        "select pid from pg_stat_activity where datname = current_database() and application_name = 'pg_dump' "
        "and wait_event_type = 'Lock'"
    )
    return [row[0] for row in bench.rows(query)]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "exit_"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_backup_at_once_and_leaves_nothing(
    pg_bench: Workbench, number: signal.Signals, exit_: int
) -> None:
    filled(pg_bench)
    with dumping(pg_bench) as run:
        run.send_signal(number)
        _, said = run.communicate(timeout=DEADLINE_S)
        assert run.returncode == exit_, said
        assert dumps(pg_bench) == []
    assert "nothing of it is left" in said
    assert listed(pg_bench) == []
    assert left_behind(pg_bench) == []


@pytest.mark.slow
def test_after_kill_9_nothing_is_listed_pg_dump_is_gone_and_the_next_backup_sweeps(pg_bench: Workbench) -> None:
    filled(pg_bench)
    with dumping(pg_bench) as run:
        run.kill()
        run.communicate(timeout=DEADLINE_S)
        until(lambda: dumps(pg_bench) == [], "pg_dump is gone")
        assert listed(pg_bench) == []
        assert [name.rpartition(".")[2] for name in left_behind(pg_bench)] == ["part"]
    created(pg_bench)
    assert left_behind(pg_bench) == []
    assert len(listed(pg_bench)) == 1


@pytest.mark.slow
def test_a_backup_that_goes_on_is_not_swept_by_another_command(pg_bench: Workbench) -> None:
    filled(pg_bench)
    with dumping(pg_bench):
        before = left_behind(pg_bench)
        pg_bench.run("backup", "prune", "--yes")
        pg_bench.run("backup", "verify")
        assert left_behind(pg_bench) == before != []


def test_a_full_disk_leaves_nothing(bench: Workbench) -> None:
    done = with_full_disk(filled(bench, 20_000), 50_000, "backup", "create")
    assert done.returncode == 9, done.stderr
    assert "Traceback" not in done.stderr
    assert "nothing was touched" in done.stderr
    assert "make room" in done.stderr
    assert "GRANT" not in done.stderr
    assert listed(bench) == []
    assert left_behind(bench) == []


def test_a_folder_that_cannot_be_made_is_named(bench: Workbench) -> None:
    filled(bench)
    bench.settings('backup = { directory = "pyproject.toml/backups" }')
    done = bench.run("backup", "create")
    assert done.returncode == 9
    assert "pyproject.toml/backups cannot be written" in done.stderr


def test_a_role_that_may_not_read_everything_is_told_what_to_grant(pg_bench: Workbench) -> None:
    filled(pg_bench)
    role = f"plain_{time.monotonic_ns()}"
    pg_bench.execute(f"create role {role} login", f"grant select on alembic_version to {role}")
    try:
        plain = make_url(pg_bench.url).set(username=role).render_as_string()
        done = pg_bench.run("backup", "create", env={"HANDRAIL_TEST_URL": plain})
        assert done.returncode == 9, done.stderr
        assert "permission denied" in done.stderr
        assert f'GRANT pg_read_all_data TO "{role}"' in done.stderr
        assert left_behind(pg_bench) == []
    finally:
        pg_bench.execute(f"drop owned by {role}", f"drop role {role}")


@pytest.mark.slow
def test_a_role_that_may_read_everything_may_back_up(pg_bench: Workbench) -> None:
    filled(pg_bench)
    role = f"reader_{time.monotonic_ns()}"
    pg_bench.execute(f"create role {role} login in role pg_read_all_data")
    try:
        reader = make_url(pg_bench.url).set(username=role).render_as_string()
        done = pg_bench.run("backup", "create", env={"HANDRAIL_TEST_URL": reader})
        assert done.returncode == 0, done.stderr
    finally:
        pg_bench.execute(f"drop role {role}")


@pytest.mark.slow
def test_no_backup_is_begun_while_a_run_is_at_work(pg_bench: Workbench) -> None:
    filled(pg_bench)
    (pg_bench.root / "make.sh").write_text("touch begins; while ! test -e go; do sleep 0.05; done; echo x")
    pg_bench.settings('backup = { command = "sh make.sh", proof = "true" }')
    run = pg_bench.start("apply", "--backup-first", "--yes")
    until((pg_bench.root / "begins").exists, "the run makes its backup")
    done = pg_bench.run("backup", "create")
    (pg_bench.root / "go").touch()
    _, said = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 0, said
    assert done.returncode == 6, done.stderr
    assert "a run is at work" in done.stderr


def test_a_signal_during_the_backup_of_a_run_leaves_nothing_and_applies_nothing(pg_bench: Workbench) -> None:
    filled(pg_bench)
    with dumping(pg_bench, "apply", "--backup-first", "--yes") as run:
        run.send_signal(signal.SIGTERM)
        _, said = run.communicate(timeout=DEADLINE_S)
    assert run.returncode == 143, said
    assert left_behind(pg_bench) == []
    assert pg_bench.rows("select version_num from alembic_version") == [("aaa1",)]


def test_what_a_backup_takes_is_said_before_it_begins(bench: Workbench) -> None:
    first = filled(bench).run("backup", "create").stderr
    assert "its time is measured now" in first
    second = bench.run("backup", "create").stderr
    for told in ("needs up to", "are free", "expected"):
        assert told in second.splitlines()[0]


def test_a_database_that_was_empty_at_its_last_backup_is_not_foretold_by_it(pg_bench: Workbench) -> None:
    created(filled(pg_bench, rows=0))
    pg_bench.execute("insert into players (name, skill) select md5(n::text), n from generate_series(1, 150000) n")
    said = pg_bench.run("backup", "create").stderr.splitlines()[0]
    held, needed = re.search(r"database of ([\d.]+) MB; needs up to ([\d.]+) MB", said).groups()
    assert float(needed) >= float(held)
    assert "its time is measured now" in said


def test_a_backup_is_restored_into_a_new_database_and_equal(bench: Workbench) -> None:
    made = created(filled(bench))
    name = f"copy_{time.monotonic_ns()}"
    try:
        done = bench.run("backup", "restore", "latest", "--into", name)
        assert done.returncode == 0, done.stderr
        assert f"{made['id']} is restored into {name} and equal" in done.stdout
        assert "handrail status --rebind main" in done.stdout
    finally:
        if bench.url.startswith("postgresql"):
            bench.execute(f'drop database if exists "{name}"')


def test_what_an_archive_has_not_of_the_database_itself_is_told_after_a_restore(pg_bench: Workbench) -> None:
    filled(pg_bench)
    original, name = make_url(pg_bench.url).database, f"copy_{time.monotonic_ns()}"
    pg_bench.execute(f'alter database "{original}" set search_path = public, elsewhere')
    pg_bench.execute(f'revoke connect on database "{original}" from public')
    pg_bench.execute(f'grant create on database "{original}" to pg_monitor')
    created(pg_bench)
    try:
        done = pg_bench.run("backup", "restore", "latest", "--into", name, "--format", "json")
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["unlike"] == [
            "search_path of the database is not set as in the original",
            "CONNECT on the database is granted to PUBLIC, in the original it is not",
            "CREATE on the database is not granted to pg_monitor",
        ]
    finally:
        pg_bench.execute(f'drop database if exists "{name}"')


def test_a_restored_database_that_is_like_the_original_lacks_nothing(pg_bench: Workbench) -> None:
    created(filled(pg_bench))
    name = f"copy_{time.monotonic_ns()}"
    try:
        done = pg_bench.run("backup", "restore", "latest", "--into", name)
        assert "by hand" not in done.stdout
    finally:
        pg_bench.execute(f'drop database if exists "{name}"')


def test_a_backup_is_never_restored_over_its_own_database(bench: Workbench) -> None:
    created(filled(bench))
    bench.execute("update players set skill = -1 where id = 5")
    done = bench.run("backup", "restore", "latest", "--into", "env:HANDRAIL_TEST_URL")
    assert done.returncode == 2, done.stderr
    assert "never restored over the database it was made of" in done.stderr
    assert bench.rows("select skill from players where id = 5") == [(-1,)]


@pytest.mark.slow
def test_a_backup_is_never_restored_into_a_database_that_holds_something(
    pg_bench: Workbench, handrail_postgresql: Server
) -> None:
    created(filled(pg_bench))
    name = f"other_{time.monotonic_ns()}"
    handrail_postgresql.create_database(name)
    try:
        with connect(handrail_postgresql.url(name), autocommit=True) as conn:
            conn.execute("create schema somebodys")
        done = pg_bench.run("backup", "restore", "latest", "--into", name)
        assert done.returncode == 2
        assert "is not empty" in done.stderr
    finally:
        handrail_postgresql.drop_database(name)


def test_a_template_is_not_filled(pg_bench: Workbench) -> None:
    created(filled(pg_bench))
    done = pg_bench.run("backup", "restore", "latest", "--into", "template1")
    assert done.returncode == 2
    assert "the database template1 is a template; nothing was touched" in done.stderr


def test_a_sqlite_file_that_holds_something_is_not_overwritten(lite_bench: Workbench) -> None:
    created(filled(lite_bench))
    other = Path(make_url(lite_bench.url).database or "").with_name("other.db")
    assert lite_bench.run("backup", "restore", "latest", "--into", "other.db").returncode == 0
    before = other.read_bytes()
    done = lite_bench.run("backup", "restore", "latest", "--into", "other.db")
    assert done.returncode == 2
    assert "is not empty" in done.stderr
    assert other.read_bytes() == before


def test_retention_keeps_the_newest_the_newest_proved_and_the_way_back(lite_bench: Workbench) -> None:
    first = created(filled(lite_bench))
    back = created(lite_bench)
    assert lite_bench.run("apply", "--yes").returncode == 0
    proved, newest = created(lite_bench), created(lite_bench)
    unprove(lite_bench, newest["id"])
    shown = lite_bench.run("backup", "prune", "--keep", "1", "--dry-run").stdout
    assert f"delete  {first['id']}" in shown
    assert f"keep    {proved['id']}: the newest proved one" in shown
    assert f"keep    {back['id']}: made before the last run: the way back" in shown
    assert len(listed(lite_bench)) == 4
    refused = lite_bench.run("backup", "prune", "--keep", "1")
    assert refused.returncode == 2
    assert len(listed(lite_bench)) == 4
    assert lite_bench.run("backup", "prune", "--keep", "1", "--yes").returncode == 0
    assert [b["id"] for b in listed(lite_bench)] == [newest["id"], proved["id"], back["id"]]
    assert left_behind(lite_bench) == []


def test_a_run_that_came_to_nothing_does_not_cost_the_way_back(lite_bench: Workbench) -> None:
    back = created(filled(lite_bench))
    assert lite_bench.run("apply", "--yes").returncode == 0
    for _ in range(2):
        created(lite_bench)
    [(head,)] = lite_bench.rows("select version_num from alembic_version")
    lite_bench.revision("zzz9", head, 'op.execute("update nowhere set a = 1")')
    assert lite_bench.run("apply", "--yes").returncode == 1
    assert lite_bench.run("backup", "prune", "--keep", "1", "--yes").returncode == 0
    assert back["id"] in [b["id"] for b in listed(lite_bench)]


def test_what_a_killed_run_left_of_a_sqlite_sandbox_is_removed_by_the_next(
    lite_bench: Workbench, tmp_path: Path
) -> None:
    room = tmp_path / "room"
    left = room / f"{scratch.PREFIX}abc"
    left.mkdir(parents=True)
    (left / "alive").touch()
    (left / "sandbox-1.db").write_bytes(b"rows")
    filled(lite_bench)
    assert lite_bench.run("backup", "create", env={"TMPDIR": str(room)}).returncode == 0
    assert list(room.iterdir()) == []


def test_a_folder_that_takes_no_note_leaves_the_archive_as_it_was(lite_bench: Workbench) -> None:
    made = created(filled(lite_bench))
    manifest = folder(lite_bench) / f"{made['id']}.json"
    before = manifest.read_bytes()
    manifest.with_suffix(".json.part").mkdir()  # root may write where the rights say no
    done = lite_bench.run("backup", "verify", "latest")
    assert done.returncode == 9
    assert "is proved, and that could not be noted; its archive is as it was" in done.stderr
    assert manifest.read_bytes() == before


def test_what_a_source_holds_has_to_be_a_url(lite_bench: Workbench) -> None:
    created(filled(lite_bench))
    done = lite_bench.run("backup", "restore", "latest", "--into", "env:SECRET", env={"SECRET": "s3cr3t-word"})
    assert done.returncode == 2
    assert "what env:SECRET holds is no URL" in done.stderr
    assert "s3cr3t-word" not in done.stdout + done.stderr


def unprove(bench: Workbench, id_: str) -> None:
    manifest = folder(bench) / f"{id_}.json"
    told = json.loads(manifest.read_text())
    told["proof"]["verdict"] = "unknown"
    manifest.write_text(json.dumps(told))


def identity(place: Path) -> str:
    """Write a new identity of age into that file, and return whom to encrypt to."""
    import pyrage  # noqa: PLC0415 - an extra

    made = pyrage.x25519.Identity.generate()
    place.touch(mode=0o600)
    place.write_text(f"# public key: {made.to_public()}\n{made}\n")
    return str(made.to_public())


def test_an_encrypted_backup_is_proved_first_and_holds_nothing_in_the_clear(bench: Workbench) -> None:
    key = bench.root / "key.txt"
    recipient = identity(key)
    bench.settings(f'backup = {{ encrypt_to = "{recipient}", compress = 0 }}')
    made = created(filled(bench))
    assert made["proof"]["verdict"] == "pass"
    assert made["recipients"] == [recipient]
    assert made["sha256"] != made["plain_sha256"]
    for file in folder(bench).iterdir():
        assert b"player " not in file.read_bytes(), file
    without = bench.run("backup", "verify")
    assert without.returncode == 9
    assert "--identity FILE" in without.stderr
    assert bench.run("backup", "verify", "--identity", str(key)).returncode == 0
    assert left_behind(bench) == []
    other = bench.root / "other.txt"
    identity(other)
    assert bench.run("backup", "verify", "--identity", str(other)).returncode == 9


def test_an_identity_that_others_may_read_is_not_used(lite_bench: Workbench) -> None:
    key = lite_bench.root / "key.txt"
    lite_bench.settings(f'backup = {{ encrypt_to = "{identity(key)}" }}')
    created(filled(lite_bench))
    key.chmod(0o644)
    done = lite_bench.run("backup", "verify", "--identity", str(key))
    assert done.returncode == 2
    assert f"chmod 600 {key}" in done.stderr
    assert left_behind(lite_bench) == []


@pytest.mark.parametrize("change", ["cut", "flipped"])
def test_an_encrypted_backup_that_was_changed_is_refused(lite_bench: Workbench, change: str) -> None:
    key = lite_bench.root / "key.txt"
    lite_bench.settings(f'backup = {{ encrypt_to = "{identity(key)}" }}')
    made = created(filled(lite_bench))
    archive = folder(lite_bench) / made["archive"]
    content = archive.read_bytes()
    archive.write_bytes(
        content[:-500] if change == "cut" else content[:-500] + bytes([content[-500] ^ 1]) + content[-499:]
    )
    assert lite_bench.run("backup", "verify", "--identity", str(key)).returncode == 9
    assert left_behind(lite_bench) == []


def test_a_recipient_that_cannot_be_is_refused_before_anything_is_made(lite_bench: Workbench) -> None:
    lite_bench.settings('backup = { encrypt_to = "age1nobody" }')
    done = filled(lite_bench).run("backup", "create")
    assert done.returncode == 2
    assert "age1nobody" in done.stderr
    assert not folder(lite_bench).exists()


COMMANDED = 'backup = { command = "sh make.sh", proof = "sh prove.sh", max_age = "1h" }'


def commanded(bench: Workbench, make: str, prove: str) -> Workbench:
    filled(bench)
    bench.settings(COMMANDED)
    (bench.root / "make.sh").write_text(make)
    (bench.root / "prove.sh").write_text(prove)
    return bench


def test_a_backup_by_command_is_proved_by_restoring_once_within_max_age(lite_bench: Workbench) -> None:
    commanded(lite_bench, "echo snapshot-$HANDRAIL_HEADS", 'echo "$HANDRAIL_BACKUP" >> proofs')
    made = created(lite_bench)
    assert made["archive"] == "snapshot-aaa1"
    assert made["method"] == "command"
    assert created(lite_bench)["proof"]["verdict"] == "pass"
    assert (lite_bench.root / "proofs").read_text() == "snapshot-aaa1\n"
    assert lite_bench.run("backup", "verify").returncode == 0
    assert (lite_bench.root / "proofs").read_text() == "snapshot-aaa1\n" * 2


@pytest.mark.parametrize(
    ("make", "prove", "told"),
    [
        ("echo no room >&2; exit 3", "exit 0", "backup.command ended with status 3: no room"),
        ("echo x", "echo gone >&2; exit 1", "backup.proof ended with status 1: gone"),
    ],
)
def test_a_command_that_fails_is_told_in_its_own_words(lite_bench: Workbench, make: str, prove: str, told: str) -> None:
    done = commanded(lite_bench, make, prove).run("backup", "create")
    assert done.returncode == 9
    assert told in done.stderr


def test_a_command_without_its_proof_is_refused(lite_bench: Workbench) -> None:
    filled(lite_bench)
    lite_bench.settings('backup = { command = "true" }')
    done = lite_bench.run("backup", "create")
    assert done.returncode == 2
    assert "command and proof belong together" in done.stderr


@pytest.mark.parametrize("wrong", ["keep = 0", "jobs = 0", "compress = 10", "keeps = 3"])
def test_settings_that_cannot_be_are_refused(lite_bench: Workbench, wrong: str) -> None:
    filled(lite_bench)
    lite_bench.settings(f"backup = {{ {wrong} }}")
    assert lite_bench.run("backup", "list").returncode == 2

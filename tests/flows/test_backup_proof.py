"""What proves a backup: it is restored and compared, so that whatever is wrong with it is found."""

from __future__ import annotations

import json
import secrets
import sqlite3
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from archives import created, dumped_until, edited, filled, folder, killed_after, listed
from every_kind import EVERY_KIND
from load import connect, until
from workbench import Workbench

from handrail.engines.postgresql.servers.server import Server

NOT_COMPRESSED = "backup = { compress = 0 }"


@pytest.fixture(autouse=True)
def sandbox(monkeypatch: pytest.MonkeyPatch, handrail_postgresql: Server) -> None:
    """Restore on the server of the tests: starting one takes seconds."""
    monkeypatch.setenv("HANDRAIL_SANDBOX_URL", handrail_postgresql.url())


def verified(bench: Workbench) -> subprocess.CompletedProcess[str]:
    return bench.run("backup", "verify")


def refused(bench: Workbench) -> str:
    """What `verify` says of a backup that it must not accept; the list says it from then on too."""
    done = verified(bench)
    assert done.returncode == 9, done.stdout + done.stderr
    assert listed(bench)[0]["proof"]["verdict"] == "fail"
    return done.stderr


def test_a_backup_is_made_listed_and_proved(bench: Workbench) -> None:
    made = created(filled(bench))
    assert made["proof"]["verdict"] == "pass"
    assert made["rows"]["players"] == 2000
    assert made["heads"] == ["aaa1"]
    assert [b["id"] for b in listed(bench)] == [made["id"]]
    assert verified(bench).returncode == 0


def test_nobody_else_may_read_a_backup(bench: Workbench) -> None:
    made = created(filled(bench))
    for name in (made["archive"], f"{made['id']}.json"):
        assert (folder(bench) / name).stat().st_mode & 0o777 == 0o600
    assert folder(bench).stat().st_mode & 0o777 == 0o700


def _flip(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 0x10]) + content[middle + 1 :]


def test_an_archive_that_was_changed_after_it_was_made_is_refused_before_it_is_restored(bench: Workbench) -> None:
    made = created(filled(bench))
    archive = folder(bench) / made["archive"]
    archive.write_bytes(_flip(archive.read_bytes()))
    assert "its sha256 differs" in refused(bench)


def _cut(content: bytes) -> bytes:
    return content[: len(content) * 7 // 10]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("settings", "damage"),
    [("", _cut), ("", _flip), (NOT_COMPRESSED, _cut)],
    ids=["truncated", "one bit flipped", "truncated and not compressed"],
)
def test_a_damaged_archive_whose_sha256_fits_is_refused(
    pg_bench: Workbench, settings: str, damage: Callable[[bytes], bytes]
) -> None:
    pg_bench.settings(settings)
    edited(filled(pg_bench), created(pg_bench), damage)
    assert "it cannot be restored" in refused(pg_bench)


@pytest.mark.slow
def test_one_flipped_bit_that_no_checksum_covers_is_found_by_its_value(pg_bench: Workbench) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    made = created(filled(pg_bench))
    edited(pg_bench, made, lambda content: content.replace(b"player c4ca", b"player b4ca"))
    told = refused(pg_bench)
    assert "players.name where id=1" in told
    assert "player b4ca4238a0b923820dcc509a6f75849b" in told


def test_a_dump_with_one_value_edited_is_refused_naming_table_key_and_column(pg_bench: Workbench) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    made = created(filled(pg_bench))
    line = b"1999\tplayer %s\t1999" % _name_of(pg_bench, 1999)
    edited(pg_bench, made, lambda content: content.replace(line, line[:-4] + b"9991"))
    assert "players.skill where id=1999" in refused(pg_bench)


def test_a_row_with_another_key_is_told_once(pg_bench: Workbench) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    filled(pg_bench).execute("create table wide (id int primary key, a int, b int, c int)")
    pg_bench.execute("insert into wide values (11, 1, 2, 3), (12, 4, 5, 6)")
    made = created(pg_bench)
    edited(pg_bench, made, lambda content: content.replace(b"11\t1\t2\t3", b"17\t1\t2\t3"))
    told = refused(pg_bench).partition("why: ")[2].partition("\n")[0].split("; ")
    assert len(told) == len(set(told))


def test_a_dump_in_which_a_grant_is_another_one_is_refused_naming_role_and_table(pg_bench: Workbench) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    filled(pg_bench)
    pg_bench.execute("grant select on players to public")
    made = created(pg_bench)
    edited(pg_bench, made, lambda content: content.replace(b"GRANT SELECT ON TABLE", b"GRANT DELETE ON TABLE"))
    told = refused(pg_bench)
    assert "PUBLIC has lost SELECT on table players" in told
    assert "everybody has gained DELETE on table players" in told


def _name_of(bench: Workbench, number: int) -> bytes:
    name: str = bench.rows(f"select name from players where id = {number}")[0][0]
    return name.removeprefix("player ").encode()


def test_a_sqlite_archive_with_one_value_edited_is_refused_naming_table_key_and_column(lite_bench: Workbench) -> None:
    made = created(filled(lite_bench))
    name = _name_of(lite_bench, 700)
    edited(lite_bench, made, lambda content: content.replace(name, name[:-1] + (b"0" if name[-1:] != b"0" else b"1")))
    assert "players.name where id=700" in refused(lite_bench)


def test_a_sqlite_archive_with_another_schema_is_refused_naming_what_is_another_one(lite_bench: Workbench) -> None:
    filled(lite_bench)
    lite_bench.execute("create index by_skill on players (skill)")
    made = created(lite_bench)
    archive = folder(lite_bench) / made["archive"]
    with closing(sqlite3.connect(archive)) as conn:
        conn.execute("drop index by_skill")
        conn.execute("create view seniors as select 1")
        conn.commit()
    edited(lite_bench, made, lambda content: content)
    said = refused(lite_bench)
    assert "index players.by_skill is missing" in said
    assert "view seniors was not there" in said


def test_a_sqlite_archive_that_was_cut_is_refused(lite_bench: Workbench) -> None:
    edited(filled(lite_bench), created(lite_bench), lambda content: content[: len(content) // 8192 * 4096])
    assert "it cannot be restored" in refused(lite_bench)


@pytest.mark.slow
@pytest.mark.parametrize("kept", [0.4, 0.9])
def test_what_a_dump_leaves_behind_on_a_full_disk_is_refused(pg_bench: Workbench, kept: float) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    made = created(filled(pg_bench))
    rest = dumped_until(pg_bench, int(made["bytes"] * kept))
    edited(pg_bench, made, lambda _whole: rest)
    assert "it cannot be restored" in refused(pg_bench)


@pytest.mark.slow
def test_what_a_killed_dump_leaves_behind_is_refused(pg_bench: Workbench) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    made = created(filled(pg_bench, 20_000))
    rest = killed_after(pg_bench, made["bytes"] // 2)
    edited(pg_bench, made, lambda _whole: rest)
    assert "it cannot be restored" in refused(pg_bench)


@contextmanager
def writing(url: str) -> Iterator[list[int]]:
    """Somebody who updates and inserts all the time; the list counts."""
    stop, done = threading.Event(), [0]

    def write() -> None:
        with connect(url, autocommit=True) as conn:
            while not stop.is_set():
                conn.execute("update players set skill = skill + 1 where id = %s", (1 + done[0] * 37 % 2000,))
                conn.execute("insert into players (name, skill) values ('new', 0)")
                done[0] += 2

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield done
    finally:
        stop.set()
        thread.join()


def test_a_backup_taken_while_others_write_is_proved_to_be_its_snapshot(pg_bench: Workbench) -> None:
    filled(pg_bench, 20_000)
    with writing(pg_bench.url) as done:
        before = done[0]
        made = created(pg_bench)
        meanwhile = done[0] - before
    assert meanwhile > 100
    assert made["proof"]["verdict"] == "pass"
    assert 20_000 <= made["rows"]["players"] < pg_bench.rows("select count(*) from players")[0][0]


def test_a_sqlite_backup_taken_while_others_write_is_proved_to_be_its_snapshot(lite_bench: Workbench) -> None:
    filled(lite_bench, 20_000).execute("pragma journal_mode = wal")
    stop = threading.Event()
    written = [0]

    def write() -> None:
        with lite_bench.database() as conn:  # open all the time, as an application's
            while not stop.is_set():
                conn.exec_driver_sql("insert into players (name, skill) values ('new', 0)")
                written[0] += 1

    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: written[0] > 0, "somebody writes")
    try:
        made = created(lite_bench)
    finally:
        stop.set()
        writer.join()
    assert written[0] > 0
    assert made["proof"]["verdict"] == "pass"
    assert verified(lite_bench).returncode == 0


@pytest.mark.slow
def test_where_no_sandbox_fits_the_backup_is_not_proved_and_the_way_out_is_named(
    pg_bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    filled(pg_bench)
    monkeypatch.setenv("HANDRAIL_SANDBOX_URL", "postgresql://postgres@127.0.0.1:1/postgres")
    done = pg_bench.run("backup", "create")
    assert done.returncode == 9
    assert "could not be proved" in done.stderr
    assert "HANDRAIL_SANDBOX_URL" in done.stderr
    assert [b["proof"]["verdict"] for b in listed(pg_bench)] == ["unknown"]
    monkeypatch.undo()


def test_an_archive_is_not_blamed_for_a_sandbox_without_room(lite_bench: Workbench, tmp_path: Path) -> None:
    made = created(filled(lite_bench, 40_000))
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", small], check=False).returncode != 0:
        pytest.skip("needs root")
    try:
        done = lite_bench.run("backup", "verify", env={"TMPDIR": str(small)})
    finally:
        subprocess.run(["umount", small], check=True)
    assert done.returncode == 9
    assert f"backup {made['id']} could not be proved" in done.stderr
    assert "name a folder with more room by TMPDIR" in done.stderr
    assert f"remove the reason, then: handrail backup verify {made['id']} -e main" in done.stderr
    assert listed(lite_bench)[0]["proof"]["verdict"] == "unknown"
    assert verified(lite_bench).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize(
    "garbage",
    [b"", b"{", b"\xff\xfe", b"[]", b'{"schema": 1}', b'{"schema": 99}'],
    ids=["empty", "cut", "not text", "a list", "no keys", "a newer schema"],
)
def test_a_manifest_that_cannot_be_read_is_listed_as_such_and_never_used(lite_bench: Workbench, garbage: bytes) -> None:
    made = created(filled(lite_bench))
    (folder(lite_bench) / f"{made['id']}.json").write_bytes(garbage)
    document = lite_bench.json("backup", "list")
    assert document["backups"] == []
    assert [Path(d["path"]).stem for d in document["damaged"]] == [made["id"]]
    done = lite_bench.run("backup", "verify", made["id"])
    assert done.returncode == 9
    assert "cannot be read" in done.stderr
    assert "Traceback" not in done.stderr
    newest = lite_bench.run("backup", "verify", "latest")
    assert newest.returncode == 9
    assert f"backup {made['id']} cannot be used" in newest.stderr
    assert "none" not in newest.stderr


@pytest.mark.parametrize("lost", ["manifest", "archive"])
def test_an_older_backup_never_stands_in_for_the_latest(lite_bench: Workbench, lost: str) -> None:
    older = created(filled(lite_bench))
    newest = created(lite_bench)
    if lost == "manifest":
        (folder(lite_bench) / f"{newest['id']}.json").write_bytes(b"{")
    else:
        (folder(lite_bench) / newest["archive"]).unlink()
    for command in (("verify", "latest"), ("restore", "latest", "--into", "other.db")):
        done = lite_bench.run("backup", *command)
        assert done.returncode == 9, done.stdout
        assert f"backup {newest['id']} cannot be used" in done.stderr
        assert f"name an older one: {older['id']}" in done.stderr
    assert lite_bench.run("backup", "verify", older["id"]).returncode == 0


def test_an_older_manifest_is_not_held_against_a_copy_for_what_it_did_not_look_at(pg_bench: Workbench) -> None:
    filled(pg_bench).execute("comment on schema public is 'ours'")
    made = created(pg_bench)
    manifest = folder(pg_bench) / f"{made['id']}.json"
    told = json.loads(manifest.read_text())
    image = told["image"]
    del image["kinds"]
    image["grants"] = [grant for grant in image["grants"] if not grant["on"].startswith("language ")]
    image["particulars"] = [one for one in image["particulars"] if not one["of"].startswith("comment on schema ")]
    manifest.write_text(json.dumps(told))
    assert verified(pg_bench).returncode == 0


def test_a_manifest_cannot_name_a_file_elsewhere(lite_bench: Workbench) -> None:
    made = created(filled(lite_bench))
    manifest = folder(lite_bench) / f"{made['id']}.json"
    elsewhere = lite_bench.root / "pyproject.toml"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"archive": "../pyproject.toml"}))
    assert lite_bench.json("backup", "list")["backups"] == []
    lite_bench.run("backup", "prune", "--keep", "1", "--yes")
    assert elsewhere.exists()


#: Two large objects, of which one has a hole, and what no table, view or function shows.
_BESIDE = (
    "select lo_from_bytea(4711, 'hello'), lo_put(4711, 5000, 'world'), lo_from_bytea(4712, 'another')",
    "create publication news for table players",
    "create table numbers (id int primary key, amount numeric)",
    "insert into numbers values (1, 1.50)",
)


@pytest.mark.parametrize(
    ("was", "lie", "told"),
    [
        (b"hello", b"hellp", "large object 4711: 5005 bytes, sha256 "),
        (b"PUBLICATION news", b"PUBLICATION olds", "publication news is missing"),
        (b"'insert, update, delete, ", b"'insert, update, update, ", 'publication news: {"pubdelete": false'),
        (b"1\t1.50\n", b"1\t01.5\n", "numbers.amount where id=1 differs: it is 1.5 now"),
    ],
    ids=["a large object", "a publication", "what a publication tells", "digits that a number does not need"],
)
def test_what_no_schema_and_no_equality_shows_is_proved_too(
    pg_bench: Workbench, was: bytes, lie: bytes, told: str
) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    filled(pg_bench).execute(*_BESIDE)
    made = created(pg_bench)
    edited(pg_bench, made, lambda content: content.replace(was, lie))
    assert told in refused(pg_bench)


def test_a_dump_with_another_schema_is_refused_naming_what_is_another_one(pg_bench: Workbench) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    filled(pg_bench).execute("create function f() returns int language sql as 'select 10 + 1'")
    made = created(pg_bench)
    edited(pg_bench, made, lambda content: content.replace(b"select 10 + 1", b"select 10 + 2"))
    assert "the schema is another one than the database had: function f() is another one" in refused(pg_bench)


@pytest.fixture
def owner(pg_bench: Workbench) -> Iterator[str]:
    """A role that owns the players."""
    name = f"owner_{secrets.token_hex(4)}"
    filled(pg_bench).execute(f"create role {name}", f"alter table players owner to {name}")
    yield name
    pg_bench.execute(f"drop owned by {name}", f"drop role {name}")


def test_a_dump_that_gives_a_table_to_somebody_else_is_refused(pg_bench: Workbench, owner: str) -> None:
    pg_bench.settings(NOT_COMPRESSED)
    made = created(pg_bench)
    edited(pg_bench, made, lambda content: content.replace(owner.encode(), owner[::-1].encode()))
    assert f"the archive does not give table players to its owner {owner}" in refused(pg_bench)


def test_a_database_that_holds_one_thing_of_each_kind_is_proved(pg_bench: Workbench) -> None:
    pg_bench.execute(*EVERY_KIND)
    assert created(pg_bench)["proof"]["verdict"] == "pass"


def test_what_is_not_compared_is_told(pg_bench: Workbench) -> None:
    made = created(filled(pg_bench))
    assert "not compared: schema handrail, Handrail's own log and lease" in made["proof"]["details"]


def test_a_subscription_is_left_out_of_copies_and_told(pg_bench: Workbench) -> None:
    filled(pg_bench)
    pg_bench.execute("create subscription news connection 'host=nowhere' publication news with (connect = false)")
    try:
        made = created(pg_bench)
    finally:
        pg_bench.execute("alter subscription news set (slot_name = none)", "drop subscription news")
    assert made["proof"]["verdict"] == "pass"
    assert any(told.startswith("not compared: subscription news, ") for told in made["proof"]["details"])

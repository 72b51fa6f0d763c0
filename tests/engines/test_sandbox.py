from __future__ import annotations

import os
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa

import handrail
from handrail.engines.base import Purpose
from handrail.engines.postgresql.servers.binaries import Binaries, find, find_any, stage
from handrail.engines.postgresql.servers.sandbox import VARIABLE, open_for_tests, open_sandbox
from handrail.engines.postgresql.servers.server import Server, join_or_start, start
from handrail.errors import SandboxUnavailable
from handrail.host import scratch
from handrail.host.kept_folder import kept_folder
from handrail.host.process import Account, can_reach, server_account

NOBODY = 65534
NO_NAME = 54321
DEADLINE_S = 30.0

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
needs_linux = pytest.mark.skipif(sys.platform != "linux", reason="needs Linux")

SOURCES = Path(handrail.__file__).parent.parent
PACKAGES = Path(sysconfig.get_path("purelib"))

PRELUDE = """
import os, signal, sys, threading
from contextlib import ExitStack
from pathlib import Path
from handrail.engines.postgresql.servers.binaries import find
from handrail.engines.postgresql.servers.sandbox import open_for_tests
from handrail.engines.postgresql.servers.server import join_or_start, start
import psycopg

def ask(server, statement):
    with psycopg.connect(server.url().replace("+psycopg", "")) as conn:
        return conn.execute(statement).fetchone()[0]

def report(server):
    pid = Path(ask(server, "SHOW data_directory"), "postmaster.pid").read_text().splitlines()[0]
    print(pid, ask(server, "SHOW unix_socket_directories"), flush=True)
    sys.stdin.read()

stack = ExitStack()
"""
SERVE = f"{PRELUDE}\nwith open_for_tests() as server: report(server)"
SERVE_FROM_A_THREAD = f"""{PRELUDE}
servers = []
thread = threading.Thread(target=lambda: servers.append(stack.enter_context(open_for_tests())))
thread.start()
thread.join()
report(servers[0])
stack.close()
"""
JOIN = f"{PRELUDE}\nwith join_or_start(find(18), Path(sys.argv[1])) as server: report(server)"


@pytest.fixture(scope="module")
def binaries() -> Binaries:
    return find_any()


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder the server's account can pass through; pytest's own are closed to everybody else."""
    with tempfile.TemporaryDirectory(dir=scratch.usable_root(server_account()), prefix="open-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture(autouse=True)
def no_given_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)


def wait_until(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, f"waited {DEADLINE_S} s for: {what}"
        time.sleep(0.02)


def processes() -> dict[int, tuple[int, str]]:
    """Parent and command line of every process that is not a zombie."""
    listing = subprocess.run(
        ["ps", "-ww", "-eo", "pid,ppid,stat,args"], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split(maxsplit=3) for line in listing.splitlines()[1:]]
    return {int(row[0]): (int(row[1]), row[3]) for row in rows if not row[2].startswith("Z")}


def living_in(folder: Path) -> list[str]:
    return [command for _, command in processes().values() if folder.name in command]


def ask(server: Server, statement: str) -> object:
    with psycopg.connect(server.url().replace("+psycopg", "")) as conn:
        row = conn.execute(statement).fetchone()
    assert row is not None
    return row[0]


def folder_of(server: Server) -> Path:
    assert server.log_path is not None
    return server.log_path.parent


class Child:
    """A Python process that serves until its standard input ends."""

    def __init__(self, code: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", code, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        pid, _, sockets = self.process.stdout.readline().strip().partition(" ")
        self.postmaster = int(pid)
        self.folder = Path(sockets).parent

    def finish(self) -> None:
        self.process.communicate(timeout=DEADLINE_S)

    def kill(self, signum: signal.Signals = signal.SIGKILL) -> None:
        self.process.send_signal(signum)
        self.finish()


def test_a_test_database_is_empty_and_of_the_servers_major(postgresql_url: str, handrail_postgresql: Server) -> None:
    with sa.create_engine(postgresql_url, poolclass=sa.NullPool).connect() as conn:
        assert conn.scalar(sa.text("SHOW server_version_num"))[:2] == str(handrail_postgresql.major)
        assert sa.inspect(conn).get_table_names() == []


def test_each_engines_database_answers(database_url: str) -> None:
    with sa.create_engine(database_url, poolclass=sa.NullPool).connect() as conn:
        assert conn.scalar(sa.text("SELECT 1")) == 1


def test_url_needs_no_quoting_in_an_ini_file(handrail_postgresql: Server) -> None:
    if handrail_postgresql.log_path is None:
        pytest.skip("needs a server of our own")
    assert handrail_postgresql.url("app").startswith("postgresql+psycopg://postgres@/app?host=/")
    assert "%" not in handrail_postgresql.url("app")


def test_databases_are_created_and_dropped_while_in_use(handrail_postgresql: Server) -> None:
    handrail_postgresql.create_database('odd "name"; --')
    url = handrail_postgresql.url('odd "name"; --')
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    with engine.connect() as conn:
        assert conn.scalar(sa.text("SELECT current_database()")) == 'odd "name"; --'
        handrail_postgresql.drop_database('odd "name"; --')
        with pytest.raises(sa.exc.OperationalError):
            conn.scalar(sa.text("SELECT 1"))
    handrail_postgresql.drop_database('odd "name"; --')


def test_statements_can_be_logged(binaries: Binaries) -> None:
    with start(binaries, settings={"log_statement": "all"}) as server:
        ask(server, "SELECT 'seen in the log'")
        assert server.log_path is not None
        assert "seen in the log" in server.log_path.read_text()


def test_nothing_is_left_after_the_end(binaries: Binaries) -> None:
    with start(binaries) as server:
        folder = folder_of(server)
        assert len(living_in(folder)) > 5
    assert not folder.exists()
    assert living_in(folder) == []


def test_two_servers_at_once_are_two_clusters(binaries: Binaries) -> None:
    with start(binaries) as one, start(binaries) as two:
        system_id = "SELECT system_identifier FROM pg_control_system()"
        assert ask(one, system_id) != ask(two, system_id)


def test_servers_started_by_threads_at_the_same_moment_all_come_up(binaries: Binaries) -> None:
    answers = []

    def serve() -> None:
        with start(binaries) as server:
            answers.append(ask(server, "SELECT 1"))

    threads = [threading.Thread(target=serve) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [1, 1, 1]


def test_a_server_outlives_the_thread_that_started_it(binaries: Binaries) -> None:
    with ExitStack() as stack:
        servers: list[Server] = []
        thread = threading.Thread(target=lambda: servers.append(stack.enter_context(start(binaries))))
        thread.start()
        thread.join()
        assert ask(servers[0], "SELECT 1") == 1


def test_a_forked_copy_of_us_does_not_end_the_server(binaries: Binaries) -> None:
    with ExitStack() as stack:
        server = stack.enter_context(start(binaries))
        pid = os.fork()
        if pid == 0:
            stack.close()
            os._exit(0)
        os.waitpid(pid, 0)
        assert ask(server, "SELECT 1") == 1


@pytest.mark.parametrize(
    ("code", "signum"),
    [
        pytest.param(SERVE, signal.SIGKILL, id="SIGKILL"),
        pytest.param(SERVE, signal.SIGTERM, id="SIGTERM"),
        pytest.param(SERVE, signal.SIGINT, id="SIGINT"),
        pytest.param(SERVE_FROM_A_THREAD, signal.SIGKILL, id="SIGKILL, started by a thread"),
    ],
)
def test_server_and_folder_go_when_the_process_is_ended_by(code: str, signum: signal.Signals) -> None:
    child = Child(code)
    child.kill(signum)
    wait_until(lambda: living_in(child.folder) == [], "no server process")
    wait_until(lambda: not child.folder.exists(), "no folder")


@needs_linux
def test_server_dies_even_when_its_guardian_is_killed_too_and_the_next_start_sweeps(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder for temporary files of our own, where no test beside this one sweeps.
    monkeypatch.setenv("TMPDIR", str(open_folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    child = Child(SERVE)
    guardian, _ = processes()[child.postmaster]
    os.kill(guardian, signal.SIGKILL)
    child.kill()
    wait_until(lambda: living_in(child.folder) == [], "no server process")
    assert child.folder.exists()
    with open_for_tests():
        assert not child.folder.exists()


def test_the_sweep_leaves_what_somebody_lives_in(binaries: Binaries) -> None:
    with start(binaries) as server:
        scratch.sweep(folder_of(server).parent)
        assert ask(server, "SELECT 1") == 1


def test_the_sweep_takes_the_abandoned_and_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "alive").touch()
    (tmp_path / f"{scratch.PREFIX}link").symlink_to(tmp_path / "precious")
    (tmp_path / f"{scratch.PREFIX}abandoned").mkdir()
    (tmp_path / f"{scratch.PREFIX}abandoned" / "alive").touch()
    (tmp_path / f"{scratch.PREFIX}not-made-by-us").mkdir()
    (tmp_path / f"{scratch.PREFIX}not-made-by-us" / "file").touch()
    scratch.sweep(tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {
        "precious",
        f"{scratch.PREFIX}link",
        f"{scratch.PREFIX}not-made-by-us",
    }
    assert (tmp_path / "precious" / "alive").exists()


@needs_root
def test_the_sweep_leaves_what_others_own(tmp_path: Path) -> None:
    theirs = tmp_path / f"{scratch.PREFIX}theirs"
    theirs.mkdir()
    (theirs / "alive").touch()
    os.chown(theirs, NOBODY, NOBODY)
    scratch.sweep(tmp_path)
    assert (theirs / "alive").exists()


@needs_root
def test_as_root_the_server_runs_unprivileged_and_changes_no_user_and_no_permission(binaries: Binaries) -> None:
    outside = [binaries.folder, *binaries.folder.parents, *scratch.usable_root(server_account()).parents, PACKAGES]

    def permissions() -> list[tuple[int, int, int]]:
        return [(status.st_mode, status.st_uid, status.st_gid) for status in map(Path.stat, outside)]

    users, before = Path("/etc/passwd").read_bytes(), permissions()
    with start(binaries) as server:
        owners = {path.stat().st_uid for path in (folder_of(server) / "data").iterdir()}
        assert owners == {server_account().uid}  # type: ignore[union-attr] # root always has an account here
    assert Path("/etc/passwd").read_bytes() == users
    assert permissions() == before


@needs_root
def test_programs_below_a_closed_folder_are_staged_and_the_folder_stays_closed(
    binaries: Binaries, tmp_path: Path
) -> None:
    closed = tmp_path / "root"
    closed.mkdir(mode=0o700)
    hidden = stage(binaries, closed)
    with start(hidden) as server:
        assert ask(server, "SELECT 1") == 1
        assert any(command.startswith(str(folder_of(server))) for command in living_in(folder_of(server)))
    assert closed.stat().st_mode & 0o777 == 0o700


def python_for_everybody() -> Path:
    """An interpreter of our version that any user may run, with our packages readable by them."""
    nobody = Account(name="nobody", uid=NOBODY, gid=NOBODY)
    version = f"python3.{sys.version_info.minor}"
    for candidate in (Path(sys.executable), Path("/usr/bin", version), Path("/usr/local/bin", version)):
        if candidate.exists() and all(can_reach(path, nobody) for path in (candidate, SOURCES, PACKAGES)):
            return candidate
    pytest.skip("needs an interpreter and packages that every user may read")


def run_as(uid: int, code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [python_for_everybody(), "-B", "-c", code],
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": f"{SOURCES}:{PACKAGES}"},
        cwd="/",
        user=uid,
        group=uid,
        extra_groups=[],
        timeout=60,
    )


@needs_root
def test_starts_as_nobody() -> None:
    done = run_as(NOBODY, SERVE)
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.split()[1]).parent.exists()


@needs_root
def test_a_user_without_a_name_is_told_so() -> None:
    done = run_as(NO_NAME, SERVE)
    assert "SandboxUnavailable: no PostgreSQL server can be started by this user" in done.stderr
    assert str(NO_NAME) in done.stderr


def test_a_tmpdir_too_long_for_a_socket_is_not_used(
    binaries: Binaries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(deep))
    with start(binaries) as server:
        assert ask(server, "SELECT 1") == 1
        assert deep not in folder_of(server).parents


def test_a_setting_the_server_refuses_is_named_and_nothing_is_left(binaries: Binaries) -> None:
    with pytest.raises(SandboxUnavailable) as caught, start(binaries, settings={"no_such_setting": "1"}):
        pass
    assert 'unrecognized configuration parameter "no_such_setting"' in caught.value.why


def test_listens_on_loopback_with_a_password_when_asked(binaries: Binaries) -> None:
    with start(binaries, listen=True) as server:
        url = sa.make_url(server.url())
        assert url.host == "127.0.0.1"
        for driver in ("postgresql+psycopg", "postgresql+psycopg2"):
            with sa.create_engine(url.set(drivername=driver), poolclass=sa.NullPool).connect() as conn:
                assert conn.scalar(sa.text("SELECT 1")) == 1
        with (
            pytest.raises(psycopg.OperationalError),
            psycopg.connect(f"host=127.0.0.1 port={url.port} user=postgres password=guess"),
        ):
            pass


def test_kept_databases_are_there_at_the_next_start(binaries: Binaries, open_folder: Path) -> None:
    home = open_folder / "kept"
    with start(binaries, data=home) as server:
        server.create_database("app")
        with pytest.raises(SandboxUnavailable, match="running in"), start(binaries, data=home):
            pass
    with start(binaries, data=home) as server:
        assert ask(server, "SELECT count(*) FROM pg_database WHERE datname = 'app'") == 1


def test_databases_of_another_major_are_not_served(binaries: Binaries, open_folder: Path) -> None:
    (open_folder / "data").mkdir()
    (open_folder / "data" / "PG_VERSION").write_text("13\n")
    with pytest.raises(SandboxUnavailable, match="PostgreSQL 13 made them"), start(binaries, data=open_folder):
        pass


def test_a_shared_server_ends_with_its_last_user(binaries: Binaries, open_folder: Path) -> None:
    first, second = Child(JOIN, str(open_folder)), Child(JOIN, str(open_folder))
    assert first.postmaster == second.postmaster
    first.finish()
    with join_or_start(binaries, open_folder) as server:
        second.kill()
        assert ask(server, "SELECT 1") == 1
        assert first.postmaster in processes()
    wait_until(lambda: first.postmaster not in processes(), "no server process")
    with join_or_start(binaries, open_folder) as server:
        assert ask(server, "SELECT 1") == 1


def test_of_several_that_come_at_once_one_starts_the_server(open_folder: Path) -> None:
    children: list[Child] = []
    threads = [threading.Thread(target=lambda: children.append(Child(JOIN, str(open_folder)))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({child.postmaster for child in children}) == 1
    for child in children:
        child.finish()


@needs_root
def test_a_folder_the_account_cannot_reach_gets_a_stand_in_that_goes_with_it(tmp_path: Path) -> None:
    wanted, other = tmp_path / "wanted", tmp_path / "other"
    stand_in = kept_folder(wanted, server_account())
    assert stand_in != wanted
    assert stand_in == kept_folder(wanted, server_account())
    wanted.rmdir()
    other_stand_in = kept_folder(other, server_account())
    assert not stand_in.exists()
    os.chown(other_stand_in, NOBODY, NOBODY)
    with pytest.raises(PermissionError, match="belongs to somebody else"):
        kept_folder(other, server_account())
    (other_stand_in / "stands-for").unlink()
    other_stand_in.rmdir()


def test_a_major_that_is_not_here_is_refused_with_the_ways_out() -> None:
    with pytest.raises(SandboxUnavailable) as caught:
        find(13)
    assert "no PostgreSQL 13 server" in caught.value.what
    assert "the machine has only PostgreSQL" in caught.value.why
    assert "install the PostgreSQL 13 server" in caught.value.fix
    assert VARIABLE in caught.value.fix


def test_a_given_server_of_the_wanted_major_is_used_as_it_is(
    handrail_postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, handrail_postgresql.url())
    with open_sandbox(handrail_postgresql.major) as sandbox, sandbox.database() as engine:
        assert engine.url.set(database="") == sa.make_url(handrail_postgresql.url()).set(database="")
        with engine.connect(Purpose.STATE) as conn:
            assert (
                conn.scalar(sa.text("SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace")) == 0
            )
        name = engine.url.database
    assert ask(handrail_postgresql, f"SELECT count(*) FROM pg_database WHERE datname = '{name}'") == 0


def test_a_given_server_of_another_major_is_named_in_the_refusal(
    handrail_postgresql: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, handrail_postgresql.url())
    with pytest.raises(SandboxUnavailable) as caught, open_sandbox(13):
        pass
    assert f"{VARIABLE} is PostgreSQL {handrail_postgresql.major}" in caught.value.why


@pytest.mark.parametrize(
    "url", ["postgresql://postgres:c4nary-pw@127.0.0.1:1/x", "sqlite:///:memory:", "not a url"], ids=lambda url: url[:9]
)
def test_a_given_server_that_cannot_be_used_is_refused_without_its_password(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, url)
    with pytest.raises(SandboxUnavailable) as caught, open_sandbox(18):
        pass
    assert "HANDRAIL_SANDBOX_URL cannot be used" in caught.value.what
    assert "c4nary-pw" not in caught.value.why


def test_several_sandboxes_share_one_server(binaries: Binaries) -> None:
    with open_sandbox(binaries.major) as one, open_sandbox(binaries.major) as two:
        assert one.server == two.server
        with one.database() as first, two.database() as second:
            assert first.url.database != second.url.database

"""A PostgreSQL server of our own: started, used, and gone with us."""

from __future__ import annotations

import fcntl
import os
import pwd
import signal
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from handrail.engines.base import opening
from handrail.engines.postgresql.servers.binaries import Binaries, stage
from handrail.engines.postgresql.servers.cluster import SUPERUSER, Cluster
from handrail.errors import SandboxUnavailable
from handrail.host import scratch
from handrail.host.guardian import Guarded, Program, guard
from handrail.host.kept_folder import LOCK, kept_folder
from handrail.host.process import Account, can_reach, server_account
from handrail.host.secrets import mask

#: No lock on other databases; copies the empty template, some 7 MB and 40 ms. STRATEGY is unknown before 15.
_CREATE_DATABASE = sql.SQL("CREATE DATABASE {name} TEMPLATE template0")
#: Waits some seconds for sessions of the other database to end, and keeps new ones out until it is copied.
_COPY_DATABASE = sql.SQL("CREATE DATABASE {name} TEMPLATE {of}")
#: Ends the database's sessions; instant apart from deleting its files.
_DROP_DATABASE = sql.SQL("DROP DATABASE IF EXISTS {name} WITH (FORCE)")
#: Reads a constant; no lock.
_MAJOR = "SELECT current_setting('server_version_num')::int / 10000"

_START_S = 60.0
_LOOK_S = 0.005
_PORT_ATTEMPTS = 5
_LOG_TAIL_CHARS = 2000


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """A server we may create databases on.

    `address` is the URL of its maintenance database, with the password if there is one. `log_path` is its log, None
    for a server that was given to us.
    """

    address: URL
    major: int
    log_path: Path | None

    def url(self, database: str = "postgres") -> str:
        """Return the SQLAlchemy URL of a database on this server, for the driver psycopg."""
        address = self.address.set(database=database)
        # Plain slashes read better and survive alembic.ini, where a % is special.
        return address.render_as_string(hide_password=False).replace("%2F", "/")

    def create_database(self, name: str) -> None:
        """Create an empty database. Raises psycopg.errors.DuplicateDatabase when there is one of that name."""
        self._execute(_CREATE_DATABASE.format(name=sql.Identifier(name)))

    def copy_database(self, name: str, *, of: str) -> None:
        """Create a database as a copy of another one, to which nobody is connected."""
        self._execute(_COPY_DATABASE.format(name=sql.Identifier(name), of=sql.Identifier(of)))

    def drop_database(self, name: str) -> None:
        """Drop a database and end its sessions; no database of that name is fine."""
        self._execute(_DROP_DATABASE.format(name=sql.Identifier(name)))

    def session(self, database: str | None = None) -> psycopg.Connection[tuple[Any, ...]]:
        """Open a connection in autocommit, as the user of `address`; to its maintenance database where None."""
        return _connect(self.address if database is None else self.address.set(database=database))

    def _execute(self, statement: sql.Composed) -> None:
        with self.session() as conn:
            conn.execute(statement)


def given(url: str) -> Server:
    """Return the server behind HANDRAIL_SANDBOX_URL. Raises SandboxUnavailable when it does not answer."""
    try:
        address = make_url(url)
        if address.get_backend_name() != "postgresql":
            raise ArgumentError(f"{address.get_backend_name()} is not postgresql")  # noqa: TRY301 - both are one refusal
        address = address.set(drivername="postgresql+psycopg")
        with _connect(address) as conn:
            row = conn.execute(_MAJOR).fetchone()
    except (ArgumentError, psycopg.OperationalError) as exc:
        raise SandboxUnavailable(
            what="the server of HANDRAIL_SANDBOX_URL cannot be used; nothing was touched",
            why=mask(str(exc).strip()),
            fix="correct HANDRAIL_SANDBOX_URL, or unset it to let Handrail start a server",
        ) from exc
    assert row is not None
    return Server(address=address, major=row[0], log_path=None)


def _connect(address: URL) -> psycopg.Connection[tuple[Any, ...]]:
    arguments = {**address.translate_connect_args(username="user", database="dbname"), **address.query}
    with opening():
        return psycopg.connect(autocommit=True, **arguments)


@contextmanager
def start(
    binaries: Binaries,
    *,
    settings: Mapping[str, str] | None = None,
    data: Path | None = None,
    listen: bool = False,
    superuser: str = SUPERUSER,
) -> Iterator[Server]:
    """Run a server until the end of the block or of this process, however that ends.

    `settings` are server settings by name. `data` is a folder to keep its databases in, otherwise they go with it. It
    listens on a socket in a private folder; with `listen` on a free loopback port too, and its URLs name that, with a
    password. As root it runs under an unprivileged account. Raises SandboxUnavailable.
    """
    account = _account()
    wish = _Wish(binaries=binaries, settings=dict(settings or {}), listen=listen, account=account, superuser=superuser)
    with ExitStack() as stack:
        if data is None:
            yield _serve(stack, wish)
            return
        home = _home(data, account)
        try:
            lock = scratch.lock_file(home / LOCK)
        except BlockingIOError as exc:
            raise SandboxUnavailable(
                what=f"a server is running in {data} already; nothing was touched",
                why="another process of ours started it",
                fix="wait until that process has ended, or choose another folder",
            ) from exc
        stack.callback(os.close, lock)
        yield _serve(stack, replace(wish, kept=_Kept(cluster=Cluster(home=home, superuser=superuser), lock=lock)))


@contextmanager
def join_or_start(binaries: Binaries, folder: Path, *, listen: bool = False) -> Iterator[Server]:
    """Use the server another process of ours runs in that folder, else start one there; it ends with its last user.

    Of several that come at once one starts it. The databases stay in the folder. Raises SandboxUnavailable.
    """
    account = _account()
    home = _home(folder, account)
    users = home / "users"
    wish = _Wish(binaries=binaries, settings={}, listen=listen, account=account)
    # Exited from right to left: we stop being a user before our guardian looks whether there are others.
    with ExitStack() as stack, scratch.held(users, fcntl.LOCK_SH):
        with scratch.held(home / "starting", fcntl.LOCK_EX):
            cluster = Cluster(home=home)
            try:
                lock = scratch.lock_file(home / LOCK)
            except BlockingIOError:
                cluster.must_be_of(binaries.major)
                server = Server(address=_await(cluster), major=binaries.major, log_path=cluster.log_path)
            else:
                stack.callback(os.close, lock)
                server = _serve(stack, replace(wish, kept=_Kept(cluster=cluster, lock=lock, users=users)))
        yield server


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    """A cluster that outlives its server, with the descriptor of its lock."""

    cluster: Cluster
    lock: int
    users: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Wish:
    """The server somebody asked for; `kept` is None for one that goes with its data."""

    binaries: Binaries
    settings: Mapping[str, str]
    listen: bool
    account: Account | None
    kept: _Kept | None = None
    superuser: str = SUPERUSER


def _serve(stack: ExitStack, wish: _Wish) -> Server:
    """Start the server and leave its end to the stack."""
    try:
        for _ in range(_PORT_ATTEMPTS - 1 if wish.listen else 0):
            # Between our choice of a free port and the server's bind somebody else may take it.
            with suppress(_DidNotStart):
                return _serve_once(stack, wish)
        return _serve_once(stack, wish)
    except OSError as exc:
        raise SandboxUnavailable(
            what=f"no PostgreSQL {wish.binaries.major} server can be started; nothing was touched",
            why=str(exc),
            fix="remove the cause, or set HANDRAIL_SANDBOX_URL to a server nobody else uses",
        ) from exc


def _serve_once(outer: ExitStack, wish: _Wish) -> Server:
    root = _root(wish.account)
    scratch.sweep(root)
    with ExitStack() as stack:
        folder = stack.enter_context(scratch.folder(root, wish.account))
        cluster = wish.kept.cluster if wish.kept else Cluster(home=folder.path, superuser=wish.superuser)
        binaries = wish.binaries
        if not can_reach(binaries.folder / "postgres", wish.account):
            binaries = stage(binaries, folder.path)
        cluster.initialise(binaries, wish.account)
        cluster.forget_last_server()
        guarded = guard(_program(wish, cluster, binaries, folder))
        stack.callback(guarded.stop)
        address = _await(cluster, guarded)
        outer.push(stack.pop_all())
    return Server(address=address, major=binaries.major, log_path=cluster.log_path)


def _program(wish: _Wish, cluster: Cluster, binaries: Binaries, folder: scratch.Scratch) -> Program:
    sockets = folder.path / "s"
    sockets.mkdir(mode=0o700)
    if wish.account is not None:
        os.chown(sockets, wish.account.uid, wish.account.gid)
    argv, env = cluster.command(binaries, sockets, wish.settings, durable=wish.kept is not None, listen=wish.listen)
    return Program(
        argv=argv,
        env=env,
        log=cluster.log_path,
        account=wish.account,
        # Kept databases are checkpointed at the end, the others only dropped: "fast" and "immediate" shutdown.
        stop_signal=signal.SIGINT if wish.kept else signal.SIGQUIT,
        locks=(folder.lock, wish.kept.lock) if wish.kept else (folder.lock,),
        users=wish.kept.users if wish.kept else None,
        remove=folder.path,
    )


class _DidNotStart(SandboxUnavailable):
    """The server ended, or took too long, before it took connections."""


def _await(cluster: Cluster, guarded: Guarded | None = None) -> URL:
    """Return the address of the starting server, ours where `guarded`. Raises _DidNotStart with the end of its log."""
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and (guarded is None or guarded.running()):
        if address := cluster.address():
            return address
        time.sleep(_LOOK_S)
    raise _DidNotStart(
        what="the PostgreSQL server did not start; nothing was touched",
        why=cluster.log_path.read_text(errors="replace")[-_LOG_TAIL_CHARS:].strip() or "it wrote no reason",
        fix="remove the cause, or set HANDRAIL_SANDBOX_URL to a server nobody else uses",
    )


def _home(wanted: Path, account: Account | None) -> Path:
    try:
        return kept_folder(wanted, account)
    except PermissionError as exc:
        raise SandboxUnavailable(
            what=f"no databases can be kept for {wanted}; nothing was touched",
            why=f"the server's account cannot reach that folder, and {exc}",
            fix="choose a folder that every user may pass through",
        ) from exc


def _account() -> Account | None:
    try:
        account = server_account()
        pwd.getpwuid(os.geteuid())
    except LookupError as exc:
        raise SandboxUnavailable(
            what="no PostgreSQL server can be started by this user; nothing was touched",
            why=f"{exc.args[0]}; PostgreSQL refuses root and users without a name",
            fix="run as a user that /etc/passwd knows, or set HANDRAIL_SANDBOX_URL",
        ) from exc
    return account


def _root(account: Account | None) -> Path:
    try:
        return scratch.usable_root(account)
    except FileNotFoundError as exc:
        raise SandboxUnavailable(
            what="no PostgreSQL server can be started; nothing was touched",
            why=str(exc),
            fix="set TMPDIR to a folder with a short name that everybody may pass through",
        ) from exc

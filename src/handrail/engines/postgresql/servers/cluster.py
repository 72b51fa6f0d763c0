"""A PostgreSQL data folder of ours on disk: made by initdb, served by postgres, read through postmaster.pid."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from sqlalchemy import URL

from handrail.engines.postgresql.servers.binaries import Binaries
from handrail.errors import SandboxUnavailable
from handrail.host.process import Account

SUPERUSER = "postgres"
_DRIVER = "postgresql+psycopg"
_LOOPBACK = "127.0.0.1"
_SOCKET_PORT = 5432
_NEW = "new-"
#: Since this major initdb has a C.UTF-8 that needs no locale of the system.
#: https://www.postgresql.org/docs/17/app-initdb.html
_BUILTIN_LOCALE_MAJOR = 17
_ENVIRONMENT: Mapping[str, str] = MappingProxyType({"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"})

_SETTINGS: Mapping[str, str] = MappingProxyType(
    {"max_connections": "100", "max_prepared_transactions": "10", "shared_buffers": "64MB"}
)
#: Nothing of a throw-away server has to survive a crash of the machine.
_NOT_DURABLE: Mapping[str, str] = MappingProxyType(
    {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """A folder of ours with a data folder, the server's log and the superuser's password for TCP in it."""

    home: Path
    superuser: str = SUPERUSER

    @property
    def data(self) -> Path:
        """PGDATA."""
        return self.home / "data"

    @property
    def log_path(self) -> Path:
        """What the server wrote, across all its starts."""
        return self.home / "log"

    @property
    def _password_path(self) -> Path:
        return self.home / "password"

    def initialise(self, binaries: Binaries, account: Account | None) -> None:
        """Make the data folder unless there is one. Raises SandboxUnavailable with initdb's own words."""
        self.log_path.touch(mode=0o600)
        if self.data.is_dir():
            self.must_be_of(binaries.major)
            return
        self._password_path.unlink(missing_ok=True)
        self._password_path.touch(mode=0o600)
        self._password_path.write_text(secrets.token_urlsafe(24))
        for abandoned in self.home.glob(f"{_NEW}*"):
            shutil.rmtree(abandoned, ignore_errors=True)
        # Renamed when it is complete: an interrupted initdb leaves nothing that could be taken for a cluster.
        new = Path(tempfile.mkdtemp(prefix=_NEW, dir=self.home))
        if account is not None:
            os.chown(self._password_path, account.uid, account.gid)
            os.chown(new, account.uid, account.gid)
        self._initdb(new, binaries, account)
        new.rename(self.data)

    def _initdb(self, new: Path, binaries: Binaries, account: Account | None) -> None:
        done = subprocess.run(
            [
                *(binaries.folder / "initdb", "--pgdata", new, "--username", self.superuser, "--encoding=UTF8"),
                # The socket's folder is private; a loopback port is open to every user of the machine.
                *("--auth-local=trust", "--auth-host=scram-sha-256", "--pwfile", self._password_path),
                *(*_locale(binaries.major), "--no-sync", "--no-instructions"),
            ],
            capture_output=True,
            text=True,
            check=False,
            env={**_ENVIRONMENT, "HOME": str(self.home)},
            cwd="/",
            start_new_session=True,
            user=account.uid if account else None,
            group=account.gid if account else None,
            extra_groups=[] if account else None,
        )
        if done.returncode != 0:
            raise SandboxUnavailable(
                what=f"no PostgreSQL {binaries.major} server can be made; nothing was touched",
                why=(done.stderr or done.stdout).strip() or f"initdb ended with {done.returncode}",
                fix="remove the cause, or set HANDRAIL_SANDBOX_URL to a server nobody else uses",
            )

    def must_be_of(self, major: int) -> None:
        """Raise SandboxUnavailable when another major version made the data."""
        found = (self.data / "PG_VERSION").read_text().strip()
        if found != str(major):
            raise SandboxUnavailable(
                what=f"the databases in {self.home} cannot be served; nothing was touched",
                why=f"PostgreSQL {found} made them, and this is PostgreSQL {major}",
                fix=f"choose another folder, or remove {self.home} to start afresh",
            )

    def command(
        self, binaries: Binaries, socket_folder: Path, settings: Mapping[str, str], *, durable: bool, listen: bool
    ) -> tuple[tuple[str, ...], dict[str, str]]:
        """Return the arguments and the environment that serve this cluster on a socket in that folder."""
        chosen = {
            **_SETTINGS,
            **({} if durable else _NOT_DURABLE),
            **({"file_copy_method": "clone"} if binaries.major >= 18 else {}),  # noqa: PLR2004 - the setting's first major
            "cluster_name": socket_folder.parent.name,  # in every process title: who looks at `ps` finds the folder
            "listen_addresses": _LOOPBACK if listen else "",
            "port": str(_free_port() if listen else _SOCKET_PORT),
            "unix_socket_directories": str(socket_folder),
            **settings,
        }
        options = [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]
        argv = (str(binaries.folder / "postgres"), "-D", str(self.data), *options)
        return argv, {**_ENVIRONMENT, "HOME": str(self.home)}

    def address(self) -> URL | None:
        """Return the URL of the running server, None while it does not yet take connections.

        Read from postmaster.pid: process, data folder, start, port, socket folder, address, memory, status. Source:
        https://github.com/postgres/postgres/blob/REL_18_STABLE/src/include/utils/pidfile.h
        """
        lines: list[str] = []
        with suppress(FileNotFoundError):
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        match [line.strip() for line in lines]:
            case [_, _, _, port, folder, "", _, "ready"]:
                return URL.create(
                    _DRIVER, username=self.superuser, database="postgres", query={"host": folder, "port": port}
                )
            case [_, _, _, port, _, host, _, "ready"]:
                password = self._password_path.read_text()
                return URL.create(
                    _DRIVER, username=self.superuser, password=password, host=host, port=int(port), database="postgres"
                )
        return None

    def forget_last_server(self) -> None:
        """Remove the postmaster.pid of a server that died; call only while holding the cluster's lock."""
        (self.data / "postmaster.pid").unlink(missing_ok=True)


def _locale(major: int) -> tuple[str, ...]:
    if major >= _BUILTIN_LOCALE_MAJOR:
        return ("--locale-provider=builtin", "--locale=C", "--builtin-locale=C.UTF-8")
    return ("--locale=C.UTF-8",) if sys.platform == "linux" else ("--locale=C",)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((_LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port

"""PostgreSQL's own programs as clients: found by version, and told where to connect without a secret in sight."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo
from sqlalchemy import URL

from handrail.engines.postgresql.servers.binaries import candidates
from handrail.engines.postgresql.session import CONNECT_TIMEOUT_S, for_libpq
from handrail.errors import BackupUnproved

_VERSION = re.compile(r"\(PostgreSQL\) (?P<version>(?P<major>\d+)\S*)")
_NEWEST = 20
#: sslmodes that never connect in the clear. https://www.postgresql.org/docs/current/libpq-ssl.html
_ENCRYPTED = frozenset({"require", "verify-ca", "verify-full"})
#: What nobody may read in a list of processes.
_SECRET = frozenset({"password", "sslpassword"})
# Said by libpq in connectOptions2() before it connects: src/interfaces/libpq/fe-connect.c. Asked for under LC_ALL=C,
# because no client program tells how it was built.
_NO_TLS = "SSL support is not compiled in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Clients:
    """The folder of `pg_dump` and `pg_restore`, and the version they said they are."""

    folder: Path
    version: str
    major: int


def find(at_least: int, *, tls: bool) -> Clients:
    """Return client programs of that major, else the next newer ones; with `tls` such that can encrypt.

    An older pg_dump refuses a newer server, and an older pg_restore a newer archive. Raises BackupUnproved naming what
    was found.
    """
    found: dict[Path, Clients] = {}
    for folder in _folders(at_least):
        clients = _clients(folder)
        if clients:
            found.setdefault(folder, clients)
    fitting = sorted((c for c in found.values() if c.major >= at_least), key=lambda c: c.major)
    for clients in fitting:
        if not tls or _speaks_tls(clients.folder):
            return clients
    raise _none(at_least, list(found.values()), tls_missing=bool(fitting))


def _none(at_least: int, found: list[Clients], *, tls_missing: bool) -> BackupUnproved:
    if tls_missing:
        why = (
            "the environment's url wants an encrypted connection, and the programs here were built without OpenSSL: "
            + ", ".join(str(c.folder / "pg_dump") for c in found if c.major >= at_least)
        )
    elif found:
        versions = ", ".join(sorted({c.version for c in found}))
        why = f"the server is PostgreSQL {at_least}, and pg_dump here is {versions}: an older one refuses"
    else:
        why = "no pg_dump was found here"
    return BackupUnproved(
        what="no backup can be made or restored; nothing was touched",
        why=why,
        fix=f"install PostgreSQL's client programs, {at_least} or newer (Debian: apt install "
        f"postgresql-client-{at_least})",
    )


def wants_tls(url: URL) -> bool:
    """Return whether the URL, or the environment where it says nothing, insists on an encrypted connection."""
    bare = for_libpq(url)
    mode = bare.query.get("sslmode") or os.environ.get("PGSSLMODE", "")
    return mode in _ENCRYPTED and not _by_socket(bare)


def _by_socket(url: URL) -> bool:
    """Return whether it names a socket of this machine, which is never encrypted, whatever sslmode says."""
    return str(url.host or url.query.get("host") or os.environ.get("PGHOST") or "/").startswith(("/", "@"))


def address(url: URL) -> tuple[str, dict[str, str]]:
    """Return the connection string of the database without its password, and the environment that has it.

    The programs keep their own application names: by them a running dump is recognised.
    """
    bare = for_libpq(url)
    known = {item.keyword.decode() for item in psycopg.pq.Conninfo.get_defaults()}
    _, parameters = bare.get_dialect()().create_connect_args(bare)
    said = {k: v for k, v in parameters.items() if k in known - _SECRET - {"application_name"}}
    said.setdefault("connect_timeout", CONNECT_TIMEOUT_S)
    if _by_socket(bare):
        said["sslmode"] = "disable"  # programs without OpenSSL refuse any other, also from the environment
    environment = {name: value for name, value in os.environ.items() if name != "PGAPPNAME"} | {"LC_ALL": "C"}
    if parameters.get("password"):
        environment["PGPASSWORD"] = str(parameters["password"])
    return make_conninfo("", **said), environment


def _folders(at_least: int) -> Iterator[Path]:
    for major in range(at_least, _NEWEST):
        yield from candidates(major)
    if program := shutil.which("pg_dump"):
        yield Path(program).resolve().parent


@cache
def _clients(folder: Path) -> Clients | None:
    if not all((folder / program).is_file() for program in ("pg_dump", "pg_restore")):
        return None
    answer = subprocess.run([folder / "pg_dump", "--version"], capture_output=True, text=True, check=False)
    match = _VERSION.search(answer.stdout)
    return Clients(folder=folder, version=match["version"], major=int(match["major"])) if match else None


@cache
def _speaks_tls(folder: Path) -> bool:
    answer = subprocess.run(
        [folder / "pg_dump", "--dbname", "host=/nonexistent sslmode=require", "--no-password"],
        capture_output=True,
        text=True,
        check=False,
        env={"LC_ALL": "C", "PATH": os.environ.get("PATH", "")},
    )
    return _NO_TLS not in answer.stderr

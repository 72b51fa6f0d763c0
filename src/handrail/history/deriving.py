"""Derives a contract in a child process, so that every version's code is imported afresh and by nobody else.

Run as `python -m handrail.history.deriving FOLDER INI SECTION-FREE-URL [MODULE:ATTRIBUTE]`; prints one JSON document.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import msgspec
from sqlalchemy import URL, make_url

from handrail.errors import HandrailError, ProjectUnreadable
from handrail.history.env import contracts, env_py, models
from handrail.history.env.env_py import EnvPy
from handrail.history.fencing.fence import Fence, fence
from handrail.history.fencing.guard import Raised, call
from handrail.history.files import graph
from handrail.history.files import project as projects
from handrail.model.contract import Contract

_LIMIT_S = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Derived:
    """A contract, and the heads of the revisions that stand beside its models."""

    contract: Contract | None = None
    heads: tuple[str, ...] = ()
    what: str = ""
    why: str = ""
    fix: str = ""


def derive(folder: Path, *, ini: str, url: URL, models_at: str) -> Derived:
    """Return the contract of the models in that folder: of `module:attribute`, of env.py's target_metadata for ''.

    `url` only says which dialect; it is never opened. Raises ProjectUnreadable where the code cannot be imported, or
    has no tables.
    """
    blank = url.set(username=None, password=None, host=None, port=None, query={}, database="handrail")
    argv = [sys.executable, "-m", __name__, str(folder), ini, blank.render_as_string(), models_at]
    try:
        done = subprocess.run(argv, cwd=folder, capture_output=True, timeout=_LIMIT_S, check=False)
    except subprocess.TimeoutExpired as exc:
        raise _unreadable(models_at, f"importing it did not come to an end within {_LIMIT_S} s") from exc
    line = done.stdout.strip().rpartition(b"\n")[2]
    try:
        found = msgspec.json.decode(line, type=Derived)
    except msgspec.MsgspecError as exc:
        why = f"the process that imported it ended with status {done.returncode}"
        raise _unreadable(models_at, why) from exc
    if found.contract is None:
        raise ProjectUnreadable(what=found.what, why=found.why, fix=found.fix)
    return found


def _unreadable(models_at: str, why: str) -> ProjectUnreadable:
    return ProjectUnreadable(
        what=f"the models {models_at or 'of env.py'} cannot be read",
        why=why,
        fix="make `import` of the module work with the packages installed here, or name it: --models module:attribute",
    )


def _derived(folder: Path, ini: str, url: URL, models_at: str) -> Derived:
    project = projects.find(folder, ini=ini or None)
    files = graph.load(project)
    for path in reversed((folder, *project.prepend_sys_path)):
        sys.path.insert(0, str(path))
    env: EnvPy | None = None
    if not models_at:
        env = env_py.capture(project, url=url.render_as_string(), graph=files)
    dialect = url.get_dialect()()

    def read() -> Contract:
        metadata = contracts.imported(models_at) if env is None else models.metadata(env)
        return contracts.contract(metadata, dialect)

    with fence(Fence.NULL):
        found = call(read)
    if isinstance(found, Raised):
        where = f"{found.place.file}:{found.place.line}: " if found.place else ""
        raise _unreadable(models_at, f"{where}{found.summary}")
    if not found.tables:
        raise ProjectUnreadable(
            what=f"the models {models_at or 'of env.py'} hold no table",
            why="their metadata is empty: the modules that define the tables were not imported",
            fix="name a module that imports all of them: --models module:attribute",
        )
    return Derived(contract=found, heads=files.heads)


def _answer(folder: str, ini: str, url: str, models_at: str) -> Derived:
    try:
        return _derived(Path(folder), ini, make_url(url), models_at)
    except HandrailError as exc:
        return Derived(what=exc.what, why=exc.why, fix=exc.fix)


if __name__ == "__main__":
    _out = os.dup(1)
    os.dup2(2, 1)
    _line = msgspec.json.encode(_answer(*sys.argv[1:5]), enc_hook=str)  # names are SQLAlchemy's quoted_name
    with os.fdopen(_out, "wb") as _stream:
        _stream.write(b"\n" + _line + b"\n")
    os._exit(0)

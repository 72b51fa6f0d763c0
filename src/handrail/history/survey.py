"""What an Alembic project says of itself to somebody who has never seen it: where it is, its models, its URL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from handrail.errors import FenceBreach, ProjectUnreadable, UsageRefused
from handrail.history.env import env_py, target_metadata
from handrail.history.files.graph import Graph
from handrail.history.files.project import Project, find
from handrail.history.files.url_source import Variable
from handrail.model.adoption import Found

_DEEPEST = 4
#: What Alembic's template `multidb` reads, and nothing else does.
_DATABASES = "databases"
#: Folders in which nobody keeps migrations of their own.
_PASSED_OVER = frozenset({"node_modules", "site-packages", "__pycache__", "build", "dist"})


def locate(root: Path, given: str | None) -> tuple[Project, str]:
    """Return the project under `root`, and what the settings must say of its ini, '' where it is found without.

    `given` is the path of an ini, or of a pyproject.toml with [tool.alembic]. Raises ProjectUnreadable and
    UsageRefused: none, several to choose from, one that cannot be read.
    """
    if given is not None:
        return find(root, ini=given), given
    inis = list(_inis(root))
    shallow = [path for path in inis if len(path.relative_to(root).parts) <= 2]  # noqa: PLR2004 - FOLDER/alembic.ini
    if shallow or os.environ.get("ALEMBIC_CONFIG") or not inis:
        return _found(root, shallow), ""
    if len(inis) > 1:
        raise _several(root, inis)
    relative = inis[0].relative_to(root).as_posix()
    return find(root, ini=relative), relative


def _found(root: Path, inis: list[Path]) -> Project:
    """Return what Handrail finds by itself, with the words of `init` for what it does not."""
    leading = [path for path in inis if path.parent in {root, root / "migrations"}]
    if len(inis) > 1 and not leading and not _has_table(root):
        raise _several(root, inis)
    if not inis and not _has_table(root) and not os.environ.get("ALEMBIC_CONFIG"):
        env = next(_env_pys(root), None)
        if env is None:
            raise ProjectUnreadable(
                what="there is no Alembic project here",
                why=f"no alembic.ini within {_DEEPEST} folders below {root}, no [tool.alembic] in its pyproject.toml",
                fix="run it in the project's folder (-C PATH), or make one first: alembic init migrations",
            )
        folder = env.parent.relative_to(root).as_posix()
        raise ProjectUnreadable(
            what="the Alembic project has no settings",
            why=f"{folder}/env.py is there, and neither an alembic.ini nor [tool.alembic] in pyproject.toml",
            fix=f"write alembic.ini with these two lines: [alembic] and script_location = %(here)s/{folder}",
        )
    return find(root)


def _has_table(root: Path) -> bool:
    """Whether pyproject.toml may hold Alembic's settings; what is wrong with it `find` says."""
    path = root / "pyproject.toml"
    return path.is_file() and b"[tool.alembic" in path.read_bytes()


def _several(root: Path, inis: list[Path]) -> UsageRefused:
    names = [path.relative_to(root).as_posix() for path in inis]
    return UsageRefused(
        what="several Alembic settings found; nothing was touched",
        why=", ".join(names),
        fix=f"handrail init --alembic {names[0]}",
    )


def _inis(root: Path) -> Iterator[Path]:
    return (Path(folder, "alembic.ini") for folder, names in _folders(root) if "alembic.ini" in names)


def _env_pys(root: Path) -> Iterator[Path]:
    for folder, names in _folders(root):
        path = Path(folder, "env.py")
        if "env.py" in names and b"run_migrations" in path.read_bytes():
            yield path


def _folders(root: Path) -> Iterator[tuple[str, list[str]]]:
    for folder, folders, names in os.walk(root):
        depth = len(Path(folder).relative_to(root).parts)
        folders[:] = sorted(
            name
            for name in folders
            if depth < _DEEPEST
            and not name.startswith(".")
            and name not in _PASSED_OVER
            and not Path(folder, name, "pyvenv.cfg").exists()
        )
        yield folder, names


def survey(project: Project, graph: Graph, *, variable: Variable | None, url: str) -> tuple[Found, tuple[str, ...]]:
    """Return what is found, and what a person has to know or settle, one sentence each.

    `variable` is where the URL comes from. env.py is run behind the fence where a `url` is at hand and the history is
    whole, to count the tables of its models; with '' it is only read.
    """
    notes: list[str] = []
    tables: int | None = None
    written = target_metadata.as_written(project.env_py)
    if url and not any(problem.blocking for problem in graph.problems):
        try:
            env = env_py.capture(project, url=url, graph=graph)
        except (ProjectUnreadable, FenceBreach) as error:
            notes.append(f"{error.what.partition(';')[0]}: {error.why}; {error.fix}")
        else:
            tables = target_metadata.tables(env)
            notes += [f"env.py does more than configure, so that Handrail will not drive it: {d}" for d in env.drives]
    elif several := project.option(_DATABASES):
        notes.append(
            f"env.py migrates several databases ({several}), which Handrail does not drive yet: let it read one of "
            "them from the environment, and declare one environment for each"
        )
    if not written or tables == 0:
        notes.append(
            f"no models are found: set target_metadata in {_shown(project, project.env_py)}, "
            "and import the modules of the models there; `handrail new` needs them"
        )
    settings = project.ini or project.pyproject
    found = Found(
        alembic=_shown(project, settings) if settings else "",
        script_location=_shown(project, project.script_location),
        revisions=len(graph.revisions),
        heads=graph.heads,
        models=written,
        tables=tables,
        variable=variable.name if variable else "",
        read_at=f"{_shown(project, Path(variable.place.file))}:{variable.place.line}" if variable else "",
    )
    return found, tuple(notes)


def _shown(project: Project, path: Path) -> str:
    return path.relative_to(project.root).as_posix() if path.is_relative_to(project.root) else str(path)

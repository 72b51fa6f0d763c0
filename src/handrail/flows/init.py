"""`handrail init`: look at the project, say what would be written, write it."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from handrail import config
from handrail.config import Settings
from handrail.errors import ProjectUnreadable, SettingsInvalid, UsageRefused
from handrail.flows import settings_text
from handrail.history import survey
from handrail.history.files import graph as graphs
from handrail.history.files import template, url_source
from handrail.history.files.graph import Graph
from handrail.history.files.project import Project
from handrail.host.rewrite import rewrite
from handrail.host.urls import resolve
from handrail.model.adoption import Adoption, FileAction, FileChange, Found

_SCRIPTS = ("apply_migrations.py", "validate_schema.py")
_WORKFLOW = ".github/workflows/migrations.yml"
_IGNORED = (".handrail/", "backups/")
_PYPROJECT, _OWN = "pyproject.toml", "handrail.toml"
_USUAL = "DATABASE_URL"
_DEVELOPMENT = "development"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    """The project that is looked at.

    `ini` is what the settings must say of its ini, `literal` the ini's own URL. `closed` says that the settings' table
    has begun in a file where no key can be added to it any more, only tables below it.
    """

    root: Path
    project: Project
    graph: Graph
    ini: str
    found: Found
    literal: str
    settings: Settings | None
    closed: bool
    force: bool

    @property
    def settled(self) -> bool:
        """Whether the settings name an environment: then they are somebody's, and stay as they are."""
        return self.settings is not None and bool(self.settings.environments)

    @property
    def usual(self) -> str:
        """The environment that a command means without another one: the settings' own where they stand."""
        known = list(self.settings.environments) if self.settings else []
        chosen = self.settings.default_environment if self.settings else ""
        return chosen or (_DEVELOPMENT if not known or _DEVELOPMENT in known else known[0])

    @property
    def top(self) -> dict[str, str]:
        """The settings beside the environments."""
        return {
            "alembic": self.ini,
            "default_environment": _DEVELOPMENT,
            "rules_from": ", ".join(self.graph.heads),
        }


def look(root: Path, *, alembic: str | None = None, force: bool = False) -> Adoption:
    """Return what was found and what would be written; writes nothing.

    A file that somebody wrote otherwise is replaced only with `force`. env.py is run, behind the fence, where the URL
    it wants is known. Raises ProjectUnreadable, SettingsInvalid, UsageRefused.
    """
    known = config.find(root)
    settings = config.load(root) if known is not None and known[1] else None
    named = alembic or (settings.alembic if settings else "") or None
    project, ini = survey.locate(root, named)
    graph = graphs.load(project)
    variable = url_source.variable(project)
    literal = url_source.url_in_ini(project)
    url = _url(root, project, variable.name if variable else "", literal)
    found, notes = survey.survey(project, graph, variable=variable, url=url)
    site = _Site(
        root=root,
        project=project,
        graph=graph,
        ini=alembic or ini,
        found=found,
        literal=literal,
        settings=settings,
        closed=known is not None and (bool(known[1]) or known[0].name == _PYPROJECT),
        force=force,
    )
    changes = tuple(change for change in _changes(site) if change.before != change.after)
    return Adoption(found=found, changes=changes, notes=(*_notes(site), *notes), environment=site.usual)


def _url(root: Path, project: Project, variable: str, literal: str) -> str:
    """Return the URL that is at hand for env.py, '' for none; its password is masked from now on."""
    if variable:
        known = os.environ.get(variable, "").strip()
        return resolve(f"env:{variable}", environment=_DEVELOPMENT, root=root) if known else ""
    return resolve(f"ini:{project.ini}", environment=_DEVELOPMENT, root=root) if literal else ""


def write(root: Path, adoption: Adoption) -> None:
    """Write the pending files, all or none. Raises UsageRefused."""
    try:
        rewrite({root / change.path: change.after for change in adoption.pending})
    except OSError as exc:
        raise UsageRefused(
            what="the project could not be written to; nothing was touched",
            why=f"{exc.filename}: {exc.strerror}",
            fix="make the folder writable to you, or run it as the owner; --dry-run shows what would be written",
        ) from exc


def _changes(site: _Site) -> Iterator[FileChange]:
    yield _settings(site)
    yield _template(site)
    for name in _SCRIPTS:
        yield _ours(site, f"scripts/{name}", template.text(name).replace(_DEVELOPMENT, site.usual))
    if (site.root / ".github").is_dir():
        yield _ours(site, _WORKFLOW, _workflow(site))
    yield _gitignore(site)


def _settings(site: _Site) -> FileChange:
    """Append the settings that are missing to the file they belong to; what is there stays as it is, byte by byte."""
    own = site.root / _OWN
    project = site.root / _PYPROJECT
    path = own if own.is_file() or not project.is_file() else project
    before = _read(path)
    if site.settled:
        return FileChange(path=path.name, action=FileAction.CHANGE, before=before, after=before or "")
    after = settings_text.appended(
        before or "",
        prefix="" if path == own else "tool.handrail",
        top={} if site.closed else site.top,
        urls=_urls(site),
    )
    try:
        tomllib.loads(after)
    except tomllib.TOMLDecodeError as exc:
        raise SettingsInvalid(
            what=f"the settings cannot be added to {path.name}; nothing was touched",
            why=f"its tables cannot be gone on with: {exc}",
            fix="write [tool.handrail] as a table of its own, or the settings into handrail.toml",
        ) from exc
    return FileChange(path=path.name, action=_action(before), before=before, after=after)


def _urls(site: _Site) -> dict[str, str]:
    """Return the setting `url` of each environment. A URL that stands in the ini stays there, for development alone."""
    elsewhere = f"env:{site.found.variable or _USUAL}"
    development = elsewhere
    if site.literal and not site.found.variable and site.project.ini is not None:
        development = f"ini:{os.path.relpath(site.project.ini, site.root)}"
    return {_DEVELOPMENT: development, "staging": elsewhere, "production": elsewhere}


def _template(site: _Site) -> FileChange:
    """Put the five fields into the project's own template; only one that no title begins is left, or replaced."""
    path = site.project.script_location / template.REVISION
    before = _read(path)
    name = os.path.relpath(path, site.root)
    if before is None:
        return FileChange(path=name, action=FileAction.CREATE, before=None, after=template.text(template.REVISION))
    extended = template.with_fields(before)
    if extended is not None:
        return FileChange(path=name, action=FileAction.CHANGE, before=before, after=extended)
    action = FileAction.CHANGE if site.force else FileAction.LEAVE
    return FileChange(path=name, action=action, before=before, after=template.text(template.REVISION))


def _ours(site: _Site, path: str, text: str) -> FileChange:
    before = _read(site.root / path)
    keeps = before is not None and not site.force
    return FileChange(path=path, action=FileAction.LEAVE if keeps else _action(before), before=before, after=text)


def _workflow(site: _Site) -> str:
    urls = _urls(site)
    in_ini = urls[_DEVELOPMENT].startswith("ini:")
    server = not site.literal.startswith("sqlite") if in_ini else True
    heads = site.settings.rules_after if site.settings else site.graph.heads  # the file is the same at a second run
    return template.filled(
        "migrations.yml",
        server=server,
        variable=(site.found.variable or _USUAL) if server or not in_ini else "",
        environment="staging" if in_ini and server else site.usual,
        install=_install(site.root),
        back=heads[0] if len(heads) == 1 else "" if heads else "base",
    )


def _install(root: Path) -> list[str]:
    own = ["pip install -r requirements.txt"] if (root / "requirements.txt").is_file() else []
    if "[project]" in (_read(root / _PYPROJECT) or ""):
        own.append("pip install -e .")
    return [*own, 'pip install "handrail[all]"']


def _gitignore(site: _Site) -> FileChange:
    before = _read(site.root / ".gitignore")
    text = before or ""
    there = {line.strip().strip("/") for line in text.splitlines()}
    missing = [name for name in _IGNORED if name.strip("/") not in there]
    newline = "\r\n" if "\r\n" in text else "\n"
    start = text if not text or text.endswith("\n") or not missing else text + newline
    after = start + "".join(f"{name}{newline}" for name in missing)
    return FileChange(path=".gitignore", action=_action(before), before=before, after=after)


def _action(before: str | None) -> FileAction:
    return FileAction.CREATE if before is None else FileAction.CHANGE


def _read(path: Path) -> str | None:
    """Return the text of a file with its line ends as they are, None where there is none."""
    try:
        return path.read_bytes().decode()
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as exc:
        reason = exc.strerror if isinstance(exc, OSError) else "it is not UTF-8"
        raise ProjectUnreadable(
            what=f"{path} cannot be read", why=str(reason), fix="correct or move it, then again"
        ) from exc


def _notes(site: _Site) -> Iterator[str]:
    found, problems = site.found, [problem for problem in site.graph.problems if problem.blocking]
    yield from (f"{problem.what}: {problem.why}" for problem in problems)
    if len(found.heads) > 1:
        yield f"the history has {len(found.heads)} heads; join them: alembic merge -m merge {' '.join(found.heads)}"
    if site.settled:
        return
    if site.closed:
        lines = [f'{key} = "{value}"' for key, value in site.top.items() if value]
        yield from (f"only you can add this to the table [tool.handrail] that is there: {line}" for line in lines)
    if not found.variable and not site.literal:
        yield (
            f"no environment variable with the URL is seen in env.py or the application: the settings say {_USUAL}; "
            'where it has another name, or is put together of several, write url = "env:NAME" or "command:..." there'
        )
    elif not found.variable:
        yield (
            f"the URL of development stays in {found.alembic}; staging and production are read from {_USUAL}, "
            "because a password does not belong into a file"
        )
    elif site.literal:
        yield f"{found.alembic} names a database too; Handrail takes the one in {found.variable} ({found.read_at})"
    name = found.variable or _USUAL
    if found.variable and not os.environ.get(name):
        yield f"{name} is not set here: set it to the database's URL before the next command"

"""Which engine a project's migrations are written for, found in its files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from handrail.errors import UsageRefused
from handrail.history.project import Project
from handrail.model.review import EngineChoice
from handrail.model.revision import Revision

_URL = re.compile(r"\b(postgres(?:ql)?|sqlite|mysql|mariadb)(?:\+\w+)?://", re.IGNORECASE)
_WORDS = re.compile(r"\bdialects(?:\.| import )(postgresql|sqlite|mysql)\b|\b(postgresql|sqlite|mysql)_\w+\s*=")
_NAMES = {"postgres": "postgresql", "mariadb": "mysql"}
#: The oldest servers supported: what is safe there is safe on newer ones.
OLDEST = {"postgresql": 14, "sqlite": 3, "mysql": 8}


def choices(
    project: Project, revisions: Iterable[Revision], named: str, *, known: Collection[str]
) -> tuple[EngineChoice, ...]:
    """Return the engine that is named, or that settings, env.py or the revisions name; else all that are known.

    Raises UsageRefused where that is an engine we do not know.
    """
    told, by = (named, "you") if named else _told(project, revisions)
    if told in known:
        return (EngineChoice(name=told, server_major=OLDEST[told], told_by=by),)
    if told:
        raise UsageRefused(
            what=f"migrations for {told} cannot be reviewed; nothing was touched",
            why=f"told by {by}; the engines known are {', '.join(known)}",
            fix=f"handrail review --engine {next(iter(known))}, if they run there too",
        )
    return tuple(EngineChoice(name=name, server_major=OLDEST[name]) for name in known)


def _told(project: Project, revisions: Iterable[Revision]) -> tuple[str, str]:
    url = _URL.match(project.option("sqlalchemy.url") or "")
    if url:
        return _name(url[1]), "sqlalchemy.url"
    written = {_name(found) for found in _URL.findall(project.env_py.read_text(encoding="utf-8", errors="replace"))}
    if len(written) == 1:
        return written.pop(), "env.py"
    used = {_name(a or b) for revision in revisions for a, b in _WORDS.findall(revision.source)}
    if len(used) == 1:
        return used.pop(), "the revisions"
    return "", ""


def _name(found: str) -> str:
    return _NAMES.get(found.lower(), found.lower())

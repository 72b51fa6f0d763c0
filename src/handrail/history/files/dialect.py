"""Which engine a project's migrations are written for, found in its files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from handrail.errors import UsageRefused
from handrail.history.files.project import Project
from handrail.model.review import EngineChoice
from handrail.model.revision import Revision

_URL = re.compile(r"\b(postgres(?:ql)?|sqlite|mysql|mariadb)(?:\+\w+)?://", re.IGNORECASE)
_WORDS = re.compile(
    r"\bdialects(?:\.| import )(postgresql|sqlite|mysql|mariadb)\b|\b(postgresql|sqlite|mysql|mariadb)_\w+\s*="
)
# What only PostgreSQL understands, in SQL that a revision spells out.
_POSTGRESQL = re.compile(
    r"\b(?:INDEX\s+CONCURRENTLY|LANGUAGE\s+'?plpgsql|NOT\s+VALID|VALIDATE\s+CONSTRAINT)\b|\bDO\s+\$", re.IGNORECASE
)
_ASKS = re.compile(r"\bwith_variant\(|\bdialect\.name\b|\bdialect_name\b")
_NAMES = {"postgres": "postgresql"}
#: Dialects that are of another engine.
_ENGINES = {"mariadb": "mysql"}
#: The oldest servers supported: what is safe there is safe on newer ones.
OLDEST = {"postgresql": 14, "sqlite": 3, "mysql": 8, "mariadb": 10}
#: What is assumed where nothing tells; MySQL is not, since revisions that run there name it somewhere.
ASSUMED = ("postgresql", "sqlite")


def choices(
    project: Project, revisions: Iterable[Revision], named: str, *, known: Collection[str]
) -> tuple[EngineChoice, ...]:
    """Return the dialect that is named, or that settings, env.py or the revisions name; else those assumed.

    Raises UsageRefused where that is an engine we do not know.
    """
    told, by = (named, "you") if named else _told(project, revisions)
    if told in known:
        return (choice(told, by),)
    if told:
        raise UsageRefused(
            what=f"migrations for {told} cannot be reviewed; nothing was touched",
            why=f"told by {by}; the engines known are {', '.join(known)}",
            fix=f"handrail review --engine {next(iter(known))}, if they run there too",
        )
    return tuple(choice(name, "") for name in ASSUMED)


def choice(dialect: str, told_by: str) -> EngineChoice:
    """Return that dialect, on the oldest server supported."""
    engine = _ENGINES.get(dialect, dialect)
    return EngineChoice(
        name=engine, server_major=OLDEST[dialect], told_by=told_by, dialect="" if engine == dialect else dialect
    )


def _told(project: Project, revisions: Iterable[Revision]) -> tuple[str, str]:
    url = _URL.match(project.option("sqlalchemy.url") or "")
    if url:
        return _name(url[1]), "sqlalchemy.url"
    written = {_name(found) for found in _URL.findall(project.env_py.read_text(encoding="utf-8", errors="replace"))}
    if len(written) == 1:
        return written.pop(), "env.py"
    sources = [revision.source for revision in revisions]
    used = {_name(a or b) for source in sources for a, b in _WORDS.findall(source)}
    if any(map(_POSTGRESQL.search, sources)):
        used.add("postgresql")
    # Who asks for the dialect, or has a variant of a type for one, serves several.
    if len(used) == 1 and not any(map(_ASKS.search, sources)):
        return used.pop(), "the revisions"
    return "", ""


def _name(found: str) -> str:
    return _NAMES.get(found.lower(), found.lower())

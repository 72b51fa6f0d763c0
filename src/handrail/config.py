"""[tool.handrail] in pyproject.toml, or handrail.toml, as values."""

from __future__ import annotations

import re
import tomllib
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from datetime import time, timedelta
from difflib import get_close_matches
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from handrail.errors import SettingsInvalid, UsageRefused
from handrail.model.gate import Window

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")

#: Fields that are ours and no keys of the file.
_NOT_KEYS = frozenset({"root", "name"})
_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d)")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
_LONGEST_S = 100 * 365 * 86400.0
_MOST_COMPRESSED = 9
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW = re.compile(r"(\w{3})(?:-(\w{3}))?\s+(\d\d:\d\d)-(\d\d:\d\d)(?:\s+(\S+))?", re.IGNORECASE)


class OnFailure(Enum):
    """What a run does when a step fails."""

    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class LockPolicy:
    """How long we wait for locks, and hold them.

    `timeout` bounds the wait of one statement in the lock queue, `budget` all waiting of a step, `hold` the time a
    transaction may go on once it holds a lock that others wait for.
    """

    timeout: timedelta = timedelta(milliseconds=100)
    budget: timedelta = timedelta(minutes=10)
    hold: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPolicy:
    """Where backups go, how many stay, and how they are made.

    `encrypt_to` are age or SSH recipients. `command` makes a backup by other means, for what is too large to dump, and
    `proof` restores it. `max_age` is how old a proof may be that still counts. `jobs` restore at a time; `compress` is
    0 (none) to 9. Raises ValueError for numbers that cannot be.
    """

    directory: str = "backups"
    keep: int = 10
    encrypt_to: str | tuple[str, ...] = ()
    command: str = ""
    proof: str = ""
    max_age: timedelta = timedelta(days=1)
    jobs: int = 2
    compress: int = 1

    def __post_init__(self) -> None:
        """Refuse what no backup could be made with."""
        if self.keep < 1 or self.jobs < 1:
            raise ValueError("keep and jobs are 1 or more")
        if not 0 <= self.compress <= _MOST_COMPRESSED:
            raise ValueError(f"compress is 0 (none) to {_MOST_COMPRESSED}")
        if bool(self.command) != bool(self.proof):
            raise ValueError("command and proof belong together: one makes the backup, the other restores it")
        if self.command and self.recipients:
            raise ValueError("encrypt_to is for archives of Handrail's own; command encrypts by itself")

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom archives are encrypted to, () for nobody."""
        return tuple(self.encrypt_to.split()) if isinstance(self.encrypt_to, str) else self.encrypt_to


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """One environment's policy. `url` is `env:NAME`, `file:PATH`, `command:...` or a URL; resolved by `host.urls`.

    `migration_url` is used instead of `url` for migrations, e.g. the direct one beside a pooler.
    `oldest_transaction` is the age from which somebody else's transaction refuses a run; `lease_wait` how long a run
    waits for another one.
    """

    name: str = ""
    url: str
    migration_url: str = ""
    protected: bool = False
    requires: tuple[str, ...] = ()
    window: Window | None = None
    lock: LockPolicy = field(default_factory=LockPolicy)
    backup: BackupPolicy = field(default_factory=BackupPolicy)
    oldest_transaction: timedelta = timedelta(hours=1)
    lease_wait: timedelta = timedelta(seconds=30)
    on_failure: OnFailure = OnFailure.STOP


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPolicy:
    """Which rules are on: `enable` names rules of style, which are off otherwise, `disable` those to leave out."""

    enable: tuple[str, ...] = ()
    disable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of a project. `root` is the folder of the file they stand in; relative paths start there.

    `default_environment` is what a command means that names none; it is never a protected one.
    """

    root: Path = Path()
    alembic: str = ""
    journal: str = ".handrail/journal.db"
    default_environment: str = ""
    rules_from: str = ""
    review: ReviewPolicy = field(default_factory=ReviewPolicy)
    environments: dict[str, Environment] = field(default_factory=dict)

    @property
    def rules_after(self) -> tuple[str, ...]:
        """The revisions of `rules_from`: those and what is below them are left alone by the rules of style."""
        return tuple(name for name in re.split(r"[\s,]+", self.rules_from) if name)

    def environment(self, name: str | None) -> Environment:
        """Return the environment of that name, else the default or the only one there is.

        Raises UsageRefused or SettingsInvalid.
        """
        known = ", ".join(self.environments) or "none"
        if not self.environments:
            raise SettingsInvalid(
                what="the settings name no environment; nothing was touched",
                why="there is no table [tool.handrail.environments.NAME]",
                fix='add [tool.handrail.environments.development] with url = "env:DATABASE_URL"',
            )
        if name is None and not self.default_environment:
            if len(self.environments) == 1:
                return next(iter(self.environments.values()))
            raise UsageRefused(
                what="no environment was chosen; nothing was touched",
                why=f"the settings know these: {known}",
                fix="name one: -e/--environment NAME, or default_environment in the settings",
            )
        name = name or self.default_environment
        if name not in self.environments:
            near = get_close_matches(name, self.environments, n=1)
            raise UsageRefused(
                what=f"there is no environment {name!r}; nothing was touched",
                why=f"the settings know these: {known}",
                fix=f"did you mean {near[0]!r}?" if near else "add [tool.handrail.environments." + name + "]",
            )
        return self.environments[name]


def load(root: Path) -> Settings:
    """Return the settings of the project in `root`.

    Raises SettingsInvalid: none found, two sources, an unknown key, a value that cannot be.
    """
    path, table = _read(root)
    settings = _build(Settings, table, path, "", root=root)
    default = settings.default_environment
    if default and default not in settings.environments:
        known = ", ".join(settings.environments) or "none"
        raise _unusable(path, "default_environment", f"there is no environment {default!r}; known: {known}")
    if default and settings.environments[default].protected:
        raise _unusable(path, "default_environment", f"{default} is protected, and those are named each time")
    return settings


def find(root: Path) -> tuple[Path, dict[str, Any]] | None:
    """Return the file that the settings of `root` stand in, and their table; None where there are none yet.

    Raises SettingsInvalid: a file that cannot be read, or two sources.
    """
    own, project = root / "handrail.toml", root / "pyproject.toml"
    tool = _parse(project).get("tool") if project.is_file() else None
    inside = tool.get("handrail") if isinstance(tool, dict) else None
    if own.is_file() and inside is not None:
        raise SettingsInvalid(
            what="the settings stand in two places; nothing was touched",
            why=f"both {own.name} and [tool.handrail] in {project.name} exist",
            fix="keep one of them",
        )
    if own.is_file():
        return own, _parse(own)
    return None if inside is None else (project, inside)


def _read(root: Path) -> tuple[Path, dict[str, Any]]:
    found = find(root)
    if found is None:
        raise SettingsInvalid(
            what="no settings of Handrail were found; nothing was touched",
            why=f"neither handrail.toml nor [tool.handrail] in pyproject.toml exists in {root}",
            fix="handrail init writes them",
        )
    return found


def _parse(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as exc:
        raise SettingsInvalid(
            what=f"{path} cannot be read; nothing was touched", why=str(exc), fix="correct the file"
        ) from exc


def _build(kind: type[S], table: object, path: Path, where: str, **given: object) -> S:
    """Return the dataclass of that table. `where` is the table's own name, '' for the outermost.

    `given` are the fields that are ours: they are no keys. Raises SettingsInvalid: not a table, a key that no field
    has (with the nearest one), a missing key, a value that cannot be.
    """
    if not isinstance(table, dict):
        raise _unusable(path, where or "[tool.handrail]", f"it is {table!r} and not a table")
    prefix = f"{where}." if where else ""
    types = get_type_hints(kind)
    known = {f.name: types[f.name] for f in fields(kind) if f.name not in _NOT_KEYS}
    for key in table:
        if key not in known:
            near = get_close_matches(key, known, n=1)
            raise SettingsInvalid(
                what=f"the settings in {path.name} have an unknown key {prefix}{key}; nothing was touched",
                why=f"known here: {', '.join(known)}",
                fix=f"did you mean {near[0]!r}?" if near else f"remove {prefix}{key}",
            )
    missing = [f.name for f in fields(kind) if f.name in known.keys() - table.keys() and _required(f)]
    if missing:
        raise _unusable(path, where, f"it has no {missing[0]}")
    return kind(**given, **{key: _value(known[key], value, path, f"{prefix}{key}") for key, value in table.items()})


def _required(one: Field[Any]) -> bool:
    return one.default is MISSING and one.default_factory is MISSING


def _value(kind: Any, value: object, path: Path, where: str) -> object:
    try:
        if kind is timedelta:
            return duration(value)
        if kind == Window | None:
            return window(value)
        if kind == dict[str, Environment]:
            tables = msgspec.convert(value, dict[str, Any])
            return {
                name: _build(Environment, table, path, f"{where}.{name}", name=name) for name, table in tables.items()
            }
        if isinstance(kind, type) and is_dataclass(kind):
            return _build(kind, value, path, where)
        return msgspec.convert(value, kind)
    except (msgspec.ValidationError, ValueError) as exc:
        raise _unusable(path, where, str(exc)) from exc


def _unusable(path: Path, where: str, why: str) -> SettingsInvalid:
    return SettingsInvalid(
        what=f"the setting {where} in {path.name} cannot be used; nothing was touched",
        why=why,
        fix=f"correct it in {path}; docs/settings.md lists every key",
    )


def duration(value: object) -> timedelta:
    """Return a time span written as `100ms`, `1s`, `10m`, `2h` or `1d`. Raises ValueError."""
    match = _DURATION.fullmatch(value.strip()) if isinstance(value, str) else None
    if match is None:
        raise ValueError(f"{value!r} is not a time span such as '100ms', '1s', '10m' or '2h'")
    seconds = float(match[1]) * _UNIT_S[match[2]]
    if seconds > _LONGEST_S:
        raise ValueError(f"{value!r} is longer than a hundred years")
    return timedelta(seconds=seconds)


def window(value: object) -> Window:
    """Return a window written as `Mon-Fri 22:00-05:00 Europe/Berlin`; UTC where no zone is named. Raises ValueError."""
    match = _WINDOW.fullmatch(value.strip()) if isinstance(value, str) else None
    days = [d.lower() for d in (match[1], match[2] or match[1])] if match else []
    if match is None or any(d not in _DAYS for d in days):
        raise ValueError(f"{value!r} is not a window such as 'Mon-Fri 22:00-05:00 Europe/Berlin'")
    first, last = _DAYS.index(days[0]), _DAYS.index(days[1])
    zone = match[5] or "UTC"
    try:
        opens, closes = time.fromisoformat(match[3]), time.fromisoformat(match[4])
    except ValueError as exc:
        raise ValueError(f"{match[3]}-{match[4]} are not two times of a day") from exc
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError) as exc:
        raise ValueError(f"{zone!r} is not a time zone of the IANA list") from exc
    return Window(
        days=frozenset((first + i) % 7 for i in range((last - first) % 7 + 1)),
        opens=opens,
        closes=closes,
        timezone=zone,
    )

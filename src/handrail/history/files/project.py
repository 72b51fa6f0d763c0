"""Where a project keeps its migrations: Alembic's settings, read without importing anything of the project."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from configparser import ConfigParser, DuplicateOptionError, DuplicateSectionError, InterpolationError, ParsingError
from configparser import Error as IniError
from dataclasses import dataclass, field
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from handrail.errors import ProjectUnreadable

if TYPE_CHECKING:
    from alembic.config import Config

#: What `path_separator` may say. Source: alembic/config.py, Config._get_file_separator_char.
_SEPARATORS = {"space": " ", "newline": "\n", "os": os.pathsep, ":": ":", ";": ";"}
_LEGACY_LOCATIONS = re.compile(r", *|(?: +)")
_LEGACY_SYS_PATH = re.compile(r", *|(?: +)|:")
_NAME_THE_INI = 'set alembic = "path/to/alembic.ini" under [tool.handrail] in pyproject.toml'


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """One Alembic environment of a project. All paths are absolute.

    `root` is the folder that relative paths start from, where Alembic's own command would be run. `ini` and
    `pyproject` are the files the settings came from, None where there is none (`pyproject` is None too where it has no
    [tool.alembic]). `section` is the main section of the ini. `version_locations` need not exist.
    `options` are the main section's settings with those of pyproject.toml behind them, interpolated where that is
    possible; lists are joined by newlines. They may hold a password and are left out of `repr`.
    """

    root: Path
    ini: Path | None
    pyproject: Path | None
    section: str
    script_location: Path
    version_locations: tuple[Path, ...]
    options: tuple[tuple[str, str], ...] = field(repr=False)
    prepend_sys_path: tuple[Path, ...] = ()
    recursive: bool = False
    sourceless: bool = False

    @property
    def env_py(self) -> Path:
        """The file that Alembic runs to connect and configure."""
        return self.script_location / "env.py"

    @property
    def code_folders(self) -> tuple[Path, ...]:
        """The folders that the project's own modules are imported from, that of the package around env.py last."""
        package = self.script_location
        while (package / "__init__.py").is_file() and package.parent != package:
            package = package.parent
        return (*self.prepend_sys_path, self.root, self.root / "src", package)

    def option(self, name: str) -> str | None:
        """Return one setting, None where it is not set."""
        return next((value for key, value in self.options if key == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Files:
    """The files found. `ini_leads` is False where Alembic's own command would not have found the ini."""

    ini: Path | None
    pyproject: Path | None
    toml: Mapping[str, object]
    ini_leads: bool


def find(root: Path, *, ini: str | None = None, section: str = "alembic") -> Project:
    """Return the Alembic project under `root`, reading files only.

    `ini` is the path that [tool.handrail] names, relative to `root`; then come ALEMBIC_CONFIG, alembic.ini,
    migrations/alembic.ini and */alembic.ini, and [tool.alembic] in pyproject.toml beside any of them. An ini that
    Alembic's command would find wins over pyproject.toml, one found elsewhere only adds to it.

    Raises ProjectUnreadable: no settings, settings that cannot be read, a script folder or env.py that is not there.
    Source: https://alembic.sqlalchemy.org/en/latest/tutorial.html#using-pyproject-toml-for-configuration
    """
    root = root.absolute()
    files = _find_files(root, ini)
    parser = _read_ini(files.ini, section)
    options = _options(parser, section, files)
    prepend = _locations(options, "prepend_sys_path", _LEGACY_SYS_PATH)
    sys_path = tuple(Path(os.path.normpath(root / entry)) for entry in prepend)
    script_location = _script_location(root, files, options, sys_path)
    _require_environment(script_location, files)
    given = _locations(options, "version_locations", _LEGACY_LOCATIONS)
    return Project(
        root=root,
        ini=files.ini,
        pyproject=files.pyproject,
        section=section,
        script_location=script_location,
        version_locations=tuple(_located(root, files.ini, entry, sys_path) for entry in given)
        or (script_location / "versions",),
        options=tuple(
            (name, "\n".join(value) if isinstance(value, list) else value) for name, value in options.items()
        ),
        prepend_sys_path=sys_path,
        recursive=options.get("recursive_version_locations") == "true",
        sourceless=options.get("sourceless") == "true",
    )


def alembic_config(project: Project) -> Config:
    """Return Alembic's own Config of the project, with absolute folders, so that the working directory is no matter."""
    from alembic.config import Config  # noqa: PLC0415 - half a second that reading a graph does not need

    config = Config(project.ini, toml_file=project.pyproject, ini_section=project.section)
    settings = {
        "script_location": str(project.script_location),
        "version_locations": "\n".join(map(str, project.version_locations)),
        "path_separator": "newline",
    }
    if project.prepend_sys_path:
        settings["prepend_sys_path"] = "\n".join(map(str, project.prepend_sys_path))
    for name, value in settings.items():
        config.set_main_option(name, value.replace("%", "%%"))
    return config


def _find_files(root: Path, given: str | None) -> _Files:
    named = given or os.environ.get("ALEMBIC_CONFIG")
    source = "alembic in [tool.handrail]" if given else "the environment variable ALEMBIC_CONFIG"
    pyproject = root / "pyproject.toml"
    ini: Path | None = None
    if named and Path(named).name == "pyproject.toml":
        pyproject = root / named
    elif named:
        ini = root / named
    if named and not (root / named).is_file():
        raise ProjectUnreadable(
            what="cannot read the Alembic settings",
            why=f"{source} names {named}, and there is no such file in {root}",
            fix="correct the path, or leave the setting out to have the file found",
        )
    toml = _read_toml(pyproject)
    searched = [root / "alembic.ini", root / "migrations" / "alembic.ini"]
    leads = ini is not None or searched[0].is_file()
    if ini is None:
        ini = next((path for path in searched if path.is_file()), None) or _one_level_down(root, toml=bool(toml))
    if ini is None and not toml:
        places = "alembic.ini, migrations/alembic.ini, */alembic.ini and [tool.alembic] in pyproject.toml"
        raise ProjectUnreadable(
            what="no Alembic settings found",
            why=f"looked for {places} in {root}",
            fix=f"run handrail in the project's folder, or {_NAME_THE_INI}",
        )
    return _Files(ini=ini, pyproject=pyproject if toml else None, toml=toml, ini_leads=leads)


def _one_level_down(root: Path, *, toml: bool) -> Path | None:
    found = sorted(path for path in root.glob("*/alembic.ini") if not path.parent.name.startswith("."))
    if len(found) > 1 and not toml:
        raise ProjectUnreadable(
            what="several Alembic settings found",
            why=", ".join(str(path.relative_to(root)) for path in found),
            fix=_NAME_THE_INI,
        )
    return found[0] if len(found) == 1 else None


def _read_toml(path: Path) -> Mapping[str, object]:
    try:
        text = path.read_bytes().decode()
        tool = tomllib.loads(text).get("tool", {})
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _unreadable(path, error) from error
    table = tool.get("alembic", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        raise ProjectUnreadable(
            what=f"cannot read {path}", why="tool.alembic is not a table", fix="write its settings under [tool.alembic]"
        )
    return table


def _read_ini(path: Path | None, section: str) -> ConfigParser:
    parser = ConfigParser({"here": path.parent.as_posix()} if path else None)
    if path is None:
        return parser
    try:
        # The locale's encoding is what Alembic reads with: alembic/util/compat.py, read_config_parser.
        parser.read_string(path.read_text(encoding="locale"), source=str(path))
    except DuplicateOptionError as error:
        reason = f"line {error.lineno}: {error.option} is set twice in [{error.section}]"
        raise _unreadable(path, reason) from error
    except DuplicateSectionError as error:
        raise _unreadable(path, f"line {error.lineno}: a second section [{error.section}]") from error
    except ParsingError as error:
        # MissingSectionHeaderError, a subclass, has `lineno` and an empty list.
        line = getattr(error, "lineno", None) or error.errors[0][0]
        raise _unreadable(path, f"line {line}: neither a [section] nor `name = value`") from error
    except (OSError, UnicodeDecodeError, IniError) as error:
        raise _unreadable(path, error) from error
    if not parser.has_section(section) and section != "alembic":
        raise _unreadable(path, f"it has no section [{section}]")
    return parser


def _unreadable(path: Path, reason: object) -> ProjectUnreadable:
    return ProjectUnreadable(
        what=f"cannot read {path}", why=str(reason), fix="correct that file; `alembic history` must read it too"
    )


_Options = dict[str, "str | list[str]"]


def _options(parser: ConfigParser, section: str, files: _Files) -> _Options:
    from_ini: _Options = {}
    for name in parser.options(section) if parser.has_section(section) else ():
        try:
            from_ini[name] = parser.get(section, name)
        except InterpolationError as error:
            if name in {"script_location", "version_locations", "prepend_sys_path"}:
                assert files.ini is not None
                raise _unreadable(files.ini, f"{name}: {error.message.strip()} (a literal % is written %%)") from error
            from_ini[name] = parser.get(section, name, raw=True)
    from_toml = {name: _toml_value(name, value, files) for name, value in files.toml.items() if _plain(value)}
    return {**from_toml, **from_ini} if files.ini_leads else {**from_ini, **from_toml}


def _plain(value: object) -> bool:
    return not isinstance(value, dict) and not (
        isinstance(value, list) and any(isinstance(item, dict) for item in value)
    )


def _toml_value(name: str, value: object, files: _Files) -> str | list[str]:
    assert files.pyproject is not None
    here = {"here": files.pyproject.parent.as_posix()}
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        if isinstance(value, list):
            return [str(item) % here for item in value]
        return str(value) % here if isinstance(value, str) else str(value)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"tool.alembic.{name}: only %(here)s is replaced, and a literal % is written %%"
        raise _unreadable(files.pyproject, reason) from error


def _locations(options: _Options, name: str, legacy: re.Pattern[str]) -> list[str]:
    """Return a list of folders as Alembic splits it; [] where it is not set. Source: alembic/config.py."""
    value = options.get(name, "")
    if isinstance(value, list):
        return value
    if not value.strip():
        return []
    named = options.get("path_separator")
    if named is None and name == "version_locations":
        named = options.get("version_path_separator")
    if named is None:
        return [entry for entry in legacy.split(value.strip()) if entry]
    separator = _SEPARATORS.get(str(named))
    if separator is None:
        raise ProjectUnreadable(
            what=f"cannot split {name} of the Alembic settings",
            why=f"path_separator is {named!r}",
            fix=f"use one of {', '.join(_SEPARATORS)}",
        )
    return [entry.strip() for entry in value.split(separator) if entry.strip()]


def _script_location(root: Path, files: _Files, options: _Options, sys_path: tuple[Path, ...]) -> Path:
    given = options.get("script_location")
    if isinstance(given, str) and given:
        return _located(root, files.ini, given, sys_path)
    # Flask-Migrate keeps its ini in the script folder and sets the location at run time.
    if files.ini is not None and (files.ini.parent / "env.py").is_file():
        return files.ini.parent
    where = files.ini or files.pyproject
    raise ProjectUnreadable(
        what="the Alembic settings name no script folder",
        why=f"script_location is missing in {where}",
        fix="add script_location = migrations (the folder that holds env.py)",
    )


def _located(root: Path, ini: Path | None, entry: str, sys_path: tuple[Path, ...]) -> Path:
    if not Path(entry).is_absolute() and ":" in entry:
        return _package_resource(entry, (*sys_path, root))
    candidates = [root / entry] + ([ini.parent / entry] if ini else [])
    return Path(os.path.normpath(next((path for path in candidates if path.exists()), candidates[0])))


def _package_resource(entry: str, sys_path: tuple[Path, ...]) -> Path:
    """Return the folder that `package:folder` means, from the import path alone: no package is imported."""
    package, *rest = entry.split(":")
    top, *inner = package.split(".")
    # find_spec imports parents but not the name itself; editable installs have finders of their own.
    spec = PathFinder.find_spec(top, [str(path) for path in sys_path]) or (find_spec(top) if top else None)
    for name in inner:
        spec = PathFinder.find_spec(name, spec.submodule_search_locations) if spec else None
    locations = spec.submodule_search_locations if spec else None
    if not locations:
        raise ProjectUnreadable(
            what=f"cannot find the folder {entry} of the Alembic settings",
            why=f"no package {package} on the import path",
            fix="install the project into Handrail's environment, or add its folder to prepend_sys_path",
        )
    candidates = [Path(folder, *rest) for folder in locations]
    return next((path for path in candidates if path.exists()), candidates[0])


def _require_environment(script_location: Path, files: _Files) -> None:
    where = files.ini or files.pyproject
    if not script_location.is_dir():
        raise ProjectUnreadable(
            what="the folder of the migrations does not exist",
            why=f"script_location in {where} leads to {script_location}",
            fix=f"correct script_location, or run: alembic init {script_location.name}",
        )
    if not (script_location / "env.py").is_file():
        raise ProjectUnreadable(
            what="the folder of the migrations has no env.py",
            why=f"{script_location} was named by {where}",
            fix="correct script_location, or bring env.py back from version control",
        )

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory

from handrail.errors import ProjectUnreadable
from handrail.history.files.project import Project, alembic_config, find

TOML = '[tool.alembic]\nscript_location = "%(here)s/migrations"\n'


@pytest.fixture(autouse=True)
def no_setting_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ALEMBIC_CONFIG", raising=False)


def environment(folder: Path) -> Path:
    (folder / "versions").mkdir(parents=True)
    (folder / "env.py").write_text("raise SystemExit('run by nobody')\n")
    return folder


def ini(path: Path, settings: str = "script_location = migrations", section: str = "alembic") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"[{section}]\n{settings}\n")
    return path


def refusal(root: Path, **arguments: str) -> ProjectUnreadable:
    with pytest.raises(ProjectUnreadable) as caught:
        find(root, **arguments)
    assert caught.value.what
    assert caught.value.why
    assert caught.value.fix
    return caught.value


def locations(script: ScriptDirectory) -> tuple[Path, ...]:
    return tuple(Path(path) for path in script.version_locations)


def test_the_ini_of_the_root_is_found(tmp_path: Path) -> None:
    migrations = environment(tmp_path / "migrations")
    found = ini(tmp_path / "alembic.ini")
    project = find(tmp_path)
    assert (project.ini, project.pyproject, project.section) == (found, None, "alembic")
    assert project.script_location == migrations
    assert project.version_locations == (migrations / "versions",)
    assert project.env_py == migrations / "env.py"


@pytest.mark.parametrize("place", ["migrations/alembic.ini", "db/alembic.ini"])
def test_an_ini_one_level_down_is_found(tmp_path: Path, place: str) -> None:
    environment(tmp_path / "migrations")
    found = ini(tmp_path / place)
    assert find(tmp_path).ini == found


def test_the_ini_of_the_migrations_goes_before_others_one_level_down(tmp_path: Path) -> None:
    environment(tmp_path / "migrations")
    ini(tmp_path / "a" / "alembic.ini")
    found = ini(tmp_path / "migrations" / "alembic.ini")
    assert find(tmp_path).ini == found


def test_several_inis_one_level_down_are_refused_by_name(tmp_path: Path) -> None:
    ini(tmp_path / "a" / "alembic.ini")
    ini(tmp_path / "b" / "alembic.ini")
    error = refusal(tmp_path)
    assert error.why == "a/alembic.ini, b/alembic.ini"
    assert "[tool.handrail]" in error.fix


def test_the_path_in_the_settings_wins_over_all_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(tmp_path / "migrations")
    ini(tmp_path / "alembic.ini")
    from_environment = ini(tmp_path / "env.ini")
    given = ini(tmp_path / "etc" / "own.ini")
    monkeypatch.setenv("ALEMBIC_CONFIG", "env.ini")
    assert find(tmp_path).ini == from_environment
    assert find(tmp_path, ini="etc/own.ini").ini == given
    assert "no such file" in refusal(tmp_path, ini="lost.ini").why
    monkeypatch.setenv("ALEMBIC_CONFIG", "lost.ini")
    assert "ALEMBIC_CONFIG" in refusal(tmp_path).why


def test_pyproject_alone_is_enough(tmp_path: Path) -> None:
    migrations = environment(tmp_path / "migrations")
    environment(tmp_path / "more")
    (tmp_path / "pyproject.toml").write_text(
        TOML
        + 'version_locations = ["%(here)s/migrations/versions", "more/versions"]\nprepend_sys_path = [".", "src"]\n'
        + "recursive_version_locations = true\n"
        + '[[tool.alembic.post_write_hooks]]\nname = "ruff"\n'
    )
    project = find(tmp_path)
    assert (project.ini, project.pyproject) == (None, tmp_path / "pyproject.toml")
    assert project.version_locations == (migrations / "versions", tmp_path / "more" / "versions")
    assert project.prepend_sys_path == (tmp_path, tmp_path / "src")
    assert project.recursive


def test_pyproject_named_by_the_environment_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(tmp_path / "etc" / "migrations")
    (tmp_path / "etc" / "pyproject.toml").write_text(TOML)
    monkeypatch.setenv("ALEMBIC_CONFIG", "etc/pyproject.toml")
    assert find(tmp_path).script_location == tmp_path / "etc" / "migrations"


def test_pyproject_leads_over_an_ini_left_in_the_migrations(tmp_path: Path) -> None:
    migrations = environment(tmp_path / "migrations")
    (tmp_path / "pyproject.toml").write_text(TOML)
    found = ini(migrations / "alembic.ini", "script_location = elsewhere\nsqlalchemy.url = sqlite://")
    project = find(tmp_path)
    assert (project.ini, project.pyproject) == (found, tmp_path / "pyproject.toml")
    assert project.script_location == migrations
    assert project.option("sqlalchemy.url") == "sqlite://"


def test_an_ini_that_alembic_finds_itself_leads_over_pyproject(tmp_path: Path) -> None:
    environment(tmp_path / "migrations")
    other = environment(tmp_path / "other")
    (tmp_path / "pyproject.toml").write_text(TOML)
    ini(tmp_path / "alembic.ini", "script_location = other")
    assert find(tmp_path).script_location == other


def test_a_pyproject_without_alembic_s_table_does_not_count(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.handrail]\n")
    error = refusal(tmp_path)
    assert "alembic.ini, migrations/alembic.ini, */alembic.ini and [tool.alembic]" in error.why
    assert str(tmp_path) in error.why


@pytest.mark.parametrize(
    "settings",
    [
        "version_locations = %(here)s/migrations/versions %(here)s/more",
        "version_locations = migrations/versions, more",
        "version_locations = migrations/versions more\npath_separator = space",
        "version_locations = migrations/versions:more\npath_separator = os",
        "version_locations = migrations/versions:more\nversion_path_separator = :",
        "version_locations = migrations/versions;more\npath_separator = ;",
        "version_locations =\n  migrations/versions\n  more\npath_separator = newline",
    ],
)
@pytest.mark.filterwarnings("ignore:.*path_separator:DeprecationWarning")
def test_version_locations_are_split_as_alembic_splits_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: str
) -> None:
    environment(tmp_path / "migrations")
    path = ini(tmp_path / "alembic.ini", f"script_location = %(here)s/migrations\n{settings}")
    project = find(tmp_path)
    assert project.version_locations == (tmp_path / "migrations" / "versions", tmp_path / "more")
    monkeypatch.chdir(tmp_path)
    theirs = locations(ScriptDirectory.from_config(Config(path)))
    assert tuple(tmp_path / location for location in theirs) == project.version_locations


def test_a_path_separator_that_alembic_does_not_know_is_refused(tmp_path: Path) -> None:
    environment(tmp_path / "migrations")
    ini(tmp_path / "alembic.ini", "script_location = migrations\nversion_locations = a|b\npath_separator = |")
    assert "'|'" in refusal(tmp_path).why


def test_a_relative_folder_is_taken_from_the_root_or_else_from_the_ini(tmp_path: Path) -> None:
    inner = environment(tmp_path / "db" / "scripts")
    ini(tmp_path / "db" / "alembic.ini", "script_location = scripts")
    assert find(tmp_path).script_location == inner
    outer = environment(tmp_path / "scripts")
    assert find(tmp_path).script_location == outer


def test_flask_migrate_s_ini_without_a_location_means_its_own_folder(tmp_path: Path) -> None:
    migrations = environment(tmp_path / "migrations")
    ini(migrations / "alembic.ini", "# template used to generate migration files")
    assert find(tmp_path).script_location == migrations


def test_a_percent_sign_is_escaped_by_another(tmp_path: Path) -> None:
    migrations = environment(tmp_path / "50%")
    ini(tmp_path / "alembic.ini", "script_location = 50%%")
    project = find(tmp_path)
    assert project.script_location == migrations
    assert ScriptDirectory.from_config(alembic_config(project)).dir == str(migrations)


def test_a_single_percent_sign_in_the_location_is_refused(tmp_path: Path) -> None:
    ini(tmp_path / "alembic.ini", "script_location = 50%")
    assert "%%" in refusal(tmp_path).why


def test_a_url_that_cannot_be_interpolated_is_kept_as_written_and_never_shown(tmp_path: Path) -> None:
    environment(tmp_path / "migrations")
    ini(tmp_path / "alembic.ini", "script_location = migrations\nsqlalchemy.url = postgresql://u:canary%1@h/d")
    project = find(tmp_path)
    assert project.option("sqlalchemy.url") == "postgresql://u:canary%1@h/d"
    assert "canary" not in repr(project)


def test_a_package_is_found_without_being_imported(tmp_path: Path) -> None:
    package = tmp_path / "src" / "handrail_shop"
    migrations = environment(package / "db" / "migrations")
    for folder in (package, package / "db"):
        (folder / "__init__.py").write_text("raise RuntimeError('imported')\n")
    settings = "script_location = handrail_shop.db:migrations\nprepend_sys_path = src\npath_separator = os"
    ini(tmp_path / "alembic.ini", settings)
    assert find(tmp_path).script_location == migrations
    assert "handrail_shop" not in sys.modules


def test_an_installed_package_is_found(tmp_path: Path) -> None:
    ini(tmp_path / "alembic.ini", "script_location = alembic:templates:generic")
    assert find(tmp_path).script_location.name == "generic"


@pytest.mark.parametrize("location", ["nowhere_pkg:migrations", "alembic.nowhere:x", ":migrations", "..:x"])
def test_a_package_that_is_not_there_is_refused_by_name(tmp_path: Path, location: str) -> None:
    ini(tmp_path / "alembic.ini", f"script_location = {location}")
    assert location in refusal(tmp_path).what


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("script_location = migrations\n", "line 1"),
        ("[alembic]\nscript_location\n", "line 2"),
        ("[alembic]\na = 1\na = 2\n", "line 3: a is set twice"),
        ("[alembic]\n[alembic]\n", "line 2: a second section [alembic]"),
        ("[alembic]\nsqlalchemy.url = x\n", "script_location is missing"),
        ("[logging]\n", "script_location is missing"),
    ],
)
def test_an_ini_that_cannot_be_used_is_refused_with_its_line(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "alembic.ini").write_text(text)
    error = refusal(tmp_path)
    assert reason in error.why
    assert "alembic.ini" in error.what + error.why


def test_an_ini_in_the_wrong_encoding_is_refused(tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_bytes(b"[alembic]\n# f\xfcr\n")
    assert "alembic.ini" in refusal(tmp_path).what


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[tool.alembic\n", "line 1"),
        ("[tool]\nalembic = 1\n", "not a table"),
        ('[tool.alembic]\nscript_location = "%(there)s/x"\n', "%(here)s"),
        ('[tool.alembic]\nprepend_sys_path = ["."]\n', "script_location is missing"),
    ],
)
def test_a_pyproject_that_cannot_be_used_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "pyproject.toml").write_text(text)
    assert reason in refusal(tmp_path).why


def test_a_missing_folder_and_a_missing_env_py_are_told_apart(tmp_path: Path) -> None:
    ini(tmp_path / "alembic.ini")
    assert str(tmp_path / "migrations") in refusal(tmp_path).why
    (tmp_path / "migrations").mkdir()
    assert "no env.py" in refusal(tmp_path).what


def test_another_section_can_be_asked_for(tmp_path: Path) -> None:
    tenant = environment(tmp_path / "tenant")
    ini(tmp_path / "alembic.ini", "script_location = tenant", section="tenant")
    assert find(tmp_path, section="tenant").script_location == tenant
    assert "[core]" in refusal(tmp_path, section="core").why


@pytest.mark.parametrize("layout", ["ini", "pyproject", "both"])
def test_alembic_s_config_does_not_depend_on_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str
) -> None:
    root = tmp_path / "a project"
    migrations = environment(root / "migrations")
    if layout != "ini":
        (root / "pyproject.toml").write_text(TOML + 'prepend_sys_path = ["."]\n')
    if layout != "pyproject":
        ini(root / ("alembic.ini" if layout == "ini" else "migrations/alembic.ini"), "script_location = migrations")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    project = find(root)
    script = ScriptDirectory.from_config(alembic_config(project))
    assert script.dir == str(migrations)
    assert locations(script) == project.version_locations == (migrations / "versions",)
    assert (str(root) in sys.path) is (layout != "ini")


def test_a_relative_root_becomes_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment(tmp_path / "migrations")
    ini(tmp_path / "alembic.ini")
    monkeypatch.chdir(tmp_path)
    project: Project = find(Path())
    assert project.root == tmp_path
    assert project.script_location.is_absolute()

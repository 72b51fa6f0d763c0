"""The house keeps its own rules: layers, caps, who imports what, and what the wheel carries."""

from __future__ import annotations

import ast
import runpy
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from handrail import errors

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "handrail"
PURE = ("model", "rules", "gates", "reports")
ALLOWED_IN_PURE = ("mako", "handrail.errors", "handrail.model")
ERRORS = [
    thing for thing in vars(errors).values() if isinstance(thing, type) and issubclass(thing, errors.HandrailError)
]


def modules(*rooms: str) -> list[Path]:
    """Every module of those rooms, of the whole package without any."""
    folders = [PACKAGE / room for room in rooms] or [PACKAGE]
    return sorted(path for folder in folders for path in folder.rglob("*.py"))


def room(path: Path) -> str:
    return path.relative_to(PACKAGE).as_posix()


def imports(path: Path) -> Iterator[str]:
    """The dotted name of everything a module imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively"
            yield node.module or ""


def loaded_by(*arguments: str) -> set[str]:
    """The names of all modules a fresh interpreter has loaded after `handrail ...` has ended."""
    program = (
        "import sys\n"
        f"sys.argv = ['handrail', *{list(arguments)!r}]\n"
        "from handrail.cli.main import run\n"
        "try:\n"
        "    run()\n"
        "except SystemExit as end:\n"
        "    assert not end.code, end.code\n"
        "print(*sys.modules, sep='\\n', file=sys.stderr)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "command",
    [
        pytest.param([str(Path(sys.executable).with_name("lint-imports"))], id="import contracts"),
        pytest.param([sys.executable, "tools/caps.py"], id="caps"),
    ],
)
def test_the_house_is_in_order(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_what_outgrows_its_room_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    room = tmp_path / "src" / "room"
    room.mkdir(parents=True)
    (room / "long.py").write_text("def long():\n" + "    pass\n" * 400)
    (tmp_path / "requirements.txt").write_text("--index-url https://example.org/simple\n")
    (tmp_path / "uv.lock").write_text("")
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    subprocess.run(["git", "-C", str(tmp_path), "add", "uv.lock"], check=True)

    assert runpy.run_path(str(ROOT / "tools" / "caps.py"))["main"](tmp_path) == 1

    assert capsys.readouterr().out.splitlines() == [
        "src/room/long.py: 401 lines, at most 400",
        "src/room/long.py:1: long has 401 lines, at most 60",
        "uv.lock: is tracked, and names a registry",
        "requirements.txt:1: names a host: --index-url https://example.org/simple",
    ]


@pytest.mark.parametrize("path", modules(*PURE), ids=room)
def test_pure_rooms_import_the_standard_library_mako_and_values_only(path: Path) -> None:
    allowed_here = (*ALLOWED_IN_PURE, f"handrail.{path.parent.name}")  # plug-ins: see the import contracts
    strangers = [
        name
        for name in imports(path)
        if name.partition(".")[0] not in sys.stdlib_module_names
        and not any(name == allowed or name.startswith(f"{allowed}.") for allowed in allowed_here)
    ]
    assert strangers == []


def test_help_loads_neither_sqlalchemy_nor_alembic_nor_rich() -> None:
    top_level = {name.partition(".")[0] for name in loaded_by("--help")}
    assert "click" in top_level
    assert top_level.isdisjoint({"sqlalchemy", "alembic", "rich", "psycopg", "mako"})


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_every_error_has_three_parts_and_an_exit_status(kind: type[errors.HandrailError]) -> None:
    error = kind(what="the step failed", why="the disk is full", fix="make room")
    assert error.what.startswith("the step failed")
    assert (error.why, error.fix) == ("the disk is full", "make room")
    assert isinstance(error.exit, errors.Exit)
    assert error.exit is not errors.Exit.DONE
    assert kind.__doc__


def test_everything_is_caught_in_three_places_only() -> None:
    catching = {
        room(path)
        for path in modules()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ExceptHandler) and catches_everything(node)
    }
    in_history = {path for path in catching if path.startswith("history/")}
    assert catching - in_history <= {"cli/main.py", "registry.py"}
    assert len(in_history) <= 1


def catches_everything(handler: ast.ExceptHandler) -> bool:
    """Whether it is `except:`, or names Exception or BaseException without raising it on at its end."""
    names = (
        {node.id for node in ast.walk(handler.type) if isinstance(node, ast.Name)} if handler.type else {"Exception"}
    )
    raised_on = isinstance(handler.body[-1], ast.Raise) and handler.body[-1].exc is None
    return bool(names & {"Exception", "BaseException"}) and not raised_on


@pytest.mark.slow
def test_the_wheel_carries_the_example(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = tmp_path.glob("handrail-*.whl")
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        "handrail/py.typed",
        "handrail/reports/templates/run.html.mako",
        "handrail/reports/templates/run.css",
        "handrail/history/files/templates/script.py.mako",
        "handrail/history/files/templates/apply_migrations.py",
        "handrail/history/files/templates/migrations.yml",
        "handrail/data/htstatus/pyproject.toml",
        "handrail/data/htstatus/models.py",
        "handrail/data/htstatus/migrations/env.py",
    } <= names
    assert not [name for name in names if "__pycache__" in name or "/.handrail/" in name or "/.venv/" in name]

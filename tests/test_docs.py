"""The pages tell the truth: their commands run, their settings load, their tables equal the code."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import get_type_hints

import pytest

from handrail import config, errors

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "benchmarks").glob("*.md")])
COMMANDS = sorted(path.stem for path in (ROOT / "docs" / "commands").glob("*.md"))

FENCE = re.compile(
    r"(?:^<!-- (?P<note>[^\n]*?) -->\n)?^```(?P<language>\w*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL
)
LINK = re.compile(r"\]\((?P<path>[^)#:]+)(?:#[^)]*)?\)")
OPTION_ROW = re.compile(r"^\| (`-.*?) \| ", re.MULTILINE)
OPTION = re.compile(r"^\s+(?:-\w, )?(--[a-z][a-z-]*)\b", re.MULTILINE)

#: Programs a page may show that are not run here: they would change the machine, or are tested elsewhere.
SHOWN_ONLY = frozenset({"git", "pip", "uv"})
NOT_RUN = "not run here"


@dataclass(frozen=True, slots=True, kw_only=True)
class Snippet:
    """One fenced block, with the HTML comment right above it; `exit` is the status its commands must end with."""

    page: Path
    language: str
    text: str
    note: str

    @property
    def exit(self) -> int:
        match = re.fullmatch(r"exit: (\d+)", self.note)
        return int(match[1]) if match else 0

    @property
    def commands(self) -> list[list[str]]:
        return [shlex.split(line.removeprefix("$ ")) for line in self.text.splitlines() if line.startswith("$ ")]


def name(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def snippets(language: str, page: Path | None = None) -> list[Snippet]:
    return [
        Snippet(page=path, language=match["language"], text=match["text"], note=match["note"] or "")
        for path in ([page] if page else PAGES)
        for match in FENCE.finditer(path.read_text())
        if match["language"] == language
    ]


def setting_keys(kind: type, prefix: str = "") -> Iterator[str]:
    """Every key a person may write, dotted; tables of tables get `<name>`."""
    hints = get_type_hints(kind)
    for field in fields(kind):
        if field.name in {"root", "name"}:  # set by the loader, not by a person
            continue
        hint = hints[field.name]
        if hint == dict[str, config.Environment]:
            yield from setting_keys(config.Environment, f"{prefix}{field.name}.<name>.")
        elif isinstance(hint, type) and is_dataclass(hint) and hint.__module__ == config.__name__:
            yield from setting_keys(hint, f"{prefix}{field.name}.")
        else:
            yield f"{prefix}{field.name}"


def handrail(*arguments: str) -> str:
    """What the command prints on stdout; it must succeed."""
    done = subprocess.run([str(BIN / "handrail"), *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def options(*command: str) -> set[str]:
    """The options of a command, and of the commands below it."""
    listing = handrail(*command, "--help")
    below = re.findall(r"^  ([a-z-]+)", listing.partition("Commands:")[2], re.MULTILINE)
    return set(OPTION.findall(listing)).union(*(options(*command, name) for name in below))


def test_every_code_block_is_of_a_kind_that_is_tested() -> None:
    kinds = {match["language"] for path in PAGES for match in FENCE.finditer(path.read_text())}
    assert kinds <= {"", "console", "toml", "python"}


def test_every_note_above_a_code_block_is_understood() -> None:
    notes = {s.note for s in snippets("console") if s.note}
    assert [n for n in notes if not re.fullmatch(rf"exit: \d+|{NOT_RUN}: .+", n)] == []


@pytest.mark.parametrize("page", PAGES, ids=name)
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    dead = [m["path"] for m in LINK.finditer(page.read_text()) if not (page.parent / m["path"]).exists()]
    assert dead == []


@pytest.mark.parametrize("snippet", snippets("toml"), ids=lambda s: name(s.page))
def test_the_settings_shown_are_settings(snippet: Snippet, tmp_path: Path) -> None:
    assert tomllib.loads(snippet.text)
    (tmp_path / "pyproject.toml").write_text(snippet.text)
    assert config.load(tmp_path).environments


@pytest.mark.parametrize("snippet", snippets("python"), ids=lambda s: name(s.page))
def test_the_python_shown_can_be_parsed(snippet: Snippet) -> None:
    assert ast.parse(snippet.text, filename=str(snippet.page)).body


def test_the_make_targets_shown_exist() -> None:
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))
    shown = {target for path in PAGES for target in re.findall(r"(?:\$ |`)make ([a-z-]+)", path.read_text())}
    assert {"demo", "test"} <= shown <= targets


def test_the_gate_runs_the_tests_as_the_readme_does() -> None:
    assert ["make", "test"] in [command for s in snippets("console", ROOT / "README.md") for command in s.commands]
    assert re.search(r"^make test\b", (ROOT / ".ci" / "run").read_text(), re.MULTILINE)


def test_the_page_of_exit_statuses_equals_the_code() -> None:
    rows = re.findall(r"^\| (\d+) \| ([A-Z_]+) \|", (ROOT / "docs" / "exit-codes.md").read_text(), re.MULTILINE)
    assert [(int(status), member) for status, member in rows] == [(e.value, e.name) for e in errors.Exit]


def test_the_page_of_settings_lists_every_key() -> None:
    listed = re.findall(r"^\| `([^`]+)` \|", (ROOT / "docs" / "settings.md").read_text(), re.MULTILINE)
    assert listed == list(setting_keys(config.Settings))


def test_the_architecture_names_every_room() -> None:
    tree = (ROOT / "docs" / "architecture.md").read_text().partition("src/handrail/\n")[2].partition("```")[0]
    named = set(re.findall(r"^  ([a-z_]+)(?:/|\.py) ", tree, re.MULTILINE))
    package = ROOT / "src" / "handrail"
    rooms = {p.stem for p in package.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    assert named == {room for room in rooms if not room.startswith("_")}


def test_every_command_has_a_page_and_a_line_in_the_readme() -> None:
    listing = handrail("--help").partition("Commands:")[2]
    assert sorted(re.findall(r"^  ([a-z-]+)", listing, re.MULTILINE)) == COMMANDS
    listed = re.findall(r"^\| \[`handrail ([a-z-]+)`\]", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert sorted(listed) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_the_page_of_a_command_lists_its_options(command: str) -> None:
    offered = options(command) - {"--help"}
    page = (ROOT / "docs" / "commands" / f"{command}.md").read_text()
    listed = {option for cell in OPTION_ROW.findall(page) for option in re.findall(r"--[a-z][a-z-]*", cell)}
    assert listed == offered


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("page", [p for p in PAGES if snippets("console", p)], ids=name)
def test_the_commands_of_a_page_run_in_its_order(page: Path, tmp_path: Path, postgresql_url: str) -> None:
    project = tmp_path / "htstatus"
    shutil.copytree(ROOT / "examples" / "htstatus", project, ignore=shutil.ignore_patterns("__pycache__", ".handrail"))
    environment = os.environ | {"DATABASE_URL": postgresql_url, "PATH": f"{BIN}{os.pathsep}{os.environ['PATH']}"}
    for snippet in snippets("console", page):
        assert snippet.commands, f"{name(page)}: a console block without a command"
        for command in snippet.commands:
            if command[0] in {"make", *SHOWN_ONLY} or snippet.note.startswith(NOT_RUN):
                continue
            assert command[0] in {"handrail", "alembic"}, f"{name(page)} shows {command[0]}, which nothing tests"
            done = subprocess.run(
                [str(BIN / command[0]), *command[1:]],
                cwd=project,
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == snippet.exit, f"$ {shlex.join(command)}\n{done.stdout}{done.stderr}"


def test_the_pages_of_the_rules_are_what_the_rules_say() -> None:
    command = [sys.executable, ROOT / "tools" / "rule_pages.py", "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.stdout == ""
    assert done.returncode == 0

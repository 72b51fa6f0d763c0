"""What `--help` says beside the options can be relied on: examples are commands, statuses are those of the code."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from handrail.cli.main import handrail
from handrail.errors import Exit


def commands(group: click.Group = handrail, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    context = click.Context(group)
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name)


COMMANDS = tuple(commands())


def shown(*path: str) -> str:
    return CliRunner().invoke(handrail, [*path, "--help"], prog_name="handrail").output


def understood(words: list[str]) -> tuple[str, ...]:
    """Return the path of the command that those words call. Raises ClickException where it takes no such words."""
    command: click.Command = handrail
    path: tuple[str, ...] = ()
    while isinstance(command, click.Group):
        _, found, words = command.resolve_command(click.Context(command), words)
        assert found is not None
        command, path = found, (*path, str(found.name))
    command.make_context(path[-1], words)
    return path


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_shows_examples_that_it_understands(
    path: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    examples = re.findall(r"^  \$ handrail (.+)$", shown(*path).partition("Examples:")[2], re.MULTILINE)
    assert examples
    for example in examples:
        words = shlex.split(example)
        for word in words:
            if word.endswith(".json"):  # files that have to be there
                Path(word).touch()
        assert understood(words) == path


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_each_command_names_exit_statuses_that_there_are(path: tuple[str, ...]) -> None:
    named = re.findall(r"^  (\d+) +\S", shown(*path).partition("Exit status:")[2], re.MULTILINE)
    assert named == sorted(named, key=int)
    assert {0, 2} <= {int(Exit(int(status))) for status in named}


def test_the_first_page_names_every_exit_status() -> None:
    assert re.findall(r"^  (\d+) +\S", shown().partition("Exit status:")[2], re.MULTILINE) == [
        str(int(e)) for e in Exit
    ]


@pytest.mark.parametrize("path", COMMANDS, ids=" ".join)
def test_an_option_with_a_default_names_it(path: tuple[str, ...]) -> None:
    text = " ".join(shown(*path).split())
    for option in ("--environment NAME", "--directory PATH", "--format ["):
        if option in text:
            assert "default: " in text.partition(option)[2].split(" --")[0], option


@pytest.mark.parametrize("group", ["backup", "versions"])
def test_a_group_tells_of_each_command_in_a_whole_sentence(group: str) -> None:
    assert "..." not in shown(group).partition("Commands:")[2]

"""The faces of the command line: help, hints, JSON, completion, prompts, the heartbeat; nothing needs colour."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from sqlalchemy import make_url
from workbench import Workbench

from handrail.cli.terminal import Terminal

COMMANDS = ("demo", "status", "history", "apply", "resume", "rollback", "verify", "log", "report")
_TIMEOUT_S = 60.0


def _handrail(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "handrail", *arguments],
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_S,
        check=False,
    )


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str, lite_bench: Workbench) -> None:
    long = lite_bench.run(command, "--help")
    assert long.returncode == 0
    assert long.stdout == lite_bench.run(command, "-h").stdout
    assert long.stdout.startswith(f"Usage: handrail {command}")
    _, _, rest = long.stdout.partition("\n\n")
    said, _, options = rest.partition("Options:")
    assert len(said.split()) >= 10, "a sentence at least, not a title"
    assert "--help" in options
    assert long.stderr == ""


def test_the_group_lists_every_command_and_is_shown_without_arguments() -> None:
    done = _handrail()
    assert done.returncode == 0
    assert done.stdout == _handrail("--help").stdout == _handrail("-h").stdout
    for command in COMMANDS:
        assert f"  {command} " in done.stdout


@pytest.mark.parametrize(("typed", "meant"), [("aply", "apply"), ("stats", "status"), ("verfy", "verify")])
def test_an_unknown_command_suggests_the_nearest_one(typed: str, meant: str, lite_bench: Workbench) -> None:
    done = lite_bench.run(typed)
    assert done.returncode == 2
    assert f"No such command {typed!r}. Did you mean {meant!r}?" in done.stderr
    assert "fix: handrail --help" in done.stderr


def test_an_unknown_command_that_is_near_to_none_is_refused(lite_bench: Workbench) -> None:
    done = lite_bench.run("xyzzy")
    assert done.returncode == 2
    assert "No such command 'xyzzy'" in done.stderr


JSON = {
    "status": ("status",),
    "history": ("history",),
    "dry-run": ("apply", "--dry-run"),
    "verify": ("verify",),
    "log": ("log",),
    "resume": ("resume",),
}


@pytest.mark.parametrize("kind", JSON)
def test_every_command_prints_one_json_document_with_its_schema(kind: str, lite_bench: Workbench) -> None:
    document = json.loads(lite_bench.run(*JSON[kind], "--format", "json").stdout)
    assert (document["schema"], document["kind"]) == (1, kind)


def test_apply_and_rollback_print_one_json_document_on_stdout_and_talk_on_stderr(lite_bench: Workbench) -> None:
    for command, goal in (("apply", ["aaa1"]), ("rollback", [])):
        done = lite_bench.run(command, "--yes", "--format=json")
        document = json.loads(done.stdout)
        assert (document["schema"], document["kind"], document["goal"]) == (1, command, goal)
        assert document["run"]["state"] == "done"
        assert document["run"]["started_at"].endswith("Z")
        assert "plan: 1 step" in done.stderr


def test_who_applies_sees_first_what_the_rules_warn_of(lite_bench: Workbench) -> None:
    assert "--dry-run" not in lite_bench.run("apply", "--yes").stderr
    lite_bench.revision("bbb2", "aaa1", 'op.drop_table("users")')
    said = lite_bench.run("apply", "--yes").stderr
    warned, begun = said.index("  error compat-drop-table: bbb2"), said.index("lease taken")
    assert warned < said.index("handrail review -e main") < begun


def test_no_escape_code_is_printed_whatever_the_colour_variables_say(lite_bench: Workbench) -> None:
    for env in ({}, {"NO_COLOR": "1"}, {"FORCE_COLOR": "1", "CLICOLOR_FORCE": "1"}):
        for command in (("status",), ("apply", "--dry-run"), ("history",), ("apply", "nowhere"), ("--help",)):
            done = lite_bench.run(*command, env=env)
            assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_are_given_their_completion(shell: str) -> None:
    if shell == "bash" and not _bash_completes():
        shell = "zsh"  # click asks the installed bash for its version
    assert "_HANDRAIL_COMPLETE" in _handrail(_HANDRAIL_COMPLETE=f"{shell}_source").stdout


def _bash_completes() -> bool:
    try:
        done = subprocess.run(["bash", "-c", "echo ${BASH_VERSINFO[0]}"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return False
    return done.stdout.strip().isdigit() and int(done.stdout) > 4


def test_completion_knows_commands_and_options() -> None:
    def completed(words: str, at: int) -> str:
        return _handrail(_HANDRAIL_COMPLETE="bash_complete", COMP_WORDS=words, COMP_CWORD=str(at)).stdout

    assert "apply" in completed("handrail ap", 1)
    assert "--dry-run" in completed("handrail apply --d", 2)


def test_a_silent_run_says_that_it_is_alive(capsys: pytest.CaptureFixture[str]) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    told = ""
    with Terminal(heartbeat_s=0.02):
        while told.count("still planning") < 2:
            assert time.monotonic() < deadline
            told += capsys.readouterr().err
    assert "still planning (0 s)" in told


def test_a_run_that_ends_soon_has_no_heartbeat(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal():
        pass
    assert capsys.readouterr().err == ""


@dataclass(kw_only=True)
class Person:
    """Someone at a terminal: sees what is printed there, and types."""

    process: subprocess.Popen[bytes]
    terminal: int
    seen: str = ""

    def wait_for(self, words: str) -> None:
        deadline = time.monotonic() + _TIMEOUT_S
        while words not in self.seen:
            assert time.monotonic() < deadline, self.seen
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += self._read()

    def types(self, line: str) -> None:
        os.write(self.terminal, f"{line}\n".encode())

    def end(self) -> int:
        """Read to the end; return the exit status."""
        while text := self._read():
            self.seen += text
        return self.process.wait(_TIMEOUT_S)

    def _read(self) -> str:
        try:
            return os.read(self.terminal, 4096).decode()
        except OSError:  # Linux tells so that the other end is closed
            return ""


@contextmanager
def _at_terminal(bench: Workbench, *arguments: str) -> Iterator[Person]:
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "handrail", *arguments],
        cwd=bench.root,
        env={**os.environ, "HANDRAIL_TEST_URL": bench.url},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        yield Person(process=process, terminal=ours)
    finally:
        process.kill()
        process.wait(_TIMEOUT_S)
        os.close(ours)


@pytest.fixture
def protected(lite_bench: Workbench) -> Workbench:
    lite_bench.settings("protected = true")
    return lite_bench


def test_typing_the_name_of_a_protected_database_goes_on(protected: Workbench) -> None:
    with _at_terminal(protected, "apply") as person:
        person.wait_for("main is protected. Type the database's name to go on:")
        person.types(make_url(protected.url).database.rpartition("/")[2])
        assert person.end() == 0, person.seen
        assert "main is at aaa1" in person.seen


def test_typing_another_name_touches_nothing(protected: Workbench) -> None:
    with _at_terminal(protected, "apply") as person:
        person.wait_for("Type the database's name")
        person.types("another")
        assert person.end() == 2
        assert "'another' was confirmed" in person.seen
    assert protected.json("status")["status"]["environments"][0]["standing"]["heads"] == []


def test_saying_yes_or_no_decides_where_the_environment_is_not_protected(lite_bench: Workbench) -> None:
    with _at_terminal(lite_bench, "apply") as person:
        person.wait_for("Run 1 step on test.db? [y/N]:")
        person.types("n")
        assert person.end() == 2
        assert "you said no" in person.seen
    with _at_terminal(lite_bench, "apply") as person:
        person.wait_for("[y/N]:")
        person.types("y")
        assert person.end() == 0


def test_leaving_at_the_question_touches_nothing(lite_bench: Workbench) -> None:
    with _at_terminal(lite_bench, "apply") as person:
        person.wait_for("[y/N]:")
        os.write(person.terminal, b"\x04")  # Ctrl-D
        assert person.end() == 130
        assert "stopped at the question; nothing was touched" in person.seen


def test_nothing_is_asked_without_a_terminal(protected: Workbench) -> None:
    done = protected.run("apply")
    assert done.returncode == 2
    assert "there is no terminal to ask at" in done.stderr
    assert "--confirm test.db, or HANDRAIL_CONFIRM=test.db" in done.stderr

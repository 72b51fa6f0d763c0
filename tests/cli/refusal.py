"""What every failure owes its reader: three parts, the state of the database, one JSON document, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from subprocess import CompletedProcess
from urllib.parse import quote

import pytest
from workbench import Workbench

from handrail.cli.main import main

CANARY = "c4n%ry@:/#x"
#: However a password is written, one of these is in it.
TRACES = ("c4n%ry", "c4n%25ry", quote(CANARY, safe=""), CANARY)
_STATES = (
    "nothing was touched",
    "nothing was run",
    "changed nothing",
    "the database is as it was before",
    "not known",
    "half applied",
)


def refusal(bench: Workbench, *arguments: str, exit_: int = 2, env: dict[str, str] | None = None) -> str:
    """Run a command that must fail with that exit status, check how it tells it, and return all that it told."""
    return told(bench.run(*arguments, "--format", "json", env=env), bench.root, exit_)


def refusal_here(bench: Workbench, capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Do the same in this process, for what ends before a database or code of the project is touched."""
    words = [*arguments, "-C", str(bench.root), "--format", "json"]
    exit_ = main(words)
    out, err = capsys.readouterr()
    return told(CompletedProcess(words, exit_, out, err), bench.root, 2)


def told(done: CompletedProcess[str], root: Path, exit_: int) -> str:
    """Check how a failed command with `--format json` tells what happened, and return it."""
    assert done.returncode == exit_, done.stderr
    document = json.loads(done.stdout)
    assert (document["schema"], document["kind"]) == (1, "error")
    error = document["error"]
    assert set(error) - {"report"} == {"what", "why", "fix", "exit"}
    assert error["exit"] == exit_
    assert all(error[part].strip() for part in ("what", "why", "fix"))
    assert any(state in error["what"] for state in _STATES), error["what"]
    report = f"  report: {error['report']}\n" if "report" in error else ""
    text = f"handrail: {error['what']}\n  why: {error['why']}\n  fix: {error['fix']}\n{report}"
    assert done.stderr.endswith(text), "people read on stderr what machines read on stdout"
    assert "Traceback" not in done.stderr
    assert_no_secret(done.stdout + done.stderr, root)
    return text


def assert_no_secret(output: str, root: Path) -> None:
    """Look for the canary in the output and in every file that a run may have written."""
    for trace in TRACES:
        assert trace not in output
        written = (path for folder in (root / ".handrail",) for path in folder.rglob("*") if path.is_file())
        for path in written:
            assert trace.encode() not in path.read_bytes(), path

"""`handrail demo`: the reference application, two of its releases at work, and its database migrated under them.

Every step is a command that a person could type in the demo's folder; it is shown, then run as a process of its own.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from importlib.util import find_spec
from pathlib import Path

import handrail
from handrail.engines.postgresql.binaries import find_any
from handrail.engines.postgresql.server import start
from handrail.errors import Exit, SandboxUnavailable
from handrail.host.process import die_with_parent

Say = Callable[[str], None]

_RELEASED = "59c0d7e8b4f1"  # the schema that v2 shipped with
_WARM_UP_S = 3
_TRAFFIC_S = 14
_RATE_PER_S = 40
_NEEDS = ("flask", "flask_migrate", "flask_sqlalchemy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one release's readers and writers met, as they report it themselves."""

    version: str
    ok: int
    failed: int
    errors: dict[str, int]
    max_ms: float


def demo(say: Say) -> Exit:
    """Show it all; return FAILED_CLEAN when a step, or a request of a release at work, failed."""
    _refuse_without_example()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="handrail-demo-")))
        shutil.copytree(_example(), folder / "htstatus", ignore=shutil.ignore_patterns(".handrail", "__pycache__"))
        say("A PostgreSQL of the demo's own is starting; it ends with the demo.")
        server = stack.enter_context(start(find_any()))
        server.create_database("htstatus")
        stage = _Stage(folder=folder / "htstatus", url=server.url("htstatus"), say=say)
        return Exit.DONE if _play(stage) else Exit.FAILED_CLEAN


def _play(stage: _Stage) -> bool:
    say = stage.say
    say("\nThe application HTStatus is at its release v2, with a few months of data.")
    going = stage.run("handrail", "apply", _RELEASED, "-e", "development", "--yes")
    going &= stage.run("python", "generate.py", "--size", "small")
    going &= stage.run("handrail", "status", "-e", "development")
    say(
        "\nRelease v3 brings three revisions. What would they do, and whom would they keep waiting? Nothing is written:"
    )
    going &= stage.run("handrail", "apply", "-e", "development", "--dry-run")
    say("\nNow for real, while v1 and v2 read and write, each a process of its own:")
    with stage.background("v1") as v1, stage.background("v2") as v2:
        going &= stage.run("sleep", str(_WARM_UP_S))
        going &= stage.run("handrail", "apply", "-e", "development", "--yes", "--verify-after")
        going &= stage.run("handrail", "verify", "-e", "development")
        say("\nWhat the two releases met meanwhile:")
        met = [_figures(process) for process in (v1, v2)]
    for figures in met:
        say(_sentence(figures))
    say("\nBack to where the last run began, with the downgrades that were deployed:")
    going &= stage.run("handrail", "rollback", "-e", "development", "--yes")
    say("\nAll of it is in the log, each entry chained to the one before:")
    going &= stage.run("handrail", "log", "-e", "development")
    say(_ENDING)
    return going and all(figures.failed == 0 and figures.ok > 0 for figures in met)


_ENDING = """
In your own project, with [tool.handrail.environments.development] in pyproject.toml:
  handrail status
  handrail apply -e development --dry-run
  handrail apply -e development"""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Stage:
    """The folder, the database and the voice."""

    folder: Path
    url: str
    say: Say

    def run(self, *words: str) -> bool:
        """Show a command, run it with our streams, and return whether it succeeded."""
        self.say(f"\n$ {shlex.join(words)}")
        return subprocess.run(_real(words), cwd=self.folder, env=self._env(), check=False).returncode == 0

    @contextmanager
    def background(self, version: str) -> Iterator[subprocess.Popen[str]]:
        """Show a command and run it in the background until the end of the block."""
        words = ("python", "traffic.py", "--version", version, "--seconds", str(_TRAFFIC_S), "--rate", str(_RATE_PER_S))
        self.say(f"\n$ {shlex.join(words)} &")
        with subprocess.Popen(
            _real(words),
            cwd=self.folder,
            env=self._env(),
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=partial(die_with_parent, parent=os.getpid()),  # noqa: PLW1509 - the demo runs no threads
        ) as process:
            try:
                yield process
            finally:
                process.terminate()

    def _env(self) -> dict[str, str]:
        return {**os.environ, "DATABASE_URL": self.url, "PYTHONUNBUFFERED": "1"}


def _real(words: Sequence[str]) -> list[str]:
    """Return the command as this interpreter runs it, whatever PATH says."""
    match words[0]:
        case "handrail":
            return [sys.executable, "-m", "handrail", *words[1:]]
        case "python":
            return [sys.executable, *words[1:]]
        case _:
            return list(words)


def _figures(process: subprocess.Popen[str]) -> Traffic:
    output, _ = process.communicate()
    last = json.loads(output.strip().splitlines()[-1]) if output.strip() else {}
    return Traffic(
        version=last.get("version", "?"),
        ok=last.get("ok", 0),
        failed=last.get("failed", 0),
        errors=last.get("errors", {}),
        max_ms=last.get("max_ms", 0.0),
    )


def _sentence(figures: Traffic) -> str:
    errors = ", ".join(f"{count} {name}" for name, count in figures.errors.items())
    failed = f"{figures.failed} failed ({errors})" if figures.failed else "none failed"
    return f"  {figures.version}: {figures.ok} requests, {failed}, the slowest took {figures.max_ms:.0f} ms"


def _example() -> Path:
    """Return the example: data of the wheel, or the checkout's own folder."""
    package = Path(handrail.__file__).parent
    candidates = (package / "data" / "htstatus", package.parents[1] / "examples" / "htstatus")
    return next((path for path in candidates if path.is_dir()), candidates[0])


def _refuse_without_example() -> None:
    missing = [name for name in _NEEDS if find_spec(name) is None]
    if missing or not _example().is_dir():
        raise SandboxUnavailable(
            what="the demo cannot be shown; nothing was touched",
            why=f"not installed: {', '.join(missing) or 'the example application'}",
            fix='pip install "handrail[all,example]"',
        )

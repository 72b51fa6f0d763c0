"""What the demo plays on: the example's folder, its databases, and commands that are shown and then really run."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from handrail.host.process import die_with_parent

Say = Callable[[str], None]

_RELEASE = "v3"  # whose checkout the folder is
_RATE_PER_S = 60
_TRAFFIC_S = 600  # ended when it has seen enough
_END_S = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """What one release's readers and writers met, as they report it themselves; times in milliseconds."""

    version: str
    ok: int = 0
    failed: int = 0
    errors: Mapping[str, int]
    max_ms: float = 0.0
    per_second: float = 0.0

    def sentence(self) -> str:
        """One line for a person."""
        errors = ", ".join(f"{count} {name}" for name, count in self.errors.items())
        failed = f"{self.failed} failed ({errors})" if self.failed else "none failed"
        return (
            f"{self.version}: {self.ok + self.failed} transactions ({self.per_second:.0f} a second), {failed}, "
            f"the slowest took {self.max_ms:.0f} ms"
        )


class Release:
    """One release at work, a process of its own."""

    def __init__(self, version: str, process: subprocess.Popen[str]) -> None:
        self._version = version
        self._process = process

    def end(self) -> Traffic:
        """End it, and return what it met; no transactions at all where it says nothing."""
        self._process.terminate()
        output, _ = self._process.communicate(timeout=_END_S)
        last = json.loads(output.strip().splitlines()[-1]) if output.strip() else {}
        known = {name: last[name] for name in ("ok", "failed", "max_ms", "per_second") if name in last}
        return Traffic(version=self._version, errors=last.get("errors", {}), **known)


class Stage:
    """The example's folder, the URL of each environment's database, and the voice. `astray` lists what went wrong."""

    def __init__(self, *, folder: Path, urls: Mapping[str, str], say: Say) -> None:
        self.folder = folder
        self.say = say
        self.astray: list[str] = []
        self._urls = urls

    def run(self, *words: str, ends: int = 0) -> None:
        """Show a command and run it with our streams; `ends` is the exit status it should have."""
        self._show(words)
        done = subprocess.run(_real(words), cwd=self.folder, env=self.environment(), check=False)
        if done.returncode != ends:
            self._went_astray(f"`{shlex.join(words)}` ended with exit status {done.returncode}")

    def read(self, *words: str) -> str:
        """Show a command, run it, show and return its output."""
        self._show(words)
        done = subprocess.run(
            _real(words), cwd=self.folder, env=self.environment(), stdout=subprocess.PIPE, text=True, check=False
        )
        self.say(done.stdout.rstrip())
        return done.stdout

    def expect(self, true: object, sentence: str) -> None:
        """Say what was found; remember it where it should have been otherwise."""
        self.say(f"  {sentence}")
        if not true:
            self._went_astray(sentence)

    @contextmanager
    def background(self, *words: str, first: str = "development", shown: str = "") -> Iterator[subprocess.Popen[str]]:
        """Show a command and run it in the background until the end of the block; wait for its first line.

        DATABASE_URL leads to the environment `first`.
        """
        self._show(words, shown=shown, background=True)
        with subprocess.Popen(
            _real(words),
            cwd=self.folder,
            env={**self.environment(), "DATABASE_URL": self._urls[first]},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=partial(die_with_parent, parent=os.getpid()),  # noqa: PLW1509 - the demo runs no threads
        ) as process:
            try:
                assert process.stdout is not None
                self.say(process.stdout.readline().rstrip())
                yield process
            finally:
                process.terminate()

    @contextmanager
    def traffic(self, version: str, environment: str) -> Iterator[Release]:
        """Let a release work on that environment's database until the end of the block."""
        words = ("python", "traffic.py", "--version", version, "--seconds", str(_TRAFFIC_S), "--rate", str(_RATE_PER_S))
        variable = f"DATABASE_URL=$(python database.py {environment}) "
        with self.background(*words, first=environment, shown=variable) as process:
            yield Release(version, process)

    def environment(self) -> dict[str, str]:
        """Return the variables that every command is given: ours, and the URL of each environment's database."""
        named = {
            "DATABASE_URL" if name == "development" else f"{name.upper()}_DATABASE_URL": url
            for name, url in self._urls.items()
        }
        return {
            **os.environ,
            **named,
            "HTSTATUS_VERSION": _RELEASE,
            "PYTHONUNBUFFERED": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
        }

    def _show(self, words: Sequence[str], *, shown: str = "", background: bool = False) -> None:
        self.say(f"\n$ {shown}{shlex.join(words)}{' &' if background else ''}")

    def _went_astray(self, sentence: str) -> None:
        self.astray.append(sentence)
        self.say(f"  this should not have happened: {sentence}")


def _real(words: Sequence[str]) -> list[str]:
    """Return the command as this interpreter runs it, whatever PATH says."""
    match words[0]:
        case "handrail" | "alembic":
            return [sys.executable, "-m", *words]
        case "python":
            return [sys.executable, *words[1:]]
        case _:
            return list(words)

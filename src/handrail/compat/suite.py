"""Runs the tests of one version on a migrated database, and counts them."""

from __future__ import annotations

import json
import os
import re
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

from sqlalchemy import URL

from handrail.engines.base import Engine, Purpose
from handrail.errors import UsageRefused
from handrail.host import group, secrets
from handrail.model.suite import SuiteRun, Tally, judged
from handrail.model.verdict import Verdict

#: Where the pytest plug-in leaves its counts, one JSON object in a line for each run of pytest.
REPORT = "HANDRAIL_TEST_REPORT"
_TAIL_LINES = 15


@dataclass(frozen=True, slots=True, kw_only=True)
class Suite:
    """The tests of a version: the command, the folder with its code, where JUnit's XML comes to be ('' for none).

    `{version}` in the command is the version's name. `variables` are set to the database's URL; all that `log` gets is
    masked.
    """

    version: str
    command: str
    folder: Path
    variables: frozenset[str]
    log: Path
    junit: str = ""
    limit_s: float = 600.0

    def run(self, engine: Engine, url: URL) -> SuiteRun:
        """Run them on that database, which `engine` is for. Raises UsageRefused where the command cannot be run."""
        with (
            tempfile.TemporaryDirectory(prefix="handrail-tests-") as scratch,
            tempfile.TemporaryFile() as output,
            engine.connect(Purpose.STATE) as conn,
        ):
            report = Path(scratch, "report")
            before, junit_before = engine.usage.visits(conn), self._junit_at()
            try:
                argv = shlex.split(self.command.replace("{version}", self.version))
                ended = group.run(
                    argv, env=self._environment(url, report), cwd=self.folder, output=output, limit_s=self.limit_s
                )
            except (OSError, ValueError, IndexError) as exc:
                raise UsageRefused(
                    what=f"the tests of {self.version} cannot be run; nothing was touched",
                    why=f"`{self.command}`: {exc}",
                    fix="name a command that runs in the version's folder: --tests 'python -m pytest'",
                ) from exc
            visited = engine.usage.visits(conn) > before
            output.seek(0)
            text = secrets.mask(output.read().decode(errors="replace"))
            new = self._junit_at() != junit_before
            tally = counted(report) or (from_junit(self.folder / self.junit) if new else None)
        self._keep(text)
        if ended.status is None:
            verdict, reason = Verdict.FAIL, f"it was ended after {self.limit_s:.0f} s"
        else:
            verdict, reason = judged(ended.status, tally, visited=visited)
        return SuiteRun(
            version=self.version,
            verdict=verdict,
            reason=reason,
            status=ended.status,
            tally=tally,
            seconds=ended.seconds,
            output="\n".join(text.rstrip().splitlines()[-_TAIL_LINES:]),
            log=str(self.log),
        )

    def _environment(self, url: URL, report: Path) -> dict[str, str]:
        """Return our variables with the database in those that name one, and none that leads libpq elsewhere."""
        written = url.render_as_string(hide_password=False).replace("%2F", "/")
        kept = {name: value for name, value in os.environ.items() if not re.fullmatch(r"PG[A-Z]+", name)}
        code = [str(folder) for folder in (self.folder, self.folder / "src") if folder.is_dir()]
        own = {
            "PATH": os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)]),
            "PYTHONPATH": os.pathsep.join([*code, *filter(None, [kept.get("PYTHONPATH", "")])]),
            "HANDRAIL_VERSION": self.version,
            REPORT: str(report),
        }
        return {**kept, **own, **dict.fromkeys(self.variables, written)}

    def _junit_at(self) -> float | None:
        """Return when JUnit's XML was written, None where it is not there: one of an earlier run tells nothing."""
        try:
            return (self.folder / self.junit).stat().st_mtime if self.junit else None
        except OSError:
            return None

    def _keep(self, text: str) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)


def counted(report: Path) -> Tally | None:
    """Return what the pytest plug-in has counted, of every run of pytest together; None where it never wrote."""
    try:
        runs = [json.loads(line) for line in report.read_text(encoding="utf-8").splitlines()]
    except (OSError, ValueError):
        return None
    return _sum(runs) if runs else None


def from_junit(path: Path) -> Tally | None:
    """Return the counts in a file of JUnit's XML, None where it cannot be read."""
    try:
        root = ET.parse(path).getroot()  # noqa: S314 - written by the tests that ran just now, with our rights
    except (OSError, ET.ParseError):
        return None
    cases = list(root.iter("testcase"))
    skipped = sum(case.find("skipped") is not None for case in cases)
    failed = sum(case.find("failure") is not None or case.find("error") is not None for case in cases)
    return Tally(ran=len(cases) - skipped, failed=failed, skipped=skipped)


def _sum(runs: list[Mapping[str, int]]) -> Tally:
    return Tally(
        ran=sum(run["ran"] for run in runs),
        failed=sum(run["failed"] for run in runs),
        skipped=sum(run["skipped"] for run in runs),
    )

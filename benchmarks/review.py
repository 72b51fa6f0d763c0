"""What a review costs: `handrail review --all` beside four linters on the same generated history.

Four cases for each length: nothing kept from before (`first`), everything kept (`again`), a last revision that is new
to what is kept (`one new`), and nothing kept and nothing to be kept (`no cache`). Each side keeps what it found in a
home folder of its own, new for each round. A fifth, `rendered`, is about a history whose revisions read no row, since
nothing can be read in Alembic's offline mode, and alembic-squawk renders the whole history there or nothing.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from history import make_project
from stopwatch import BIN, Cost, Table, run, together

_HANDRAIL = [str(BIN / "handrail"), "review", "--format", "json"]


class Side:
    """The tools on one project, each with the same home; `peers` is the folder of the other linters' programs."""

    def __init__(self, project: Path, home: Path, peers: Path | None) -> None:
        self._project, self._home, self._peers = project, home, peers

    def handrail(self, *arguments: str) -> Cost:
        """Return what Handrail took, both directions of every revision."""
        return self._run([*_HANDRAIL, *arguments], ends='"coverage"', cache=str(self._home / "cache"))

    def migration_linter(self, *arguments: str) -> Cost:
        """Return what alembic-migration-linter took: upgrades, rendered offline in one process."""
        return self._run([self._peer("alembic-lint"), *arguments], ends="*** Summary ***")

    def guard(self) -> Cost:
        """Return what alembic-guard took: both directions, from the syntax tree alone."""
        command = [self._peer("alembic-guard"), "migrations/versions", "--include-downgrade", "--format", "json"]
        return self._run(command, ends='"rule": "AG')

    def squawk(self) -> Cost:
        """Return what alembic-squawk and squawk took together: upgrades, rendered offline by Alembic's own command."""
        rendered = self._home / "sql"
        shutil.rmtree(rendered, ignore_errors=True)
        written = self._run([self._peer("alembic-squawk"), "--revisions", "base:head", "--out-dir", str(rendered)])
        files = sorted(str(path) for path in rendered.glob("*.sql"))
        return together(written, self._run([self._peer("squawk"), *files], ends="issues"))

    def _peer(self, program: str) -> str:
        return str(self._peers / program) if self._peers else program

    def _run(self, command: list[str], *, ends: str = "", cache: str = "") -> Cost:
        env = {"HOME": str(self._home)} | ({"XDG_CACHE_HOME": cache} if cache else {})
        if self._peers:
            env["PATH"] = f"{self._peers}:/usr/bin:/bin"
        return run(command, cwd=self._project, env=env, ends=ends)

    def one_new(self, number: int) -> Cost:
        """Return what it takes to review the last revision, which is another one in each round."""
        last = max((self._project / "migrations" / "versions").glob("*.py"))
        last.write_text(f"{last.read_text()}\n# round {number}\n")
        return self.handrail("head")


def one_round(
    project: Path, rendered: Path, home: Path, peers: Path | None, number: int
) -> list[tuple[str, str, Cost]]:
    """Measure every case once: case, side and cost."""
    side = Side(project, home, peers)
    costs: list[tuple[str, str, Cost]] = []
    for case in ("first", "again"):
        if peers is not None:
            costs.append((case, "alembic-migration-linter", side.migration_linter()))
        costs.append((case, "handrail", side.handrail("--all")))
    if peers is not None:
        costs.append(("no cache", "alembic-migration-linter", side.migration_linter("--no-cache")))
        costs.append(("no cache", "alembic-guard", side.guard()))
    costs.append(("no cache", "handrail", side.handrail("--all", "--no-cache")))
    costs.append(("one new", "handrail", side.one_new(number)))
    if peers is not None:
        side = Side(rendered, home, peers)
        costs.append(("rendered", "alembic-migration-linter", side.migration_linter("--no-cache")))
        costs.append(("rendered", "alembic-squawk and squawk", side.squawk()))
        costs.append(("rendered", "handrail", side.handrail("--all", "--no-cache")))
    return costs


def main() -> None:
    """Print medians over the rounds; round 0 only writes bytecode and is not counted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revisions", type=int, nargs="+", default=[50, 300, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peers", type=Path, help="folder of the programs of an environment made from peers.txt")
    options = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        for length in options.revisions:
            project = make_project(Path(folder, str(length)), length)
            rendered = make_project(Path(folder, f"{length}-rendered"), length, reads_rows=False)
            for number in range(options.rounds + 1):
                home = Path(folder, "home")
                home.mkdir()
                for case, side, cost in one_round(project, rendered, home, options.peers, number):
                    if number:
                        table.add(f"{length} revisions, {case}", side, cost)
                shutil.rmtree(home)
    table.print()


if __name__ == "__main__":
    main()

"""What a review costs: `handrail review --all` beside alembic-migration-linter on the same generated history.

Four cases for each length: nothing kept from before (`first`), everything kept (`again`), a last revision that is new
to what is kept (`one new`), and nothing kept and nothing to be kept (`no cache`). Both sides keep what they found in a
home folder of their own, new for each round.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from pathlib import Path

from history import make_project
from stopwatch import BIN, Cost, Table, run

_HANDRAIL = [str(BIN / "handrail"), "review", "--format", "json"]


def handrail(project: Path, home: Path, *arguments: str) -> Cost:
    """Return what a review by Handrail took."""
    env = {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache")}
    return run([*_HANDRAIL, *arguments], cwd=project, env=env, ends='"coverage"')


def linter(command: Path, project: Path, home: Path, *arguments: str) -> Cost:
    """Return what alembic-migration-linter took."""
    return run([str(command), *arguments], cwd=project, env={"HOME": str(home)}, ends="*** Summary ***")


def one_new(project: Path, home: Path, number: int) -> Cost:
    """Return what it takes to review the last revision, which is another one in each round."""
    last = max((project / "migrations" / "versions").glob("*.py"))
    last.write_text(f"{last.read_text()}\n# round {number}\n")
    return handrail(project, home, "head")


def one_round(table: Table, project: Path, home: Path, other: Path | None, number: int) -> None:
    """Measure every case once; round 0 only writes bytecode and is not counted."""
    length = sum(1 for _ in (project / "migrations" / "versions").glob("*.py"))
    costs: list[tuple[str, str, Cost]] = []
    for case in ("first", "again"):
        if other is not None:
            costs.append((case, "alembic-migration-linter", linter(other, project, home)))
        costs.append((case, "handrail", handrail(project, home, "--all")))
    if other is not None:
        costs.append(("no cache", "alembic-migration-linter", linter(other, project, home, "--no-cache")))
    costs.append(("no cache", "handrail", handrail(project, home, "--all", "--no-cache")))
    costs.append(("one new", "handrail", one_new(project, home, number)))
    for case, side, cost in costs if number else ():
        table.add(f"{length} revisions, {case}", side, cost)


def main() -> None:
    """Print medians over the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--revisions", type=int, nargs="+", default=[50, 300, 1000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--linter", type=Path, help="alembic-lint of an environment with alembic-migration-linter")
    options = parser.parse_args()
    table = Table()
    with tempfile.TemporaryDirectory() as folder:
        for length in options.revisions:
            project = make_project(Path(folder, str(length)), length)
            for number in range(options.rounds + 1):
                home = Path(folder, "home")
                home.mkdir()
                one_round(table, project, home, options.linter, number)
                shutil.rmtree(home)
    table.print()


if __name__ == "__main__":
    main()

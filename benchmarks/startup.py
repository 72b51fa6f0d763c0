"""What it costs to ask for help: `handrail --help` beside a bare interpreter and `alembic --help`."""

from __future__ import annotations

import argparse
import sys

from stopwatch import BIN, Table, run

SIDES = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "handrail --help": [str(BIN / "handrail"), "--help"],
    "alembic --help": [str(BIN / "alembic"), "--help"],
}


def main() -> None:
    """Print medians over the rounds; the first round only fills caches."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=20)
    rounds: int = parser.parse_args().rounds
    table = Table()
    for number in range(rounds + 1):
        for side, command in SIDES.items():
            cost = run(command)
            if number:
                table.add("start", side, cost)
    table.print()


if __name__ == "__main__":
    main()

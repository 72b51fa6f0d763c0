"""Seconds of wall and CPU time, of a process with all its children or of a call, and a table of their medians."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

BIN = Path(sys.executable).parent


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What one run took, in seconds; `cpu_s` is user and system time, of waited-for children too."""

    cpu_s: float
    wall_s: float


def run(command: list[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, ends: str = "") -> Cost:
    """Return what the command took. Ends the benchmark with the command's own words when it fails.

    A linter that finds something exits with 1: it has failed only where it does not say `ends`.
    """
    # Bytecode is kept for both sides: written by the first run, which nobody measures, read by the others.
    clean = {k: v for k, v in {**os.environ, **(env or {})}.items() if k != "PYTHONDONTWRITEBYTECODE"}
    began = time.perf_counter()
    with subprocess.Popen(
        command, cwd=cwd, env=clean, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    wall_s = time.perf_counter() - began
    if process.returncode != 0 and not (process.returncode == 1 and ends and ends.encode() in said):
        last_words = said.decode(errors="replace")[-2000:]
        sys.exit(f"{' '.join(command[:8])} ended with {process.returncode}:\n{last_words}")
    return Cost(cpu_s=usage.ru_utime + usage.ru_stime, wall_s=wall_s)


def together(*costs: Cost) -> Cost:
    """Return what commands took that ran one after the other."""
    return Cost(cpu_s=sum(cost.cpu_s for cost in costs), wall_s=sum(cost.wall_s for cost in costs))


def call(function: Callable[[], object]) -> Cost:
    """Return what the call took in this process; time the server spends counts as wall only."""
    began, cpu = time.perf_counter(), time.process_time()
    function()
    return Cost(cpu_s=time.process_time() - cpu, wall_s=time.perf_counter() - began)


class Table:
    """Collects costs by case and side, and prints the median of each and its ratio to the first side of its case."""

    def __init__(self) -> None:
        self._costs: dict[str, dict[str, list[Cost]]] = defaultdict(lambda: defaultdict(list))

    def add(self, case: str, side: str, cost: Cost) -> None:
        """Note one measurement."""
        self._costs[case][side].append(cost)

    def print(self) -> None:
        """Print one line for each case and side, in the order they were first met."""
        print(f"{'case':<28} {'side':<26} {'rounds':>6} {'CPU ms':>9} {'ratio':>8} {'wall ms':>9} {'ratio':>8}")
        for case, sides in self._costs.items():
            base: Cost | None = None
            for side, costs in sides.items():
                found = _median(costs)
                base = base or found
                print(
                    f"{case:<28} {side:<26} {len(costs):>6} {found.cpu_s * 1000:>9.1f} "
                    f"{found.cpu_s / (base.cpu_s or 1e-9):>7.3f}x {found.wall_s * 1000:>9.1f} "
                    f"{found.wall_s / (base.wall_s or 1e-9):>7.3f}x"
                )


def _median(costs: Iterable[Cost]) -> Cost:
    costs = list(costs)
    return Cost(cpu_s=statistics.median(c.cpu_s for c in costs), wall_s=statistics.median(c.wall_s for c in costs))

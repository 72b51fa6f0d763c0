"""What to do instead of a change that breaks a deployed version: expand, migrate, retire, and only then contract."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from handrail.model.matrix import Matrix, Result, Trial

#: What is said where there is more to tell than anybody reads.
GENERAL = "expand first, deploy, `handrail versions retire` the old version, and only then drop or tighten"


def ways(matrix: Matrix) -> tuple[str, ...]:
    """Return one line for each way around what breaks: the worst trouble of each table, and all versions it meets."""
    worst: dict[tuple[str, str], Trial] = {}
    for cell in matrix.cells():
        for trouble in cell.troubles:
            if trouble.trial.result.broken:
                worst.setdefault((cell.version, trouble.trial.table), trouble.trial)
    met: dict[Trial, list[str]] = {}
    for (version, _), trial in worst.items():
        met.setdefault(replace(trial, message=""), []).append(version)
    return tuple(_way(trial, versions) for trial, versions in met.items())


def _way(trial: Trial, versions: Sequence[str]) -> str:
    """Return the path that would not break those versions, with the name of what they fail on."""
    where = f"{trial.table}.{trial.column}" if trial.column else trial.table
    if trial.denied:
        return f"grant the application's role what it needs of {where}, in the revision that makes or moves it"
    who, s = " and ".join(versions), "" if len(versions) > 1 else "s"
    retire = " and ".join(f"`handrail versions retire {version}`" for version in versions)
    match trial.result:
        case Result.READ_FAILS:
            return (
                f"keep what {who} read{s} of {where}: add the new beside the old, keep both in step, deploy what no "
                f"longer reads it, {retire}, and drop or rename it then, in a revision of its own"
            )
        case Result.WRITE_FAILS:
            return (
                f"leave {where} open to what {who} write{s}: a new column nullable or with a server default, a new "
                f"constraint only when nothing writes what it refuses; {retire}, and tighten it then"
            )
        case Result.MINIMAL_INSERT_FAILS:
            return (
                f"give {where} a server default, or leave it nullable, as long as {who} insert{s} without it; "
                f"deploy what gives a value, {retire}, and set NOT NULL or drop the default then"
            )
        case Result.DELETE_FAILS:
            return (
                f"let the server see to the new children of {where} (ON DELETE CASCADE or SET NULL) as long as "
                f"{who} delete{s} without knowing them; {retire}, and restrict it then"
            )
        case Result.UNKNOWN | Result.WORKS:
            return ""
        case _ as never:
            assert_never(never)

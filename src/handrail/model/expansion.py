"""What to do instead of a change that breaks a deployed version: expand, migrate, retire, and only then contract."""

from __future__ import annotations

from typing import assert_never

from handrail.model.matrix import Result, Trouble


def way(version: str, trouble: Trouble) -> str:
    """Return the path that would not break that version, in one line, with the names of what it fails on."""
    where = trouble.trial.table + (f".{trouble.trial.column}" if trouble.trial.column else "")
    retire = f"handrail versions retire {version}"
    match trouble.trial.result:
        case Result.READ_FAILS:
            return (
                f"keep what {version} reads of {where}: add the new beside the old, keep both in step, deploy what no "
                f"longer reads it, `{retire}`, and drop or rename it then, in a revision of its own"
            )
        case Result.WRITE_FAILS:
            return (
                f"leave {where} open to what {version} writes: a new column nullable or with a server default, a new "
                f"constraint only when nothing writes what it refuses; `{retire}`, and tighten it then"
            )
        case Result.MINIMAL_INSERT_FAILS:
            return (
                f"give {where} a server default, or leave it nullable, as long as {version} inserts without it; "
                f"deploy what gives a value, `{retire}`, and set NOT NULL or drop the default then"
            )
        case Result.DELETE_FAILS:
            return (
                f"let the server see to the new children of {where} (ON DELETE CASCADE or SET NULL) as long as "
                f"{version} deletes without knowing them; `{retire}`, and restrict it then"
            )
        case Result.UNKNOWN:
            return f"make {where} such that it can be exercised, or `{retire}` where it runs nowhere any more"
        case Result.WORKS:
            return ""
        case _ as never:
            assert_never(never)

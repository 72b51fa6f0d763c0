"""`handrail report`: what happened in a run, from the journal alone; the database is not connected to."""

from __future__ import annotations

from handrail.errors import UsageRefused
from handrail.journal.store import Journal
from handrail.model.report import Report
from handrail.model.retelling import retell
from handrail.model.run import Run

_NAMED = 5


def report(journal: Journal, environment: str | None, wanted: str | None) -> Report:
    """Return the report of the run whose id begins like that, or of the last one. Raises UsageRefused.

    Looked at are the runs of that environment, of all for None.
    """
    runs = journal.runs(environment)
    run = _run(runs, environment, wanted)
    same = [other for other in runs if other.environment == run.environment]
    later = tuple(reversed(same[: same.index(run)]))
    return retell(run, journal.happenings(run.id), later)


def _run(runs: tuple[Run, ...], environment: str | None, wanted: str | None) -> Run:
    where = f" on {environment}" if environment else ""
    if not runs:
        raise UsageRefused(
            what=f"no run{where} is in the journal; nothing was touched",
            why="nothing was applied or rolled back yet by whoever keeps this journal",
            fix="run it in the project's folder, or name it: -C PATH; handrail log -e NAME asks the database itself",
        )
    found = [run for run in runs if run.id.startswith(wanted or "")]
    if not found:
        raise UsageRefused(
            what=f"there is no run {wanted!r}{where} in the journal; nothing was touched",
            why=f"it has {len(runs)}, the last one is {runs[0].id}",
            fix="handrail report --list",
        )
    if wanted is not None and len(found) > 1:
        names = ", ".join(run.id for run in found[:_NAMED]) + (", ..." if len(found) > _NAMED else "")
        raise UsageRefused(
            what=f"several runs{where} begin with {wanted!r}; nothing was touched",
            why=names,
            fix="write more of the id: handrail report RUN",
        )
    return found[0]

"""`handrail verify`: whether the database is at its revision, and its schema what the revisions make."""

from __future__ import annotations

from handrail.errors import Exit
from handrail.flows import expected, planning, running
from handrail.flows.ports import Ports
from handrail.model.run import Judgement
from handrail.model.verdict import Verdict


def verify(ports: Ports, at: str | None) -> tuple[Judgement, ...]:
    """Return the answer of every check, at the heads of the files or at the revision `at`. Writes nothing."""
    running.refuse_stranger(ports, planning.look_as_allowed(ports))
    targets = ports.graph.heads if at is None else ports.graph.resolve(at, ())
    _way, rows = planning.way_up(ports.graph, (), targets)  # a head that another branch depends on has no row
    return expected.run_checks(ports, rows)


def status(judgements: tuple[Judgement, ...]) -> Exit:
    """Return the exit status of those answers: 4 when something differs, 1 when something could not be known."""
    verdicts = {j.verdict for j in judgements}
    if Verdict.FAIL in verdicts:
        return Exit.DRIFT
    return Exit.FAILED_CLEAN if Verdict.UNKNOWN in verdicts else Exit.DONE

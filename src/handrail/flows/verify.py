"""`handrail verify`: whether the database is at its revision, and what its revisions and its models make of it."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches

from handrail import registry
from handrail.engines.base import Purpose
from handrail.errors import Exit, UsageRefused
from handrail.flows.ports import Ports
from handrail.flows.run import running
from handrail.flows.standing import expected, planning
from handrail.model.run import Judgement
from handrail.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class VerifyRequest:
    """What shall be verified: at which revision (None: the files' heads), by which checks (none: all), how suspicious.

    `all_keys` looks for rows without parent under validated foreign keys too.
    """

    at: str | None = None
    checks: tuple[str, ...] = ()
    all_keys: bool = False


def verify(ports: Ports, request: VerifyRequest) -> tuple[Judgement, ...]:
    """Return the answer of every check that is asked. Writes nothing. Raises UsageRefused for an unknown check."""
    refuse_unknown_check(request.checks)
    with ports.engine.connect(Purpose.READ) as conn:
        hidden = ports.engine.rights.missing(conn, ports.version_table)
    if hidden is None:  # otherwise the revision is UNKNOWN, and nothing passes as a whole
        running.refuse_stranger(ports, planning.look_as_allowed(ports))
    targets = ports.graph.heads if request.at is None else ports.graph.resolve(request.at, ())
    _way, rows = planning.way_up(ports.graph, (), targets)  # a head that another branch depends on has no row
    return expected.run_checks(ports, rows, names=request.checks, all_keys=request.all_keys)


def refuse_unknown_check(names: tuple[str, ...]) -> None:
    """Raise UsageRefused for a name that no check has, with the nearest one that there is."""
    known = list(registry.checks())
    for name in names:
        if name not in known:
            near = get_close_matches(name, known, n=1)
            raise UsageRefused(
                what=f"there is no check {name!r}; nothing was touched",
                why=f"the checks are {', '.join(known)}",
                fix=f"--check {near[0]}" if near else "leave --check out to ask all of them",
            )


def status(judgements: tuple[Judgement, ...]) -> Exit:
    """Return the exit status: 4 when the schema differs, else 1 when rows are wrong or something cannot be known."""
    bad = expected.failures(judgements)
    if any(j.verdict is Verdict.FAIL for j in expected.about_schema(bad)):
        return Exit.DRIFT
    return Exit.FAILED_CLEAN if bad else Exit.DONE

"""What became of a version's own tests on a migrated database."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.model.verdict import Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many tests ran to an end, and of them how many failed; how many were skipped."""

    ran: int
    failed: int = 0
    skipped: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class SuiteRun:
    """The tests of one version. `status` is the command's exit status, None where it was not run or not waited for.

    `tally` is None where nobody counted. `output` is the end of what it wrote, `log` the file with all of it.
    """

    version: str
    verdict: Verdict
    reason: str
    status: int | None = None
    tally: Tally | None = None
    seconds: float = 0.0
    output: str = ""
    log: str = ""


def judged(status: int, tally: Tally | None, *, visited: bool) -> tuple[Verdict, str]:
    """Return the verdict on tests that came to an end, and why.

    FAIL where the command or a test failed, or none ran. UNKNOWN where nobody counted, or where nobody has come to the
    database that they were to test.
    """
    if tally is not None and tally.failed:
        return Verdict.FAIL, f"{tally.failed} of {tally.ran} tests failed"
    if status != 0:
        return Verdict.FAIL, f"the command ended with status {status}"
    if tally is None:
        return Verdict.UNKNOWN, "nobody counted its tests: run them with pytest beside Handrail, or name --junit FILE"
    if not tally.ran:
        return Verdict.FAIL, "it ran no test"
    if not visited:
        return Verdict.UNKNOWN, "none of its tests came to the migrated database: let them use HANDRAIL_URL"
    skipped = f", {tally.skipped} skipped" if tally.skipped else ""
    return Verdict.PASS, f"{tally.ran} tests passed{skipped}"

"""The plan's revisions were reviewed, and nothing dangerous was found.

What happens: an environment that requires `reviewed` is changed only where every step of the plan could be read and no
rule finds an error in it; else `handrail apply` stops with exit 3.

Why: what stops others, loses data or fails is seen before it runs, not while it runs.

The safe way: write what the finding says instead, or say in the file why it does not matter here:
`# handrail: ignore[rule-name] reason, until 2027-01-31`.
"""

from __future__ import annotations

from handrail.model.gate import Gate, GateFacts
from handrail.model.operation import Reading
from handrail.model.run import Judgement
from handrail.model.verdict import Severity, Verdict


def judge(facts: GateFacts) -> Judgement:
    """FAIL with an error among the findings, UNKNOWN where a step could not be read, WARN with warnings, else PASS."""
    findings = facts.plan.findings
    errors = tuple(f"{f.rule}: {f.what}" for f in findings if f.severity is Severity.ERROR)
    unread = tuple(
        f"{s.direction.value} {s.revision.id}: {s.recorded.reason}"
        for s in facts.plan.steps
        if s.recorded.reading is Reading.FAILED
    )
    warnings = sum(f.severity is Severity.WARNING for f in findings)
    if errors:
        verdict, reason, details = Verdict.FAIL, f"{len(errors)} of the findings would do harm", errors
    elif unread:
        verdict, reason, details = Verdict.UNKNOWN, f"{len(unread)} of the steps could not be read", unread
    elif warnings:
        verdict, reason, details = Verdict.WARN, f"{warnings} of the findings are warnings", ()
    else:
        verdict, reason, details = Verdict.PASS, "every step was reviewed, nothing was found", ()
    return Judgement(name=GATE.name, verdict=verdict, reason=reason, details=details)


GATE = Gate(name="reviewed", judge=judge)

"""Every deployed version of the application goes on working at each revision of the plan.

What happens: an environment that requires this gate has each registered version exercised in a sandbox, at each
revision that the run would apply: reads, writes, inserts with only what is required, deletes. A version that breaks
closes the gate (exit 3); without a registered version nothing is known, and the gate stays closed too.

Why: while a release rolls out, several versions share one database, and the old one meets the new schema.

The safe way: expand first (add what the new version needs, in a way the old one does not notice), deploy, retire the
old version with `handrail versions retire`, and only then drop or tighten. The gate names each version that would
break, who answers for it, when it was last seen connected, and the way that would not break it; `handrail compat`
shows version, table, column and operation.
"""

from __future__ import annotations

from handrail.model.expansion import ways
from handrail.model.gate import Gate, GateFacts
from handrail.model.matrix import breaking
from handrail.model.run import Judgement
from handrail.model.verdict import Verdict


def judge(facts: GateFacts) -> Judgement:
    """PASS where every version works at every revision, FAIL where one breaks, UNKNOWN where that was not seen."""
    known = facts.compat
    if known is None or not known.versions:
        return _judged(Verdict.UNKNOWN, "no version of the application is registered: handrail versions register NAME")
    if not facts.plan.steps:
        return _judged(Verdict.PASS, "there is nothing to apply")
    if known.matrix is None:
        if known.reason:
            return _judged(Verdict.UNKNOWN, f"compatibility cannot be known: {known.reason}")
        return _judged(Verdict.UNKNOWN, "only upgrades are exercised, and the plan has none")
    names = ", ".join(known.versions)
    verdict = known.matrix.verdict
    if verdict is Verdict.PASS:
        return _judged(Verdict.PASS, f"{names}: exercised at every revision of the plan")
    if verdict is not Verdict.FAIL:
        return _judged(verdict, "the plan could not be exercised everywhere", breaking(known.matrix))
    broken = {cell.version for cell in known.matrix.cells() if cell.result.broken}
    whose = tuple(deployment.describe() for deployment in known.deployments if deployment.version in broken)
    reason = f"the plan breaks {', '.join(name for name in known.versions if name in broken)}, deployed and not retired"
    return _judged(
        verdict, reason, (*whose, *breaking(known.matrix), *(f"instead: {each}" for each in ways(known.matrix)))
    )


def _judged(verdict: Verdict, reason: str, details: tuple[str, ...] = ()) -> Judgement:
    return Judgement(name=GATE.name, verdict=verdict, reason=reason, details=details)


GATE = Gate(name="compatible", judge=judge)

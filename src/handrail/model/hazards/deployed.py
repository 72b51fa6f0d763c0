"""Which of the deployed versions a change concerns, from their contracts, and what that makes of a finding."""

from __future__ import annotations

from dataclasses import replace

from handrail.model.finding import Finding
from handrail.model.replayed import bare
from handrail.model.rule import RuleFacts
from handrail.model.spec import UNKNOWN, Unknown
from handrail.model.verdict import Confidence, Severity

Versions = tuple[str, ...] | Unknown


def naming(facts: RuleFacts, table: str, column: str = "") -> Versions:
    """Return the deployed versions whose models have that table, and that column of it; UNKNOWN where none is known."""
    if facts.deployed is UNKNOWN:
        return UNKNOWN
    columns = {version: tables.get(bare(table)) for version, tables in facts.deployed.items()}
    return tuple(v for v, known in columns.items() if known is not None and (not column or column in known))


def leaving_out(facts: RuleFacts, table: str, column: str) -> Versions:
    """Return those whose models have that table and not that column."""
    having, knowing = naming(facts, table, column), naming(facts, table)
    return UNKNOWN if having is UNKNOWN or knowing is UNKNOWN else tuple(v for v in knowing if v not in having)


def judged(finding: Finding, versions: Versions) -> Finding:
    """Return the finding as those versions make it.

    Where none is known it stays as it is. Where it concerns none of the deployed ones it is a note: what they send
    beside their models is not known. Else it names them.
    """
    if versions is UNKNOWN:
        return finding
    if not versions:
        why = f"{finding.why}; no deployed version is concerned by its models, what it sends beside them is not known"
        return replace(finding, why=why, severity=Severity.NOTE, confidence=Confidence.LOW)
    return replace(finding, why=f"{finding.why}; deployed and concerned: {', '.join(versions)}")

"""The schema is the one that its migrations make.

What happens: the live schema is compared with the schema that the same revisions make in an empty database of the same
server version: tables, columns, types, nullability, defaults, keys, uniques, foreign keys and whether they are
validated, checks, indexes and whether they are valid, views, triggers, functions, sequences, enums.

Why: a key dropped by hand, an index left INVALID by a failed CREATE INDEX CONCURRENTLY or a column that somebody
widened at night break the next migration, or the application, at the worst moment.

The safe way: write a revision that makes the difference official, or undo it in the database.
"""

from __future__ import annotations

from handrail.model.check import Check, CheckFacts, Sight
from handrail.model.run import Judgement
from handrail.model.schema import diff
from handrail.model.verdict import Unsupported, Verdict


def judge(facts: CheckFacts) -> Judgement:
    """PASS when nothing differs, FAIL naming each difference, UNKNOWN when there is nothing to compare with."""
    if isinstance(facts.expected_snapshot, Unsupported):
        unknown = facts.expected_snapshot
        return Judgement(name=CHECK.name, verdict=Verdict.UNKNOWN, reason=unknown.reason, details=unknown.details)
    differences = tuple(d.describe() for d in diff(facts.expected_snapshot, facts.snapshot))
    if not differences:
        tables = len(facts.snapshot.tables)
        reason = f"{tables} table{'' if tables == 1 else 's'} as the revisions make them"
        return Judgement(name=CHECK.name, verdict=Verdict.PASS, reason=reason)
    noun = "difference" if len(differences) == 1 else "differences"
    return Judgement(name=CHECK.name, verdict=Verdict.FAIL, reason=f"{len(differences)} {noun}", details=differences)


CHECK = Check(name="schema-matches", judge=judge, drift=True, looks_at=frozenset({Sight.EXPECTED}))

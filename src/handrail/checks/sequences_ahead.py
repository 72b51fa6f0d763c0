"""Every sequence is ahead of the keys that are taken.

What happens: for each sequence or identity that gives values to a column, the value that it gives next is compared with
the furthest one in the column. SQLite gives keys by itself and cannot fall behind.

Why: rows that were brought in with their keys (a restore of single tables, COPY, an import) do not move the sequence.
It then gives a key that is taken, and the next INSERT fails with a unique violation: not in the migration, but in the
application, minutes later.

The safe way: `SELECT setval(...)` to the largest key, as it is given with the difference. A column that is not unique
may repeat values without an error, and is only noted.
"""

from __future__ import annotations

from handrail.model.check import Check, CheckFacts, Sight
from handrail.model.run import Judgement
from handrail.model.schema import ConstraintKind, Snapshot
from handrail.model.sequence import Position, ServingSequence
from handrail.model.verdict import Unsupported, Verdict


def judge(facts: CheckFacts) -> Judgement:
    """PASS when none is behind, FAIL naming each with what mends it, UNKNOWN where one cannot be read."""
    if isinstance(facts.sequences, Unsupported):
        return Judgement(name=CHECK.name, verdict=Verdict.UNKNOWN, reason=facts.sequences.reason)
    behind = [s for s in facts.sequences if isinstance(s.position, Position) and s.position.behind]
    unseen = [s for s in facts.sequences if isinstance(s.position, Unsupported)]
    failing = [s for s in behind if _unique(facts.snapshot, s)]
    noted = [s for s in behind if s not in failing]
    verdict = Verdict.PASS
    if failing:
        verdict = Verdict.FAIL
    elif unseen:
        verdict = Verdict.UNKNOWN
    elif noted:
        verdict = Verdict.WARN
    parts = [f"{len(behind)} of {len(facts.sequences)} behind their columns"]
    parts += [f"{len(unseen)} could not be looked at"] if unseen else []
    details = (*(s.describe() for s in (*failing, *unseen)), *(f"note: {s.describe()}" for s in noted))
    return Judgement(name=CHECK.name, verdict=verdict, reason=", ".join(parts), details=details)


def _unique(snapshot: Snapshot, sequence: ServingSequence) -> bool:
    """Whether a repeated value would be refused."""
    table = snapshot.table(sequence.table)
    if table is None:
        return False
    keys = [c.columns for c in table.constraints if c.kind in {ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE}]
    keys += [index.columns for index in table.indexes if index.unique]
    return (sequence.column,) in keys


CHECK = Check(name="sequences-ahead", judge=judge, looks_at=frozenset({Sight.SEQUENCES}))

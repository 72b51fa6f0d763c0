"""There is a backup that was restored once, and found equal.

What happens: an environment that requires this gate backs up by itself: `handrail apply` makes a backup before its
first step, restores it into a sandbox and compares it with the database. Where that fails the run stops with exit 9 and
nothing is applied. Where no backup will be made, the newest proved one has to be of the same database, at the same
revision, and proved within `backup.max_age`.

Why: most dumps that cannot be restored look like those that can. A migration that goes wrong is a bad moment to find
out.

The safe way: let the run make its backup, or make one shortly before: `handrail backup create`.
"""

from __future__ import annotations

from datetime import datetime

from handrail.model.backup import Manifest
from handrail.model.gate import Gate, GateFacts
from handrail.model.run import Judgement
from handrail.model.verdict import Verdict


def judge(facts: GateFacts) -> Judgement:
    """PASS where this run will make one or the newest is good enough, FAIL where not, UNKNOWN where nobody looked."""
    if facts.backup is None:
        return Judgement(name=GATE.name, verdict=Verdict.UNKNOWN, reason="nobody looked for backups")
    if facts.backup.will_make:
        return Judgement(name=GATE.name, verdict=Verdict.PASS, reason="met by the backup that this run will make")
    newest = facts.backup.newest
    if newest is None:
        return _closed("there is no proved backup of this database")
    if newest.heads != facts.plan.start:
        return _closed(f"{newest.id} was made at {_rows(newest.heads)}, the database is at {_rows(facts.plan.start)}")
    age = facts.now - _proved_at(newest, facts)
    if age > facts.backup.max_age:
        return _closed(f"{newest.id} was proved {age.total_seconds() / 3600:.1f} hours ago, too long for max_age")
    return Judgement(name=GATE.name, verdict=Verdict.PASS, reason=f"{newest.id} is proved, at the same revision")


def _proved_at(backup: Manifest, facts: GateFacts) -> datetime:
    """Return when it was made: a later proof does not make what it holds any younger."""
    return min(backup.made_at, backup.proof.at or facts.now)


def _closed(reason: str) -> Judgement:
    return Judgement(name=GATE.name, verdict=Verdict.FAIL, reason=reason)


def _rows(heads: tuple[str, ...]) -> str:
    return ", ".join(heads) or "base"


GATE = Gate(name="backup-proved", judge=judge)

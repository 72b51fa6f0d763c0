"""No row names a parent that is not there.

What happens: the rows of each relation that the database does not vouch for are looked up in the parent's table,
counted, and up to 20 of them named by key: foreign keys that are not validated (`NOT VALID`; on SQLite all, because
there each connection decides whether they hold), ForeignKeys of the models without a constraint in the database, and
`relationship()`s of the models whose columns have no foreign key. Validated keys are trusted, unless `--all-keys` is
given: rows can break them only where somebody switched triggers off. A relationship() whose join is more than equal
columns, as with a column that says which table is meant, is named and not looked at. Orphans of a view-only
relationship() are only noted.

Why: VALIDATE CONSTRAINT fails on the first of them, an inner join leaves them out silently, and the application meets
None where it expects an object.

The safe way: look at the rows with the query that is given, then delete them, set the column to NULL, or bring the
parent back; then make or validate the foreign key so that no more can come.

The cost: a scan of the child's table for each relation, with a lookup of every key in the parent, a second scan where
there are orphans. A query that takes longer than a minute is ended, and that relation is UNKNOWN.
"""

from __future__ import annotations

from handrail.model.check import Check, CheckFacts, OrphansFacts, Sight
from handrail.model.relation import Looked, RelationKind
from handrail.model.run import Judgement
from handrail.model.verdict import Unsupported, Verdict
from handrail.model.violation import Violation


def judge(facts: CheckFacts) -> Judgement:
    """PASS without orphans, FAIL with each relation that has some, UNKNOWN where one could not be looked at."""
    if isinstance(facts.orphans, Unsupported):
        return Judgement(name=CHECK.name, verdict=Verdict.UNKNOWN, reason=facts.orphans.reason)
    found = facts.orphans
    violations = tuple(each.found for each in found.looked if isinstance(each.found, Violation))
    unseen = tuple(each for each in found.looked if isinstance(each.found, Unsupported))
    return Judgement(
        name=CHECK.name,
        verdict=_verdict(found),
        reason=_reason(found, sum(v.count for v in violations), len(unseen)),
        details=_details(found),
        violations=violations,
    )


def _verdict(found: OrphansFacts) -> Verdict:
    broken = {each.relation.kind for each in found.looked if isinstance(each.found, Violation)}
    if broken - {RelationKind.VIEW_ONLY}:
        return Verdict.FAIL
    if isinstance(found.of_models, Unsupported) or any(isinstance(each.found, Unsupported) for each in found.looked):
        return Verdict.UNKNOWN
    return Verdict.WARN if broken or found.unread else Verdict.PASS


def _reason(found: OrphansFacts, orphans: int, unseen: int) -> str:
    looked = len(found.looked) - unseen
    parts = [f"{orphans} orphan{'' if orphans == 1 else 's'} in {looked} relation{'' if looked == 1 else 's'}"]
    if unseen:
        parts.append(f"{unseen} could not be looked at")
    if found.trusted:
        parts.append(f"{found.trusted} validated key{'' if found.trusted == 1 else 's'} trusted")
    if found.of_models is not None:
        parts.append(found.of_models.reason)
    return ", ".join(parts)


def _details(found: OrphansFacts) -> tuple[str, ...]:
    lines = [line for each in found.looked for line in _lines(each)]
    return (*lines, *(f"note: not looked at: {line}" for line in found.unread))


def _lines(each: Looked) -> tuple[str, ...]:
    relation = each.relation.describe()
    match each.found:
        case Violation() as violation:
            note = "note: " if each.relation.kind is RelationKind.VIEW_ONLY else ""
            return (f"{note}{relation}: {violation.describe()}", f"query: {violation.query}")
        case Unsupported(reason=reason):
            return (f"{relation}: not looked at: {reason}",)
        case None:
            return ()


CHECK = Check(name="no-orphans", judge=judge, looks_at=frozenset({Sight.ORPHANS}))

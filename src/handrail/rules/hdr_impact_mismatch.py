"""Impact does not tell what the revision does.

What happens: the field Impact speaks of another table than `upgrade()` changes, is too short to speak of any, or says
that no data is lost where something is dropped. An impact that only names no table, as one that tells of pages and
users, is a note.

Why: headers are copied from the last revision. Who looks for what changes in their table does not find it here, and
who reads that nothing is lost makes no copy.

The safe way: name the table or column that changes, who notices and what is lost: `Impact: users gains email
(nullable)`, `Impact: users.email goes, with its values`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.header_claims import denies_loss, is_placeholder, line_of
from handrail.model.hazards.revision_name import VERBS_OF_CHANGE, said
from handrail.model.hazards.row_loss import thrown_away
from handrail.model.hazards.touched import names, referred, speaks_of, tables, words
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity

#: An impact of fewer words that names nothing it touches is taken for one that says nothing.
_FEW = 5
#: What an impact may call what the title names: `A new table.`
_KIND = re.compile(
    r"\b(?:table|column|field|index|key|constraint|check|view|type|enum|row|trigger|function|default|partition)(?:e?s)?\b",
    re.IGNORECASE,
)
_NONE = re.compile(r"\W*(?:none|nothing|no)\b", re.IGNORECASE)
_TABLE = re.compile(r"\b(?P<before>\w+) tables?\b|\btables? (?P<after>\w+)", re.IGNORECASE)
_NO_NAMES = (
    frozenset(
        said("""
        a an and any are as at by each every existing for from gain gains get gets has have in into is its join
        large lock locks lookup many more new no of old on one only or other our own page several small some
        temporary that the these this three to two under use was which while with without
    """)
    )
    | VERBS_OF_CHANGE
)


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where the impact speaks of something else, or of nothing, and one where it denies a loss."""
    header, step = revision.revision.header, revision.upgrade
    if step is None or not header.impact or is_placeholder(header.impact):
        return
    denied = denies_loss(header.impact) or _NONE.match(header.impact)
    thrown = " and ".join(dict.fromkeys(thrown_away(step))) if denied else ""
    if thrown:
        yield RULE.in_file(
            revision,
            line=line_of(revision.revision, "impact"),
            what=f"Impact says {header.impact.splitlines()[0].strip()!r}, and {thrown}",
            why="who reads that nothing is lost makes no copy first",
            fix=f"Impact: {thrown}; who notices, and where a copy is kept",
        )
    else:
        yield from _of_other_things(revision, step)


def _of_other_things(revision: ReviewedRevision, step: ReviewedStep) -> Iterator[Finding]:
    header = revision.revision.header
    touched = tables(step)
    known = names(step)
    if not touched:
        return
    if speaks_of(header.impact, known):  # a column of the same name may be another table's
        others = [] if speaks_of(header.impact, touched) else sorted(_called_tables(revision))
        if not others:
            return
    else:
        others = _other_tables(revision)
    none = _NONE.match(header.impact)
    short = len(header.impact.split()) < _FEW
    tells = not short or (not none and _KIND.search(header.impact))
    titled = bool(tells) and speaks_of(header.purpose, known)
    if titled and not others and (short or speaks_of(header.impact, referred(step))):
        return
    told = ", ".join(sorted(touched))
    vague = short and not none and not titled
    yield RULE.in_file(
        revision,
        line=line_of(revision.revision, "impact"),
        what=f"Impact speaks of {' and '.join(others)}, and upgrade() touches {told}"
        if others
        else f"Impact names none of what upgrade() touches: {told}",
        why="who looks for what changes in their table does not find it here",
        fix=f"Impact: {told}: what changes, and who notices",
        severity=None if others or vague else Severity.NOTE,
        confidence=Confidence.HIGH if others else Confidence.LOW,
    )


def _called_tables(revision: ReviewedRevision) -> set[str]:
    """Return what the impact calls a table and no foreign key points at."""
    called = {match["before"] or match["after"] for match in _TABLE.finditer(revision.revision.header.impact)}
    found = {name for name in called if name.lower() not in _NO_NAMES}
    return found - (referred(revision.upgrade) if revision.upgrade else set())


def _other_tables(revision: ReviewedRevision) -> list[str]:
    """Return what the impact calls a table, or is one, and is not touched."""
    step, impact = revision.upgrade, revision.revision.header.impact
    present = {name for name in step.before.tables if words(name) <= words(impact)} if step else set()
    return sorted(_called_tables(revision) | (present - referred(step) if step else set()))


def _impact(impact: str, *, flagged: bool, purpose: str = "Store the address") -> Example:
    return Example(
        given=("CREATE TABLE users (id integer PRIMARY KEY)", "CREATE TABLE orders (id integer PRIMARY KEY)"),
        body='op.add_column("users", sa.Column("email", sa.String(50)))',
        docstring=f"{purpose}.\n\nImpact: {impact}\nRisk: Low.\nRollback: Simple.\nTesting: By hand.\n",
        flagged=flagged,
    )


RULE = Rule(
    name="hdr-impact-mismatch",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        _impact("Orders table gains a column (nullable).", flagged=True, purpose="Add email to users"),
        _impact("The invoices table is rewritten.", flagged=True, purpose="Add email to users"),
        _impact("orders can be found by their customer.", flagged=True),
        _impact("Some changes.", flagged=True, purpose="Add email to users"),
        _impact("None.", flagged=True),
        _impact("Users table gains email column (nullable).", flagged=False),
        _impact("A new column.", flagged=False, purpose="Add email to users"),
        _impact("A new column.", flagged=True),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))",),
            body='op.drop_column("users", "email")',
            docstring="Drop.\n\nImpact: users: no data loss.\nRisk: High.\nRollback: Complex.\nTesting: By hand.\n",
            flagged=True,
        ),
        _impact("A user can be written to; no data is lost.", flagged=False),
        _impact("The settings page shows a new field to everybody.", flagged=True, purpose="Add users.email"),
        _impact("The invoices table gains email (nullable).", flagged=True, purpose="Add users.email"),
        _impact("Everybody has an email; the lookup table is the users one.", flagged=False),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY)", "CREATE TABLE orders (id integer PRIMARY KEY)"),
            body='op.execute("ALTER TABLE users ADD COLUMN last_id integer REFERENCES orders (id)")',
            docstring="Add users.last_id.\n\nImpact: Each row may refer to orders.\nRisk: Low.\nRollback: Simple.",
            flagged=False,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            body="pass", docstring="Join.\n\nImpact: None.\nRisk: Low.\nRollback: Simple.\nTesting: No.", flagged=False
        ),
    ),
)

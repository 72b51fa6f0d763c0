"""A field of the header is still to be filled in.

What happens: a field holds what the template wrote (`<what was verified>`), TODO, N/A or a list of all choices.

Why: it looks like an answer and is none. Whoever has to decide at night learns nothing from it.

The safe way: write what is true of this revision. `Rollback: Requires manual intervention - restore the backup` is
an answer, `N/A` is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.header_claims import is_placeholder, line_of
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_FIELDS = ("purpose", "impact", "risk", "rollback", "testing")
#: Words that are an answer elsewhere, and none to the question what was tested.
_UNTESTED = ("none", "no", "nothing", "untested", "not tested", "not yet")
_PLANNED = re.compile(r"(?:will|shall|has to|still has to|needs to) be\b", re.IGNORECASE)
#: Words that agree, and say nothing of what, how or with which data; the risk has levels of its own.
_AGREEING = ("yes", "ok", "okay", "sure", "fine", "maybe", "done")
_LONG = 60


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each field that nobody has filled in."""
    header = revision.revision.header
    for field in _FIELDS:
        text = getattr(header, field)
        said = text.strip(" .!").lower()
        agreed = (said in _AGREEING and field != "risk") or said == field
        untested = field == "testing" and (said in _UNTESTED or _PLANNED.match(said) is not None)
        if not text or not (is_placeholder(text) or untested or agreed):
            continue
        shown = " ".join(text.split())
        yield RULE.in_file(
            revision,
            line=line_of(revision.revision, field),
            what=f"{field.capitalize()} is not filled in: {shown if len(shown) <= _LONG else shown[:_LONG] + '...'}",
            why="a field that looks answered and is not tells whoever decides nothing",
            fix=f"write what is true of this revision after `{field.capitalize()}:`"
            if field != "purpose"
            else "write in the first line of the docstring what changes",
        )


_FULL = """Add email field to users table for notifications.

Impact: Users table gains email column (nullable).
Risk: Low - additive change, backward compatible.
Rollback: Simple - drop column.
Testing: Verified with 100 test users, data integrity checked.
"""
_TEMPLATE = """Add email.

Impact: <what changes for users and applications>
Risk: <Low | Medium | High> - <why>
Rollback: <Simple | Complex | Requires manual intervention> - <how>
Testing: <what was verified>
"""


def _with(old: str, new: str, *, flagged: bool) -> Example:
    return Example(body="pass", docstring=_FULL.replace(old, new), flagged=flagged)


_TESTED = "Verified with 100 test users, data integrity checked."

RULE = Rule(
    name="hdr-placeholder",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        Example(body="pass", docstring=_TEMPLATE, flagged=True),
        _with(_TESTED, "TODO", flagged=True),
        _with(_TESTED, "tbd.", flagged=True),
        _with(_TESTED, "N/A", flagged=True),
        _with(_TESTED, "...", flagged=True),
        _with(_TESTED, "None.", flagged=True),
        _with("Simple - drop column.", "Sure.", flagged=True),
        _with(_TESTED, "Testing", flagged=True),
        _with(_TESTED, "Will be done in staging.", flagged=True),
        _with("Low - additive change, backward compatible.", "Low - TODO: say why", flagged=True),
        _with("Simple - drop column.", "Simple / Complex / Requires manual intervention", flagged=True),
        _with("Add email field to users table for notifications.", "Description of change.", flagged=True),
        _with("", "", flagged=False),
        _with("Simple - drop column.", "Requires manual intervention - restore the backup.", flagged=False),
        _with(_TESTED, "test_todo_list.py and the rows with id < 100 and id > 50 were compared.", flagged=False),
        Example(body="pass", docstring="Add email.", flagged=False),
    ),
)

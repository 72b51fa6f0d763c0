"""The file of a revision is not named in lowercase_with_underscores.

What happens: the file's name has capitals, blanks, hyphens, dots or letters outside ASCII, or runs on and on; or the id
stands behind the description.

Why: names differ only in case on some file systems and not on others, blanks and other letters break scripts and
archives; a name that is a sentence is cut off wherever it is shown.

The safe way: `<revision id>_<what_changes>.py`, in lower case with underscores, ten words at most. Renaming the file
is safe: its name is not stored in any database. What Alembic itself makes of a long message, or of one in other
letters, is a note.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards import revision_name
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_STYLE = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*_?")
_LONGEST = 60
_MOST_WORDS = 10
_LETTERS, _SENTENCE = "letters outside ASCII", "it is a whole sentence"
#: What Alembic itself makes of a message; anything else was written by hand.
_OF_ALEMBIC = frozenset({_LETTERS, _SENTENCE})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for a slug that is not lowercase_with_underscores, too long, or before the id."""
    slug = revision_name.slug(revision.revision)
    if not slug.strip("_- "):
        return
    file, identity = revision.revision.path.name, revision.id
    wrong = _wrong(slug)
    if wrong:
        words = revision_name.said(slug.encode("ascii", "ignore").decode())[:_MOST_WORDS]
        better = "_".join(words) or "what_changes"
        yield RULE.in_file(
            revision,
            what=f"the file {file} is not named in lowercase_with_underscores: {wrong}",
            why="other spellings break on some file systems and in scripts, long ones are cut off",
            fix=f"git mv '{file}' '{file.replace(slug, better)}'",
            severity=None if wrong in _OF_ALEMBIC else Severity.WARNING,
        )
    elif revision.revision.path.stem.endswith(f"{slug}_{identity}"):
        yield RULE.in_file(
            revision,
            what=f"the file {file} has the revision's id behind what changes",
            why="Alembic puts the id first, and whoever looks for it looks there",
            fix=f"git mv '{file}' '{identity}_{slug}.py'",
        )


def _wrong(slug: str) -> str:
    if not slug.isascii():
        return _LETTERS
    if slug.lower() != slug:
        return "capitals"
    if not _STYLE.fullmatch(slug):
        odd = sorted(set(re.sub(r"[a-z0-9_]", "", slug)))
        return f"it has {' '.join(repr(c) for c in odd)}" if odd else "underscores that separate nothing"
    if len(slug) > _LONGEST or len(revision_name.said(slug)) > _MOST_WORDS:
        return _SENTENCE
    return ""


def _file(name: str, *, flagged: bool) -> Example:
    return Example(body="pass", file=name, flagged=flagged)


RULE = Rule(
    name="name-style",
    severity=Severity.NOTE,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#editing-the-ini-file",
    findings=findings,
    baseline=True,
    examples=(
        _file("e1_AddUsersEmail.py", flagged=True),
        _file("e1_add-users-email.py", flagged=True),
        _file("e1_add users email.py", flagged=True),
        _file("e1_add__users_email.py", flagged=True),
        _file("e1_größe_hinzufügen.py", flagged=True),
        _file("e1_add_an_email_to_the_users_because_we_want_to_write_to_them.py", flagged=True),
        _file("add_users_email_e1.py", flagged=True),
        _file("e1_add_users_email.py", flagged=False),
        _file("2026_01_31_1200-e1_add_users_email.py", flagged=False),
        _file("e1_.py", flagged=False),
        _file("e1_add_a_column_that_is_cut_off_after_forty_.py", flagged=False),
    ),
)

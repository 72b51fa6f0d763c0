"""A revision has no name.

What happens: the file is only `<revision id>_.py`, or the docstring has no first line: `handrail history`, a plan
and the log show an id and nothing else.

Why: `alembic revision` without `-m` writes `empty message` and an empty slug. Whoever has to find the revision that
dropped a column opens all of them.

The safe way: `handrail new "add users email"`, or rename the file: its name is not stored in any database.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards import revision_name
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for a file without a slug, or a docstring without a title, or both."""
    file = revision.revision.path.name
    slug, title = revision_name.slug(revision.revision).strip("_- "), revision_name.title(revision.revision)
    if slug and title:
        return
    lacks = "neither file nor docstring say" if not slug and not title else "the file's name does not say"
    yield RULE.in_file(
        revision,
        what=f"{lacks if not slug else 'the docstring does not say'} what revision {revision.id} changes",
        why="history, plan and log show nothing but its id",
        fix=f"rename {file} to {revision.id}_<what_changes>.py"
        if not slug
        else "begin the docstring with what changes",
    )


RULE = Rule(
    name="name-empty",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#create-a-migration-script",
    findings=findings,
    baseline=True,
    examples=(
        Example(body="pass", file="e1_.py", docstring="Add users.email.", flagged=True),
        Example(body="pass", file="e1.py", docstring="Add users.email.", flagged=True),
        Example(body="pass", file="e1_add_users_email.py", docstring="", flagged=True),
        Example(
            body="pass", file="e1_add_users_email.py", docstring="empty message\n\nRevision ID: e1\n", flagged=True
        ),
        Example(body="pass", file="e1_add_users_email.py", docstring="Add users.email.", flagged=False),
        Example(body="pass", file="2026_01_31_1200-e1_add_users_email.py", docstring="Add users.email.", flagged=False),
        Example(body="pass", file="0007_add_users_email.py", docstring="Add users.email.", flagged=False),
    ),
)

"""The id of a revision is longer than 32 characters.

What happens: Alembic's version table keeps it in a `VARCHAR(32)`. PostgreSQL and MySQL refuse the longer id:
everything that the revision does runs, and then fails at the last statement.

Why: Alembic makes the column 32 wide. An id that somebody chose (`--rev-id`) is not checked before. SQLite keeps any
length, so the mistake is met in production first.

The safe way: a shorter id; what the revision does goes into the file's name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_LONGEST = 32


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for an id that the version table has no room for."""
    if len(revision.id) <= _LONGEST:
        return
    lines = revision.revision.source.splitlines()
    yield RULE.in_file(
        revision,
        line=next((n for n, line in enumerate(lines, start=1) if re.match(r"revision\b.*=", line)), 1),
        what=f"the revision id {revision.id} has {len(revision.id)} characters, and the version table takes {_LONGEST}",
        why="Alembic keeps it in a VARCHAR(32); the server refuses it after everything else has run",
        fix=f'revision = "{revision.id[:_LONGEST].rstrip("_-")}", and the same in down_revision of what follows it',
        severity=Severity.WARNING if facts.engine == "sqlite" else None,
    )


_LONG = "add_users_email_and_the_index_on_it"

RULE = Rule(
    name="name-revision-too-long",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/api/runtime.html",
    findings=findings,
    examples=(
        Example(
            body="pass",
            id=_LONG,
            file=f"{_LONG}.py",
            flagged=True,
            fails=True,
            engines=frozenset({"postgresql", "mysql"}),
        ),
        Example(body="pass", id=_LONG, file=f"{_LONG}.py", flagged=True, engines=frozenset({"sqlite"})),
        Example(body="pass", id=_LONG[:32], file=f"{_LONG[:32]}.py", flagged=False),
        Example(body="pass", flagged=False),
    ),
)

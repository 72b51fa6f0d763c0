"""The revision reads the database, so it cannot be shown as a script.

What happens: `alembic upgrade --sql`, a dry run and a review do not see what follows from the rows: the function
gets no answer, does something else or fails.

Why: without a connection there is nothing to read. Who approves the script approves a part of it.

The safe way: let SQL do it (`UPDATE ... FROM`, `INSERT ... SELECT`), or ask `context.is_offline_mode()` and say in
the script what is left out. A look at the catalogue (`sa.inspect`) is rarely needed: the revisions below tell what
is there.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import SetSetting, WriteRows
from handrail.model.finding import Finding
from handrail.model.hazards.table_change import everywhere
from handrail.model.operation import Reading
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.revision import Direction
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_BATCH = re.compile(r"SELECT (?:coalesce\()?(?:max|min)\(|\bLIMIT\b", re.IGNORECASE)
_WRITES = re.compile(r"\b(?:update|delete)\b", re.IGNORECASE)
_READS = "it reads the database"
#: What `checkfirst=True` asks before it makes or drops a type; without a connection it does not ask.
_LOOKS_FIRST = "pg_catalog.pg_type JOIN pg_catalog.pg_namespace"


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each function that reads rows or the catalogue, unless it asks for the offline mode."""
    if "is_offline_mode" in revision.revision.source or ".as_sql" in revision.revision.source:
        return
    for step in revision.steps:
        if step.reading is not Reading.DATA_DEPENDENT or _READS not in step.reason or _LOOKS_FIRST in step.reason:
            continue
        upgrade = step.direction is Direction.UPGRADE
        line = revision.revision.upgrade_line if upgrade else revision.revision.downgrade_line
        yield RULE.at(
            step,
            revision.line(_line(step.reason) or line or 1),
            what=f"{step.direction.value}() reads the database: it cannot be shown as a script",
            why="without a connection there is no answer, and what follows from the rows is not in the script",
            fix="let SQL do it (UPDATE ... FROM, INSERT ... SELECT), or ask context.is_offline_mode() first",
            severity=Severity.NOTE if _in_batches(revision, step) else None,
        )


def _in_batches(revision: ReviewedRevision, step: ReviewedStep) -> bool:
    """Return whether it only asks for the next batch of rows, or how far the keys go, and writes a part at a time."""
    if not _WRITES.search(revision.revision.source):
        return False
    parts = all(
        isinstance(action, WriteRows) and not everywhere(action.where)
        for _, action in step.actions()
        if not isinstance(action, SetSetting)
    )
    return parts and _BATCH.search(step.reason) is not None


def _line(reason: str) -> int:
    found = re.match(r"line (\d+):", reason)
    return int(found[1]) if found else 0


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",)
_LOOP = """
for row in op.get_bind().execute(sa.text("SELECT id FROM users")):
    op.execute(f"UPDATE users SET name = 'x' WHERE id = {row.id}")
"""


RULE = Rule(
    name="offline-unsafe",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/offline.html",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_LOOP, flagged=True),
        Example(
            given=_GIVEN,
            body="""
            if op.get_bind().execute(sa.text("SELECT count(*) FROM users")).scalar():
                op.execute("UPDATE users SET name = 'x'")
            """,
            flagged=True,
        ),
        Example(
            body="sa.Enum('good', name='mood').create(op.get_bind(), checkfirst=True)",
            flagged=False,
            engines=frozenset({"postgresql"}),
        ),
        Example(given=_GIVEN, body="op.execute(\"UPDATE users SET name = 'x'\")", flagged=False),
        Example(
            given=_GIVEN,
            body="""
            from alembic import context
            if not context.is_offline_mode():
                assert op.get_bind().execute(sa.text("SELECT count(*) FROM users")).scalar() == 0
            """,
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body="""
            name = op.get_bind().execute(sa.text("SELECT name FROM users LIMIT 1")).scalar()
            op.execute(f"INSERT INTO users (id, name) VALUES (1, '{name}')")
            """,
            flagged=True,
        ),
    ),
)

"""A revision, or a part of it, could not be read.

What happens: running the function on a database that executes nothing did not come to an end, or what it does depends
on what it finds in the database. What was not read was not reviewed, and nothing is said of it.

Why: it reads rows and goes on by them, opens a connection, file or process of its own, loops, or fails. Or it asks the
environment, the clock or a file which way to go, and only one way was read.

The safe way: keep reads of the database out of schema changes; split what depends on data into a revision of its own.
In a DO block write statements, not EXECUTE of a text that is put together.
Where the reading is right and the code cannot be otherwise, say so: `# handrail: ignore[not-reviewed] why`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Opaque
from handrail.model.finding import Finding
from handrail.model.hazards.downgrade_text import is_missing, raises_on_purpose
from handrail.model.hazards.sqlite_refusal import refusal
from handrail.model.hazards.surroundings import choices
from handrail.model.operation import Reading
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.revision import Direction
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each function that was not read exactly, and for each statement that could not be."""
    for step in revision.steps:
        if step.reading is not Reading.EXACT and not _told_elsewhere(revision, step):
            yield _unread(revision, step, facts)
        if step.reading is not Reading.FAILED:
            yield from _one_way(revision, step)
        for statement, action in step.actions():
            if isinstance(action, Opaque) and not _refused(statement, facts):
                yield RULE.at(
                    step,
                    statement,
                    what=f"a statement was not reviewed: {action.reason}",
                    why="it may do anything; what it does is not in the schema that later findings rest on",
                    fix="write it as plain statements, or review it by hand and say so: "
                    f"# handrail: ignore[{RULE.name}] what it does",
                    severity=None if action.anything and not facts.engine_assumed else Severity.NOTE,
                    confidence=Confidence.HIGH if action.anything else Confidence.LOW,
                )


def _one_way(revision: ReviewedRevision, step: ReviewedStep) -> Iterator[Finding]:
    """Yield where only the way was read that the function takes here and now."""
    sent = {statement.place.line for statement in step.statements if statement.place is not None}
    for choice in choices(revision, step.direction):
        if choice.sent_by and sent.isdisjoint(choice.sent_by):
            continue  # another branch was taken
        yield RULE.at(
            step,
            revision.line(choice.line),
            what=f"{step.direction.value}() was reviewed in part: what it does depends on {choice.by}",
            why="only the way that it takes here and now was read; databases under one revision become different",
            fix="do the same everywhere, and let the application choose by its settings; "
            f"or review both ways by hand and say so: # handrail: ignore[{RULE.name}] what each does",
        )


def _refused(statement: ReviewedStatement, facts: RuleFacts) -> bool:
    """Return whether nothing comes of it, for the server refuses it: told by sqlite-alter-unsupported."""
    return facts.engine == "sqlite" and refusal(statement.statement.sql) is not None


def _told_elsewhere(revision: ReviewedRevision, step: ReviewedStep) -> bool:
    """Return whether there is nothing to read: a downgrade that is missing or raises, told by the rules sym-*."""
    return step.direction is Direction.DOWNGRADE and (raises_on_purpose(revision) or is_missing(revision))


def _unread(revision: ReviewedRevision, step: ReviewedStep, facts: RuleFacts) -> Finding:
    upgrade = step.direction is Direction.UPGRADE
    line = revision.revision.upgrade_line if upgrade else revision.revision.downgrade_line
    failed = step.reading is Reading.FAILED
    function = f"{step.direction.value}()"
    return RULE.at(
        step,
        revision.line(line or 1),
        what=f"{function} was not reviewed: {step.reason}"
        if failed
        else f"{function} was reviewed in part: {step.reason}",
        why="what was not read may do anything" + ("" if failed else "; what follows depends on what is there"),
        fix=f"make {function} readable without a database, or review it by hand and say so: "
        f"# handrail: ignore[{RULE.name}] what it does",
        severity=Severity.WARNING if failed or (upgrade and not step.statements) else Severity.NOTE,
        confidence=Confidence.LOW if facts.engine_assumed else Confidence.HIGH,
    )


_PG = frozenset({"postgresql"})

RULE = Rule(
    name="not-reviewed",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/ops.html",
    findings=findings,
    examples=(
        Example(body='raise RuntimeError("not here")', flagged=True, fails=True),
        Example(body="import subprocess\nsubprocess.run(['true'])", flagged=True),
        Example(body="while True:\n    pass", flagged=True, not_run="it never ends"),
        Example(body='op.execute("DO $$ BEGIN EXECUTE concat(1); END $$")', flagged=True, engines=_PG, fails=True),
        Example(body='op.execute("DO $$ BEGIN END $$")', flagged=False, engines=_PG),
        Example(body='op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))', flagged=False),
        Example(body='print("hello")', flagged=False),
        Example(
            body="""
            import os
            if os.environ.get("APP_ENV") == "production":
                op.execute("DROP TABLE teams")
            """,
            flagged=True,
        ),
        Example(
            body="""
            import os
            for name in os.getenv("OLD_TABLES", "").split():
                op.drop_table(name)
            """,
            flagged=True,
        ),
        Example(
            body="""
            import os
            name = os.getenv("TEAMS", "teams")
            op.create_table(name, sa.Column("id", sa.Integer, primary_key=True))
            """,
            flagged=True,
        ),
        Example(
            body="""
            from alembic import context
            if context.get_x_argument(as_dictionary=True).get("purge"):
                op.execute("DELETE FROM teams")
            """,
            flagged=True,
        ),
        Example(
            body="""
            import os
            if op.get_bind().dialect.name == "oracle":
                op.execute("DROP TABLE " + os.environ["OLD"])
            """,
            flagged=False,
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY)",),
            body='op.add_column("users", sa.Column("email", sa.Text))',
            downgrade='raise NotImplementedError("restore from the backup")',
            flagged=False,
            back_fails=True,
        ),
    ),
)

"""`downgrade()` cannot run.

What happens: it raises an error of its own, or sends what the server refuses: a column NOT NULL without a default
added to a table with rows, a table or column that is still there.

Why: a downgrade is the function that nobody runs before the day it is needed.

The safe way: run it, on a copy with rows in it. Add a column that had been NOT NULL with a
`server_default`, or nullable, filled, and then NOT NULL.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.downgrade_text import raises_on_purpose
from handrail.model.operation import Reading
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_TOLD_ELSEWHERE = (
    "No support for ALTER",
    "Confined",
    "opens a connection",
    "more than",
    "does not define",
    "no such function",
    "StandIn",
)


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for what makes the downgrade fail; one that raises on purpose is `sym-downgrade-raises`."""
    down = revision.downgrade
    if down is None or raises_on_purpose(revision) or revision.revision.downgrade_line is None:
        return
    if down.reading is Reading.FAILED and not _told_elsewhere(revision, down):
        yield RULE.in_file(
            revision,
            line=revision.revision.downgrade_line,
            what=f"downgrade() fails: {down.reason}",
            why="the rollback stops here",
            fix="correct downgrade(), and run it once on a copy with rows in it",
        )
    if revision.upgrade is None or not revision.upgrade.read or _hides_something(revision.upgrade):
        return
    for statement, action in down.actions():
        told = _refused(statement, action)
        if told:
            yield RULE.at(down, statement, what=f"downgrade() fails: {told[0]}", why=told[1], fix=told[2])


def _told_elsewhere(revision: ReviewedRevision, down: ReviewedStep) -> bool:
    unnamed = any(o.name == "drop_constraint" and o.subject is None for o in down.operations)
    up = revision.upgrade
    return (
        unnamed or (up is not None and up.reading is Reading.FAILED) or any(t in down.reason for t in _TOLD_ELSEWHERE)
    )


def _hides_something(step: ReviewedStep) -> bool:
    return any(isinstance(action, act.Opaque) for _, action in step.actions())


def _refused(statement: ReviewedStatement, action: act.Action) -> tuple[str, str, str] | None:
    """Return what the server refuses, why, and what to write instead."""
    match action:
        case act.CreateTable(table=table, if_not_exists=False) if statement.before.table(table) is not None:
            return (
                f"table {bare(table)} is there already",
                "upgrade() did not drop it",
                f'take op.create_table("{bare(table)}") out',
            )
        case act.AddColumn(table=table, column=column, if_not_exists=False):
            if statement.before.column(table, column.name) is not None:
                what = f"column {bare(table)}.{column.name} is there already"
                return what, "upgrade() did not drop it", f"take the add_column of {column.name} out"
            filled = column.default is not None or column.identity or column.generated
            if column.nullable is False and not filled and not statement.creates(table):
                return (
                    f"{bare(table)}.{column.name} is added NOT NULL without a default",
                    "the server refuses it as soon as the table has a row",
                    f"give {column.name} a server_default, or add it nullable, fill it, then set NOT NULL",
                )
    return None


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'


RULE = Rule(
    name="sym-downgrade-fails",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(
            given=_GIVEN,
            body='op.drop_column("users", "name")',
            downgrade='op.add_column("users", sa.Column("name", sa.String(20), nullable=False))',
            flagged=True,
            engines=frozenset({"postgresql", "mysql"}),
        ),
        Example(given=_GIVEN, body=_EMAIL, downgrade='op.drop_colum("users", "email")', flagged=True, back_fails=True),
        Example(given=_GIVEN, body=_EMAIL, downgrade=_EMAIL, flagged=True, back_fails=True),
        Example(
            given=_GIVEN,
            body=_EMAIL,
            downgrade='op.create_table("users", sa.Column("id", sa.Integer))',
            flagged=True,
            back_fails=True,
        ),
        Example(
            given=_GIVEN,
            body='op.drop_column("users", "name")',
            downgrade='op.add_column("users", sa.Column("name", sa.String(20), server_default="", nullable=False))',
            flagged=False,
        ),
        Example(given=_GIVEN, body=_EMAIL, downgrade=_NO_EMAIL, flagged=False),
        Example(
            given=_GIVEN,
            body="op.execute(\"DO $$ BEGIN EXECUTE format('ALTER TABLE users DROP COLUMN %I', 'name'); END $$\")",
            downgrade='op.add_column("users", sa.Column("name", sa.String(20)))',
            flagged=False,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            given=_GIVEN,
            body='op.drop_table("users")',
            downgrade='op.create_table("users", sa.Column("a", sa.Integer, nullable=False))',
            flagged=False,
        ),
    ),
)

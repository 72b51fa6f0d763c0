"""Alembic cannot write this change for MySQL, since the call leaves out what its SQL has to say.

What happens: the revision fails before the statement is sent: `All MySQL CHANGE/MODIFY COLUMN operations require the
existing type`, or `No generic 'DROP CONSTRAINT' in MySQL - please specify constraint type`. Without a table,
drop_index sends `DROP INDEX ... ON no_table`, which the server refuses. What it did before that line stays, since every
DDL statement is committed by itself.

Why: MODIFY states the whole column, its type included, each kind of constraint is dropped by a statement of its own
(DROP INDEX, DROP FOREIGN KEY, DROP CHECK), and an index by its name and its table. Other databases need none of these,
so that it works there.

The safe way: `existing_type=` in alter_column, `type_=` in drop_constraint, `table_name=` in drop_index.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import DropIndex
from handrail.model.finding import Finding
from handrail.model.operation import Operation, Place, Reading
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

#: What Alembic writes for a table that is not named: alembic/operations/schemaobj.py.
_NO_TABLE = "no_table"
_LINE = re.compile(r"line (\d+): ")
#: Alembic's own words, alembic/ddl/mysql.py, with what is missing and what to write.
_REFUSED = (
    (
        "CHANGE/MODIFY COLUMN operations require the existing type",
        "the column's type is not named",
        "op.alter_column({table!r}, {subject!r}, ..., existing_type=sa.String(40)), with the type that it has",
    ),
    (
        "No generic 'DROP CONSTRAINT' in MySQL",
        "the constraint's kind is not named",
        'op.drop_constraint({subject!r}, {table!r}, type_="unique"), or "foreignkey", "check", "primary"',
    ),
)


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where a function cannot be written as MySQL's SQL for want of a type or a table."""
    for step in revision.steps:
        yield from _of_no_table(step)
        if step.reading is not Reading.FAILED:
            continue
        for words, missing, fix in _REFUSED:
            if words in step.reason:
                last = step.operations[-1] if step.operations else None
                yield RULE.at(
                    step,
                    _place(revision, step),
                    what=f"{_named(last)}: {missing}, and the revision fails here",
                    why="MySQL's statement for it says it, so Alembic has to know it",
                    fix=_filled(fix, last),
                )


def _of_no_table(step: ReviewedStep) -> Iterator[Finding]:
    for statement, action in step.actions():
        if not isinstance(action, DropIndex) or action.table != _NO_TABLE or statement.before.table(_NO_TABLE):
            continue
        owner = statement.before.table_of_index(action.name)
        yield RULE.at(
            step,
            statement,
            what=f"drop_index of {action.name}: its table is not named, and the revision fails here",
            why="an index is dropped by its name and its table; without one Alembic writes ON no_table",
            fix=f'op.drop_index("{action.name}", table_name="{owner.name if owner else "..."}")',
        )


def _named(operation: Operation | None) -> str:
    if operation is None:
        return "the change cannot be written"
    return f"{operation.name} of {'.'.join(filter(None, (operation.table, operation.subject)))}"


def _filled(fix: str, operation: Operation | None) -> str:
    table, subject = (operation.table or "...", operation.subject or "...") if operation else ("...", "...")
    return fix.format(table=table, subject=subject).replace("'", '"')


def _place(revision: ReviewedRevision, step: ReviewedStep) -> Place | None:
    line = _LINE.match(step.reason)
    if line:
        return revision.line(int(line[1]))
    return step.operations[-1].place if step.operations else None


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40), CONSTRAINT uq_name UNIQUE (name))"

RULE = Rule(
    name="mysql-alter-incomplete",
    severity=Severity.ERROR,
    engines=frozenset({"mysql"}),
    source="https://alembic.sqlalchemy.org/en/latest/ops.html#alembic.operations.Operations.alter_column",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "name", nullable=False)',
            flagged=True,
            fails=True,
            rewrite=('op.alter_column("users", "name", existing_type=sa.String(40), nullable=False)',),
            leaves_out="the change, which the flagged body does not make",
        ),
        Example(
            given=(_USERS,),
            body='op.drop_constraint("uq_name", "users")',
            flagged=True,
            fails=True,
            rewrite=('op.drop_constraint("uq_name", "users", type_="unique")',),
            leaves_out="the change, which the flagged body does not make",
        ),
        Example(
            given=(_USERS,), body='op.alter_column("users", "name", new_column_name="n")', flagged=True, fails=True
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "name", existing_type=sa.String(40), nullable=False)',
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.drop_index("uq_name")', flagged=True, fails=True),
        Example(given=(_USERS,), body='op.drop_index("uq_name", table_name="users")', flagged=False),
        Example(given=(_USERS,), body='op.alter_column("users", "name", server_default="x")', flagged=False),
        Example(given=(_USERS,), body='op.drop_constraint("uq_name", "users", type_="unique")', flagged=False),
    ),
)

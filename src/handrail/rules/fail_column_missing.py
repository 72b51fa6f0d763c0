"""A column is changed or dropped that no revision has made.

What happens: the statement fails: "column does not exist".

Why: the revisions before have made the table, and none of them has made the column, or one has dropped or renamed it.
The name is misspelt, or the revision was written for a database that somebody has changed by hand.

The safe way: name the column as it is. What only some databases have is dropped with IF EXISTS.
"""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from handrail.model.action import (
    Action,
    AlterDefault,
    AlterNullable,
    AlterType,
    DropColumn,
    RedefineColumn,
    RenameColumn,
)
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import send, sql_name
from handrail.model.replayed import Replayed
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that upgrade() names and its table lacks; downgrades are `sym-wrong-target`'s."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not statement.certain:
            continue
        missing = _missing(statement.before, action)
        if missing is None:
            continue
        table, column, there = missing
        near = get_close_matches(column, there, n=1)
        drop = f"ALTER TABLE {sql_name(table)} DROP COLUMN IF EXISTS {sql_name(column)}"
        yield RULE.at(
            step,
            statement,
            what=f"{table} has no column {column}: upgrade() fails here",
            why=f"no revision before has made it; there are: {', '.join(there)}",
            fix=f"did you mean {near[0]}?"
            if near
            else f"take it out, or where only some databases have the column:\n{send(drop)}",
        )


def _missing(before: Replayed, action: Action) -> tuple[str, str, list[str]] | None:
    """Return table and column that are not there, with the columns that are; None where all is well, or not known."""
    match action:
        case DropColumn(table=table, column=column, if_exists=False) | RenameColumn(table=table, column=column):
            pass
        case AlterType(table=table, column=column) | AlterNullable(table=table, column=column):
            pass
        case AlterDefault(table=table, column=column) | RedefineColumn(table=table, column=column):
            pass
        case _:
            return None
    known = before.table(table)
    if known is None or not known.complete:
        return None
    there = [each.name for each in known.columns]
    return None if column.lower() in {name.lower() for name in there} else (table, column, there)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="fail-column-missing",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://www.postgresql.org/docs/current/sql-altertable.html",
    findings=findings,
    examples=(
        Example(given=(_USERS,), body='op.drop_column("users", "mail")', flagged=True, fails=True),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users RENAME COLUMN nickname TO nick")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, "ALTER TABLE users DROP COLUMN email"),
            body='op.execute("ALTER TABLE users ALTER COLUMN email TYPE text")',
            flagged=True,
            fails=True,
            engines=_PG,
        ),
        Example(given=(_USERS,), body='op.drop_column("users", "email")', flagged=False),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users DROP COLUMN IF EXISTS mail")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("age", sa.Integer))\nop.drop_column("users", "age")',
            flagged=False,
        ),
    ),
)

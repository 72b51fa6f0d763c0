"""A type is changed to one that the server does not convert to by itself.

What happens: the statement fails: "column cannot be cast automatically to type", whatever the rows hold. With USING it
still fails where the column's default cannot be converted.

Why: ALTER COLUMN TYPE uses implicit and assignment casts only; text to integer, integer to boolean and text to an enum
have none. USING converts the values, never the default.

The safe way: say how with `postgresql_using`; drop a default before, and set it after.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AlterType
from handrail.model.finding import Finding
from handrail.model.hazards.column_type import casts
from handrail.model.hazards.spelling import call, quoted, send, sql_name
from handrail.model.hazards.table_change import old_type
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each change of type that has no cast, in either function."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AlterType):
                continue
            old = old_type(statement, action)
            if old is UNKNOWN or casts(old, action.type, frozenset(statement.before.enums)) is not False:
                continue
            default = _default(statement, action)
            if action.using and not default:
                continue
            table, column = action.table, action.column
            name = sql_name(column)
            change = send(
                f"ALTER TABLE {sql_name(table)} ALTER COLUMN {name} TYPE {action.type} USING {name}::{action.type}"
            )
            yield RULE.at(
                step,
                statement,
                what=f"{old} of {table}.{column} does not become {action.type} alone: {step.direction.value}() fails"
                if not action.using
                else f"the default {default} of {table}.{column} does not become {action.type}: "
                f"{step.direction.value}() fails",
                why="ALTER COLUMN TYPE finds no implicit or assignment cast"
                if not action.using
                else "USING converts the values, not the default",
                fix=change
                if not default
                else call("alter_column", table, quoted(column), "server_default=None")
                + f"\n{change}\n"
                + call("alter_column", table, quoted(column), f"server_default={default!r}"),
            )


def _default(statement: ReviewedStatement, action: AlterType) -> str:
    known = statement.before.column(action.table, action.column)
    return known.default if known is not None and isinstance(known.default, str) else ""


_USERS = (
    "CREATE TABLE users (id integer PRIMARY KEY, age varchar(10), active integer, state text DEFAULT 'on', "
    "price integer, tags text)"
)
_STATE = "CREATE TYPE state AS ENUM ('on', 'off')"

RULE = Rule(
    name="fail-type-no-using",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DATA-TYPE",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "age", type_=sa.Integer(), existing_type=sa.String(10))',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ALTER active TYPE boolean")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _STATE),
            body='op.execute("ALTER TABLE users ALTER age TYPE state")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _STATE),
            body='op.execute("ALTER TABLE users ALTER state TYPE state USING state::state")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,), body='op.execute("ALTER TABLE users ALTER tags TYPE text[]")', flagged=True, fails=True
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "price", type_=sa.Text())',
            downgrade='op.alter_column("users", "price", type_=sa.Integer())',
            flagged=True,
            back_fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "age", type_=sa.Integer(), postgresql_using="age::integer")',
            flagged=False,
        ),
        Example(
            given=(_USERS, _STATE),
            body="""
            op.alter_column("users", "state", server_default=None)
            op.execute("ALTER TABLE users ALTER state TYPE state USING state::state")
            op.alter_column("users", "state", server_default="on")
            """,
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.alter_column("users", "price", type_=sa.Numeric(10, 2))', flagged=False),
        Example(given=(_USERS,), body='op.alter_column("users", "price", type_=sa.Text())', flagged=False),
    ),
)

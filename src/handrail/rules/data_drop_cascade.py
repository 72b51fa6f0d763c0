"""DROP ... CASCADE drops what it does not name.

What happens: views, foreign keys, columns and whole objects that depend on what is dropped go with it, in this database
and in every other one where the dependants differ.

Why: CASCADE follows the server's own catalogue at the moment it runs. `DROP TYPE ... CASCADE` drops every column of
that type with its values. This rule speaks for the data too: `data-drop-column` and `data-drop-table` are silent at
such a statement. Schemas are `data-drop-schema`'s.

The safe way: drop without CASCADE, which refuses and lists what depends, and drop each dependant by name first.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import (
    Action,
    CreateEnum,
    CreateObject,
    DropColumn,
    DropConstraint,
    DropIndex,
    DropObject,
    DropTable,
)
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import call, quoted
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_OF_ROWS = frozenset({"type", "domain", "extension"})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each DROP ... CASCADE of the upgrade on what was there before."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        dropped = _dropped(action)
        if not dropped or _made_here(step, statement, action):
            continue
        known = _dependants(statement, action)
        loses = isinstance(action, DropTable | DropColumn) or (
            isinstance(action, DropObject) and action.kind in _OF_ROWS
        )
        yield RULE.at(
            step,
            statement,
            what=f"{dropped} is dropped with all that depends on it"
            + (f": {', '.join(known)}" if known else ", whatever that is"),
            why="CASCADE drops dependants without naming them, and they differ between databases",
            fix="\n".join((*(f"drop {name} first, by name" for name in known), _plainly(action, dropped))),
            severity=Severity.ERROR if loses else Severity.WARNING,
        )


def _plainly(action: Action, dropped: str) -> str:
    """Return the drop without CASCADE, as a line where there is one operation for it."""
    match action:
        case DropTable(table=table):
            return call("drop_table", table)
        case DropColumn(table=table, column=column):
            return call("drop_column", table, quoted(column))
        case _:
            return f"drop {dropped} without CASCADE"


def _dropped(action: Action) -> str:
    match action:
        case DropTable(cascade=True, table=table):
            return f"table {table}"
        case DropColumn(cascade=True, table=table, column=column):
            return f"column {table}.{column}"
        case DropConstraint(cascade=True, table=table, name=name):
            return f"constraint {name} of {table}"
        case DropIndex(cascade=True, name=name):
            return f"index {name}"
        case DropObject(cascade=True, kind=kind, name=name) if kind != "schema":
            return f"{kind} {name}"
        case _:
            return ""


def _made_here(step: ReviewedStep, statement: ReviewedStatement, action: Action) -> bool:
    match action:
        case DropTable(table=table) | DropColumn(table=table) | DropConstraint(table=table):
            known = statement.before.table(table)
            return statement.creates(table) or (known is not None and known.temporary)
        case DropObject(name=name):
            return any(isinstance(a, CreateObject | CreateEnum) and a.name == name for _, a in step.actions())
        case _:
            return False


def _dependants(statement: ReviewedStatement, action: Action) -> tuple[str, ...]:
    before = statement.before
    match action:
        case DropTable(table=table):
            keys = (f"foreign key {key.name or '?'} of {other.name}" for other, key in before.referring(table))
            return (*keys, *(f"{view.kind} {view.name}" for view in before.views_on(table)))
        case DropColumn(table=table, column=column):
            keys = (
                f"foreign key {key.name or '?'} of {other.name}"
                for other, key in before.referring(table)
                if column in key.referenced_columns
            )
            views = (v for v in before.views_on(table) if not v.definition or {column, "*"} & {*v.definition.split()})
            return (*keys, *(f"{view.kind} {view.name}" for view in views))
        case DropObject(kind="type", name=name):
            return tuple(
                f"column {table.name}.{column.name}"
                for table in before.tables.values()
                for column in table.columns
                if column.type == name
            )
        case DropObject(kind="view", name=name):
            return tuple(f"{view.kind} {view.name}" for view in before.views_on(name))
        case _:
            return ()


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_ADULTS = "CREATE VIEW adults AS SELECT id, email FROM users"

RULE = Rule(
    name="data-drop-cascade",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/ddl-depend.html",
    findings=findings,
    cascades=True,
    examples=(
        Example(
            given=(_USERS, _ADULTS),
            body='op.execute("DROP TABLE users CASCADE")',
            flagged=True,
            rewrite=(
                """
                op.execute("DROP VIEW adults")
                op.drop_table("users")
                """,
            ),
        ),
        Example(
            given=(_USERS, _ADULTS),
            body='op.execute("ALTER TABLE users DROP COLUMN email CASCADE")',
            flagged=True,
        ),
        Example(
            given=("CREATE TYPE state AS ENUM ('on', 'off')", "CREATE TABLE jobs (id integer, state state)"),
            body='op.execute("DROP TYPE state CASCADE")',
            flagged=True,
        ),
        Example(given=(_USERS, _ADULTS), body='op.execute("DROP VIEW adults CASCADE")', flagged=True),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE")',
            flagged=True,
        ),
        Example(given=(_USERS, _ADULTS), body='op.execute("DROP VIEW adults")', flagged=False),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TEMPORARY TABLE picked AS SELECT id FROM users")
            op.execute("DROP TABLE picked CASCADE")
            """,
            flagged=False,
        ),
        Example(
            given=("CREATE TABLE notes (id integer, user_id integer)", _USERS),
            body='op.create_foreign_key("fk_notes", "notes", "users", ["user_id"], ["id"], ondelete="CASCADE")',
            flagged=False,
        ),
    ),
)

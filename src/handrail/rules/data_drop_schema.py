"""A schema, a database or all that a role owns is dropped with its tables.

What happens: every table inside is gone, with its rows, whatever their number.

Why: DROP SCHEMA ... CASCADE, DROP DATABASE and DROP OWNED name none of what they take along. DROP SCHEMA without
CASCADE refuses as long as something is inside.

The safe way: drop the tables by name, each where it can be read and kept, and then the empty schema without CASCADE.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, CreateObject, DropObject, Other
from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_WHOLE = {"DROPDB": "a whole database", "DROP OWNED": "everything that a role owns"}


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each statement of the upgrade that drops many tables without naming them."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        dropped = _dropped(step, action)
        if dropped:
            schema = action.name if isinstance(action, DropObject) else "the schema"
            yield RULE.at(
                step,
                statement,
                what=f"{dropped} is dropped with every table in it",
                why="it names none of what it takes along, and cannot be taken back",
                fix="drop the tables by name, then\n"
                f'op.execute("DROP SCHEMA {schema}"), which refuses while one is left',
            )


def _dropped(step: ReviewedStep, action: Action) -> str:
    match action:
        case DropObject(kind="schema", cascade=True, name=name):
            made = any(isinstance(a, CreateObject) and a.kind == "schema" and a.name == name for _, a in step.actions())
            return "" if made else f"schema {name}"
        case Other(what=what):
            return _WHOLE.get(what, "")
        case _:
            return ""


RULE = Rule(
    name="data-drop-schema",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-dropschema.html",
    findings=findings,
    cascades=True,
    examples=(
        Example(
            given=("CREATE SCHEMA dropped_shop", "CREATE TABLE dropped_shop.orders (id integer)"),
            body='op.execute("DROP SCHEMA dropped_shop CASCADE")',
            flagged=True,
            rewrite=(
                """
                op.drop_table("orders", schema="dropped_shop")
                op.execute("DROP SCHEMA dropped_shop")
                """,
            ),
        ),
        Example(body='op.execute("DROP OWNED BY joe")', flagged=True, not_run="needs a role"),
        Example(
            given=("CREATE SCHEMA dropped_empty",),
            body='op.execute("DROP SCHEMA dropped_empty")',
            flagged=False,
        ),
    ),
)

"""A column is dropped with the values in it.

What happens: what the column holds is gone when the revision commits. `downgrade()` can add the column again, not what
was in it.

Why: DROP COLUMN makes the values unreachable at once; only a backup or a copy has them then. What the application
versions that still name the column suffer is `compat-drop-column`'s; DROP ... CASCADE is `data-drop-cascade`'s. Values
that the same revision copies are `compat-expand-contract-same-rev`'s.

The safe way: keep a copy, or a backup that was restored once, and drop the column in a revision of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import DropColumn
from handrail.model.finding import Finding
from handrail.model.hazards.scenes import remade
from handrail.model.hazards.spelling import call, quoted, send, sql_name, sql_names
from handrail.model.hazards.table_change import changes, copied
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column with values that the upgrade drops."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, DropColumn) or action.cascade or _without_values(statement, action):
            continue
        if facts.rows(action.table) == 0 or copied(step, action.table, action.column):
            continue
        yield RULE.at(
            step,
            statement,
            what=f"the values of {action.table}.{action.column} are lost",
            why="DROP COLUMN cannot be taken back: downgrade() adds an empty column",
            fix=_fix(statement, action),
        )


def _without_values(statement: ReviewedStatement, action: DropColumn) -> bool:
    known = statement.before.column(action.table, action.column)
    computed = known is not None and bool(known.generated)
    return computed or statement.creates(action.table) or statement.adds(action.table, action.column)


def _fix(statement: ReviewedStatement, action: DropColumn) -> str:
    table = statement.before.table(action.table)
    taken = sql_names((*((table.primary_key if table else ()) or ("id",)), action.column))
    kept = sql_name(f"{action.table.rpartition('.')[2]}_{action.column}_kept")
    return (
        "keep the values first (or take a backup, and restore it once):\n"
        + send(f"CREATE TABLE {kept} AS SELECT {taken} FROM {sql_name(action.table)}")
        + f"\n{call('drop_column', action.table, quoted(action.column))}"
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50), age integer)"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="data-drop-column",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-DROP-COLUMN",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.drop_column("users", "email")',
            flagged=True,
            rewrite=(
                """
                op.execute("CREATE TABLE users_email_kept AS SELECT id, email FROM users")
                op.drop_column("users", "email")
                """,
            ),
            leaves_out="the copy users_email_kept is there in addition",
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users DROP COLUMN email")', flagged=True),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.drop_column("email")
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            for column in ("email", "age"):
                op.drop_column("users", column)
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body=remade("id integer PRIMARY KEY, age integer", "SELECT id, age FROM users"),
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("name", sa.Text))',
            downgrade='op.drop_column("users", "name")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("draft", sa.Text))
            op.drop_column("users", "draft")
            """,
            flagged=False,
        ),
        Example(
            given=(
                "CREATE TABLE orders (id integer PRIMARY KEY, doubled integer GENERATED ALWAYS AS (id * 2) STORED)",
            ),
            body='op.drop_column("orders", "doubled")',
            flagged=False,
        ),
    ),
)

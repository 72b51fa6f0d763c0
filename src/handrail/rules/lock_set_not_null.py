"""A column becomes NOT NULL and every row is looked at while everybody waits.

What happens: SET NOT NULL holds ACCESS EXCLUSIVE on the table while it reads all rows: nobody reads or writes the
table for that long.

Why: the server has to know that no row is NULL. Since version 12 it does not look where a valid CHECK says so already.

The safe way: add CHECK (column IS NOT NULL) NOT VALID; in a later revision validate it, set NOT NULL, which is done in
a moment now, and drop the CHECK.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AlterNullable
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.long_work import never_null
from handrail.model.hazards.spelling import made_up, revisions, send, sql_name, table_words
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each SET NOT NULL that has to read the table."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AlterNullable) or action.nullable:
                continue
            if never_null(statement.before, action.table, action.column):
                continue
            if not others_wait(statement, action.table, facts):
                continue
            yield RULE.at(
                step,
                statement,
                what=f"SET NOT NULL on {action.table}.{action.column} reads all rows while everybody waits",
                why="SET NOT NULL holds ACCESS EXCLUSIVE while it looks for NULLs, and no valid CHECK saves it that"
                + counted(action.table, facts),
                fix=_fix(action),
                severity=weight(step, RULE.severity),
            )


def _fix(action: AlterNullable) -> str:
    name = sql_name(f"{made_up('ck', action.table, action.column)}_not_null")
    alter, column = f"ALTER TABLE {sql_name(action.table)}", sql_name(action.column)
    quoted, schema = table_words(action.table)
    return revisions(
        send(f"{alter} ADD CONSTRAINT {name} CHECK ({column} IS NOT NULL) NOT VALID"),
        send(f"{alter} VALIDATE CONSTRAINT {name}")
        + f'\nop.alter_column({quoted}, "{action.column}", nullable=False{schema})\n'
        + send(f"{alter} DROP CONSTRAINT {name}"),
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_CHECK = 'op.execute("ALTER TABLE users ADD CONSTRAINT ck CHECK (email IS NOT NULL) NOT VALID")'

RULE = Rule(
    name="lock-set-not-null",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", existing_type=sa.Text, nullable=False)',
            flagged=True,
            rewrite=(
                """
                op.execute(
                    "ALTER TABLE users ADD CONSTRAINT ck_users_email_not_null CHECK (email IS NOT NULL) NOT VALID"
                )
                """,
                """
                op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_email_not_null")
                op.alter_column("users", "email", nullable=False)
                op.execute("ALTER TABLE users DROP CONSTRAINT ck_users_email_not_null")
                """,
            ),
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users ALTER email SET NOT NULL")', flagged=True),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD CONSTRAINT users_email_set NOT NULL email")',
            flagged=True,
            not_run="only PostgreSQL 18 and later know it",
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("email", existing_type=sa.Text, nullable=False)
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("role", sa.Text))
            op.execute("UPDATE users SET role = 'reader'")
            op.alter_column("users", "role", nullable=False)
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,), earlier=(_CHECK,), body='op.alter_column("users", "email", nullable=False)', flagged=True
        ),
        Example(
            given=(_USERS,),
            earlier=(_CHECK, 'op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck")'),
            body="""
            op.alter_column("users", "email", nullable=False)
            op.drop_constraint("ck", "users")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""op.add_column("users", sa.Column("role", sa.Text, nullable=False, server_default="reader"))""",
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.alter_column("users", "id", nullable=False)', flagged=False),
        Example(given=(_USERS,), body='op.alter_column("users", "email", nullable=True)', flagged=False),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer), sa.Column("name", sa.Text))
            op.alter_column("teams", "name", nullable=False)
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", nullable=False)',
            sizes={"users": 4_000},
            flagged=False,
        ),
    ),
)

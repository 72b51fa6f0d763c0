"""A column is added whose default gives each row a value of its own, so that every row is written anew.

What happens: ADD COLUMN with a volatile default (random(), gen_random_uuid(), clock_timestamp()) holds ACCESS EXCLUSIVE
while the table is written anew: nobody reads or writes it for that long.

Why: a constant default, now() included, is noted once in the catalogue and costs a moment (11+). A volatile one has to
be asked for each row.

The safe way: add the column without a default, set the default, which is about new rows only, and fill the old rows
in batches.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn
from handrail.model.finding import Finding
from handrail.model.hazards.batch_spelling import filling, key_of
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import revisions, send, sql_name
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that is added with a volatile default to a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AddColumn) or action.column.volatile_default is False:
                continue
            if "nextval" in str(action.column.default).lower() or not others_wait(statement, action.table, facts):
                continue
            guess = action.column.volatile_default is UNKNOWN
            yield RULE.at(
                step,
                statement,
                what=f"the default of {action.table}.{action.column.name} {'may give' if guess else 'gives'} each row"
                " a value of its own: every row is written anew while everybody waits",
                why=f"{action.column.default} is asked once for each row, under ACCESS EXCLUSIVE"
                + counted(action.table, facts),
                fix=_fix(statement, action),
                severity=weight(step, Severity.WARNING if guess else RULE.severity),
                confidence=Confidence.LOW if guess else Confidence.HIGH,
            )


def _fix(statement: ReviewedStatement, action: AddColumn) -> str:
    table, column, default = sql_name(action.table), sql_name(action.column.name), action.column.default
    bodies = [
        send(f"ALTER TABLE {table} ADD COLUMN {column} {action.column.type}")
        + "\n"
        + send(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT {default}"),
        filling(action.table, key_of(statement.before.table(action.table)), action.column.name, str(default)),
    ]
    if action.column.nullable is False:
        bodies.append(f"make {column} NOT NULL, see lock-set-not-null")
    return revisions(*bodies)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY)"

RULE = Rule(
    name="rewrite-volatile-default",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("token", sa.Uuid, server_default=sa.text("gen_random_uuid()")))
            """,
            flagged=True,
            rewrite=(
                """
                op.add_column("users", sa.Column("token", sa.Uuid))
                op.alter_column("users", "token", server_default=sa.text("gen_random_uuid()"))
                """,
                'op.execute("UPDATE users SET token = gen_random_uuid() WHERE id < 1000 AND token IS NULL")',
            ),
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("dice", sa.Float, server_default=sa.func.random(), nullable=False))',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD COLUMN at timestamptz DEFAULT clock_timestamp()")',
            flagged=True,
        ),
        Example(
            given=(_USERS, "CREATE FUNCTION code() RETURNS text LANGUAGE sql AS $$ SELECT random()::text $$"),
            body='op.execute("ALTER TABLE users ADD COLUMN code text DEFAULT code()")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("at", sa.DateTime, server_default=sa.func.now(), nullable=False))
            op.add_column("users", sa.Column("on", sa.Boolean, server_default=sa.true(), nullable=False))
            op.add_column("users", sa.Column("tags", sa.JSON, server_default="{}"))
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("token", sa.Text, default="random()"))',
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer))
            op.add_column("teams", sa.Column("token", sa.Uuid, server_default=sa.text("gen_random_uuid()")))
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("token", sa.Uuid, server_default=sa.text("gen_random_uuid()")))
            """,
            sizes={"users": 70},
            flagged=False,
        ),
    ),
)

"""A column is added that numbers the rows, so that every row is written anew.

What happens: ADD COLUMN with serial, bigserial, an identity or a default of nextval() holds ACCESS EXCLUSIVE while the
table is written anew: nobody reads or writes it for that long.

Why: each row gets a number of its own.

The safe way: add a plain column, make a sequence and set it as the default, which is about new rows only, and number
the old rows in batches.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import made_up, revisions, send, sql_name
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that numbers the rows of a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AddColumn) or not others_wait(statement, action.table, facts):
                continue
            if not action.column.identity and "nextval" not in str(action.column.default).lower():
                continue
            yield RULE.at(
                step,
                statement,
                what=f"{action.table}.{action.column.name} numbers the rows: every row is written anew while everybody"
                " waits",
                why="serial and identity columns give each row a number, under ACCESS EXCLUSIVE"
                + counted(action.table, facts),
                fix=_fix(action),
                severity=weight(step, RULE.severity),
            )


def _fix(action: AddColumn) -> str:
    table, column = sql_name(action.table), sql_name(action.column.name)
    schema, dot, name = action.table.rpartition(".")
    sequence = sql_name(f"{schema}{dot}{made_up(name, action.column.name, 'seq')}")
    return revisions(
        send(f"ALTER TABLE {table} ADD COLUMN {column} {action.column.type}")
        + "\n"
        + send(f"CREATE SEQUENCE {sequence} OWNED BY {table}.{column}")
        + "\n"
        + send(f"ALTER TABLE {table} ALTER COLUMN {column} SET DEFAULT nextval('{sequence}')"),
        f"in batches: SET {column} = nextval('{sequence}') WHERE {column} IS NULL",
    )


_USERS = "CREATE TABLE users (name text)"

RULE = Rule(
    name="rewrite-serial",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD COLUMN number bigserial")',
            flagged=True,
            rewrite=(
                """
                op.add_column("users", sa.Column("number", sa.BigInteger))
                op.execute("CREATE SEQUENCE users_number_seq OWNED BY users.number")
                op.execute("ALTER TABLE users ALTER COLUMN number SET DEFAULT nextval('users_number_seq')")
                """,
            ),
            leaves_out="the old rows are numbered in batches, and the column is NOT NULL, in later revisions",
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("number", sa.BigInteger, sa.Identity(always=True)))',
            flagged=True,
        ),
        Example(
            given=(_USERS, "CREATE SEQUENCE numbers"),
            body="""
            op.add_column("users", sa.Column("number", sa.Integer, server_default=sa.text("nextval('numbers')")))
            """,
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.add_column("users", sa.Column("number", sa.BigInteger))', flagged=False),
        Example(
            body='op.create_table("teams", sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True))',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD COLUMN number bigserial")',
            sizes={"users": 8},
            flagged=False,
        ),
    ),
)

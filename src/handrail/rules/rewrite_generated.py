"""A stored generated column is added or changed, so that every row is written anew.

What happens: ADD COLUMN ... GENERATED ALWAYS AS (...) STORED, and SET EXPRESSION (17+), hold ACCESS EXCLUSIVE while
the table is written anew: nobody reads or writes it for that long.

Why: the value of each row is computed and stored.

The safe way: a plain column that a trigger keeps, with the old rows filled in batches; or an index on the expression,
or a VIRTUAL column (18+), which store nothing in the table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import Action, AddColumn, Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import revisions, send, sql_name
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each generated column whose values are stored in a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            told = _told(statement, action)
            if told is None:
                continue
            table, what, fix = told
            if not others_wait(statement, table, facts):
                continue
            yield RULE.at(
                step,
                statement,
                what=f"{what}: every row is written anew while everybody waits",
                why="the value of each row is computed and stored under ACCESS EXCLUSIVE" + counted(table, facts),
                fix=fix,
                severity=weight(step, RULE.severity),
            )


def _told(statement: ReviewedStatement, action: Action) -> tuple[str, str, str] | None:
    match action:
        case AddColumn(table=table, column=column) if column.generated and column.stored:
            name = sql_name(column.name)
            fix = revisions(
                send(f"ALTER TABLE {sql_name(table)} ADD COLUMN {name} {column.type}")
                + f"\nand a trigger BEFORE INSERT OR UPDATE ON {table} that sets "
                f"NEW.{name} := {_of_the_row(column.generated, statement.before.table(table))}",
                f"in batches: SET {name} = {column.generated} WHERE {name} IS DISTINCT FROM {column.generated}",
            )
            return table, f"{table}.{column.name} is generated and stored", fix
        case Other(what="SET EXPRESSION", table=table):
            fix = revisions("add a column for the new expression, kept by a trigger", "fill it in batches")
            return table, f"a generated column of {table} gets another expression", fix
        case _:
            return None


def _of_the_row(expression: str, table: ReplayedTable | None) -> str:
    """Return an expression of the table's columns as a trigger's function has to write it."""
    names = "|".join(re.escape(sql_name(column.name)) for column in table.columns) if table is not None else ""
    return re.sub(rf"(?<![\w.'\"])(?:{names})(?![\w('\"])", r"NEW.\g<0>", expression) if names else expression


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"

RULE = Rule(
    name="rewrite-generated",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("plain", sa.Text, sa.Computed("lower(email)", persisted=True)))
            """,
            flagged=True,
            rewrite=(
                """
                op.add_column("users", sa.Column("plain", sa.Text))
                op.execute(
                    "CREATE FUNCTION users_plain() RETURNS trigger LANGUAGE plpgsql AS "
                    "$$ BEGIN NEW.plain := lower(NEW.email); RETURN NEW; END $$"
                )
                op.execute(
                    "CREATE TRIGGER users_plain BEFORE INSERT OR UPDATE ON users "
                    "FOR EACH ROW EXECUTE FUNCTION users_plain()"
                )
                """,
            ),
            leaves_out="a trigger fills the column, and old rows are filled in batches in a later revision",
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD plain text GENERATED ALWAYS AS (lower(email)) STORED")',
            flagged=True,
        ),
        Example(
            given=(_USERS, "ALTER TABLE users ADD plain text GENERATED ALWAYS AS (lower(email)) STORED"),
            body='op.execute("ALTER TABLE users ALTER plain SET EXPRESSION AS (upper(email))")',
            flagged=True,
            since=17,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD plain text GENERATED ALWAYS AS (lower(email)) VIRTUAL")',
            flagged=False,
            since=18,
        ),
        Example(
            body="""
            op.create_table(
                "teams",
                sa.Column("name", sa.Text),
                sa.Column("plain", sa.Text, sa.Computed("lower(name)", persisted=True)),
            )
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD plain text GENERATED ALWAYS AS (lower(email)) STORED")',
            sizes={"users": 30},
            flagged=False,
        ),
    ),
)

"""NOT NULL is set on a column that may hold NULL.

What happens: the statement fails at the first row without a value, and the revision with it.

Why: the server reads every row to prove that none is NULL. Whether one is, only the database knows; nothing in the
revisions fills the column. Older versions that go on writing NULL are `compat-set-not-null`'s.

The safe way: fill the column in an earlier revision, with a default for new rows, prove it with a CHECK that is NOT
VALID first and validated then, and set NOT NULL last.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AlterNullable
from handrail.model.finding import Finding
from handrail.model.hazards.batch_spelling import filling, key_of
from handrail.model.hazards.long_work import never_null
from handrail.model.hazards.spelling import not_null_proved, send, sql_name
from handrail.model.hazards.table_change import changes, filled
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Confidence, Severity
from handrail.model.violation import ViolationKind


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that the upgrade sets NOT NULL and that nothing fills."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AlterNullable) or action.nullable or statement.creates(action.table):
            continue
        table, column = action.table, action.column
        known = statement.before.column(table, column)
        if never_null(statement.before, table, column) or filled((*revision.earlier, step), table, column):
            continue
        new = statement.adds(table, column)
        defaulted = known is not None and known.default is not None and known.default is not UNKNOWN
        if new and defaulted:
            continue
        yield RULE.at(
            step,
            statement,
            what=f"{table}.{column} is set NOT NULL, and no revision fills it"
            + ("; it was added just before" if new else ""),
            why="the statement fails if one row holds NULL" + (": all do" if new else ""),
            fix="in an earlier revision, with a value that is right:\n"
            + _filled(statement, table, column, facts.engine)
            + (f"\nthen\n{not_null_proved(table, column)}" if facts.engine == "postgresql" else ""),
            severity=Severity.ERROR if new else Severity.NOTE if facts.rows(table) == 0 else None,
            confidence=Confidence.HIGH if statement.before.certain else Confidence.LOW,
            subject=(table, column),
        )


def _filled(statement: ReviewedStatement, table: str, column: str, engine: str) -> str:
    if engine == "mysql":  # where a subquery cannot read the table that is written
        return send(f"UPDATE {sql_name(table)} SET {sql_name(column)} = ... WHERE {sql_name(column)} IS NULL")
    return filling(table, key_of(statement.before.table(table)), column, "...")


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_ROW = "INSERT INTO users (id) VALUES (1)"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="fail-set-not-null",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    findings=findings,
    decided_by=ViolationKind.NULLS,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", nullable=False)',
            engines=_PG,
            flagged=True,
            rewrite=(
                "op.execute(\"UPDATE users SET email = '' WHERE email IS NULL\")",
                'op.execute("ALTER TABLE users ADD CONSTRAINT email_set CHECK (email IS NOT NULL) NOT VALID")',
                'op.execute("ALTER TABLE users VALIDATE CONSTRAINT email_set")',
                """
                op.alter_column("users", "email", nullable=False)
                op.drop_constraint("email_set", "users")
                """,
            ),
        ),
        Example(
            given=(_USERS, _ROW),
            body='op.execute("ALTER TABLE users ALTER COLUMN email SET NOT NULL")',
            engines=_PG,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _ROW),
            body="""
            op.add_column("users", sa.Column("age", sa.Integer()))
            op.alter_column("users", "age", nullable=False)
            """,
            engines=_PG,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _ROW),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("email", nullable=False, existing_type=sa.String(50))
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _ROW),
            body="""
            op.execute("UPDATE users SET email = '' WHERE email IS NULL")
            op.alter_column("users", "email", nullable=False)
            """,
            engines=_PG,
            flagged=False,
        ),
        Example(
            given=(_USERS, _ROW),
            earlier=(
                """
                users = sa.table("users", sa.column("email"))
                op.execute(users.update().where(users.c.email.is_(None)).values(email=""))
                """,
            ),
            body='op.alter_column("users", "email", nullable=False)',
            engines=_PG,
            flagged=False,
        ),
        Example(
            given=("CREATE TABLE users (id integer, email text, CONSTRAINT email_set CHECK (email IS NOT NULL))",),
            body='op.alter_column("users", "email", nullable=False)',
            engines=_PG,
            flagged=False,
        ),
        Example(
            given=(_USERS, _ROW),
            body="""
            op.add_column("users", sa.Column("age", sa.Integer(), server_default="0"))
            op.alter_column("users", "age", nullable=False)
            """,
            engines=_PG,
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("name", sa.Text()))
            op.alter_column("teams", "name", nullable=False)
            """,
            engines=_PG,
            flagged=False,
        ),
        Example(
            given=(_USERS, _ROW),
            body="""
            op.execute("UPDATE users SET email = '' WHERE email IS NULL")
            with op.batch_alter_table("users") as batch:
                batch.alter_column("email", nullable=False, existing_type=sa.String(50))
            """,
            flagged=False,
        ),
    ),
)

"""Rows that are there break what a statement asks of them.

What happens: the statement fails at the first of those rows, and the revision with it. Behind NOT VALID it goes
through, and the VALIDATE of a later revision fails.

Why: this was counted, in the database of the environment that the review was given. Rules such as `fail-set-not-null`
say it at their own findings; this one speaks where the files alone give no reason to: a CHECK, a VALIDATE, a column
that an applied revision had filled and that holds NULL again.

The safe way: look at the rows by the query that the finding shows, and mend them in a revision before this one.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each demand of the upgrade that rows of the database break."""
    step = revision.upgrade
    if step is None:
        return
    for demand, counted in facts.counted.items():
        if demand.revision != revision.id or counted.violation is None or counted.before:
            continue
        finding = RULE.at(
            step,
            step.statements[demand.statement] if demand.statement is not None else None,
            what=f"rows of {demand.table} break what {demand.name or 'the statement'} asks: {demand.kind.value}"
            + ("" if demand.enforced else "; the later VALIDATE will fail"),
            why="counted in the database"
            if demand.enforced
            else "counted in the database; NOT VALID lets rows be that are there",
            fix=f"find them: {counted.violation.query}\nand mend them in a revision before this one",
            severity=None if demand.enforced else Severity.WARNING,
            subject=demand.subject,
        )
        yield finding.with_counted(counted)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, age integer, email varchar(50))"
_ROWS = "INSERT INTO users (id, age) VALUES (1, 5), (2, -1)"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="fail-counted-rows",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    findings=findings,
    examples=(
        Example(
            given=(_USERS, _ROWS),
            body='op.create_check_constraint("ck_age", "users", "age > 0")',
            live=True,
            flagged=True,
            fails=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _ROWS),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.create_check_constraint("ck_age", "age > 0")
            """,
            live=True,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _ROWS, "ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age > 0) NOT VALID"),
            body='op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_age")',
            live=True,
            flagged=True,
            fails=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _ROWS),
            body='op.create_check_constraint("ck_age", "users", "age > 0", postgresql_not_valid=True)',
            live=True,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _ROWS),
            body="""
            op.execute("UPDATE users SET age = 1 WHERE age < 1")
            op.create_check_constraint("ck_age", "users", "age > 0")
            """,
            live=True,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS, "INSERT INTO users (id, age) VALUES (1, 5), (2, NULL)"),
            body='op.create_check_constraint("ck_age", "users", "age > 0")',
            live=True,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _ROWS),
            body='op.alter_column("users", "email", nullable=False)',
            live=True,
            flagged=False,
            fails=True,
            engines=_PG,
        ),
    ),
)

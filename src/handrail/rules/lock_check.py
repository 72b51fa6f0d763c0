"""A CHECK constraint is added and every row is looked at while everybody waits.

What happens: ADD CONSTRAINT ... CHECK holds ACCESS EXCLUSIVE on the table while it reads all rows: nobody reads or
writes the table for that long.

Why: the server has to know that no row breaks the condition. NOT VALID puts that off: new rows are checked from then
on, and VALIDATE CONSTRAINT looks at the old ones later, while others read and write.

The safe way: add it with NOT VALID, and validate it in a later revision.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn, AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import literal, made_up, revisions, send, sql_name, table_words
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each CHECK that is added as valid to a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AddConstraint | AddColumn) or not others_wait(statement, action.table, facts):
                continue
            added = (action.constraint,) if isinstance(action, AddConstraint) else action.constraints
            for check in added:
                if check.kind is not ConstraintKind.CHECK or not check.validated:
                    continue
                yield RULE.at(
                    step,
                    statement,
                    what=f"the CHECK {check.name or check.expression} reads all of {action.table} while everybody"
                    " waits",
                    why="ADD CONSTRAINT ... CHECK holds ACCESS EXCLUSIVE until every row was looked at"
                    + counted(action.table, facts),
                    fix=_fix(action.table, check),
                    severity=weight(step, RULE.severity),
                )


def _fix(table: str, check: ConstraintSpec) -> str:
    name = check.name or made_up("ck", table, *check.columns)
    quoted, schema = table_words(table)
    return revisions(
        f'op.create_check_constraint("{name}", {quoted}, {literal(check.expression)}{schema},'
        " postgresql_not_valid=True)",
        send(f"ALTER TABLE {sql_name(table)} VALIDATE CONSTRAINT {sql_name(name)}"),
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, age integer)"

RULE = Rule(
    name="lock-check",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.create_check_constraint("ck_users_age", "users", "age > 0")',
            flagged=True,
            rewrite=(
                'op.create_check_constraint("ck_users_age", "users", "age > 0", postgresql_not_valid=True)',
                'op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_users_age")',
            ),
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users ADD CHECK (age > 0)")', flagged=True),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD COLUMN points integer DEFAULT 0 CHECK (points >= 0)")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.create_check_constraint("ck_users_age", "age > 0")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body='op.create_check_constraint("ck_users_age", "users", "age > 0", postgresql_not_valid=True)',
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True), sa.Column("size", sa.Integer))
            op.create_check_constraint("ck_teams_size", "teams", "size > 0")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.create_check_constraint("ck_users_age", "users", "age > 0")',
            sizes={"users": 120},
            flagged=False,
        ),
        Example(
            given=(_USERS, "ALTER TABLE users ADD CONSTRAINT ck_users_age CHECK (age > 0)"),
            body='op.drop_constraint("ck_users_age", "users")',
            flagged=False,
        ),
    ),
)

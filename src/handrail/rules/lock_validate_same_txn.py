"""A constraint is added with NOT VALID and validated in the same transaction.

What happens: VALIDATE CONSTRAINT reads all rows, and the strong lock that adding the constraint took is still held:
others wait as long as if NOT VALID had not been written.

Why: a lock is held until its transaction ends, and a revision is one transaction.

The safe way: two revisions: NOT VALID in the first, VALIDATE in the second.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddConstraint, ValidateConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import revisions, send, sql_name
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each constraint that is validated under the lock of its own making."""
    for step in revision.steps:
        added: list[tuple[int, AddConstraint]] = []
        for statement, action in step.actions():
            transaction = statement.statement.transaction
            if isinstance(action, AddConstraint) and not action.constraint.validated:
                added.append((transaction, action))
            if not isinstance(action, ValidateConstraint) or not others_wait(statement, action.table, facts):
                continue
            made = [a for number, a in added if number == transaction and _same(a, action)]
            if not made:
                continue
            lock = (
                "SHARE ROW EXCLUSIVE" if made[0].constraint.kind is ConstraintKind.FOREIGN_KEY else "ACCESS EXCLUSIVE"
            )
            validate = f"ALTER TABLE {sql_name(action.table)} VALIDATE CONSTRAINT {sql_name(action.name)}"
            yield RULE.at(
                step,
                statement,
                what=f"{action.name} is validated in the transaction that adds it, while {action.table} is locked",
                why=f"the {lock} lock of ADD CONSTRAINT is held while VALIDATE reads all rows"
                + counted(action.table, facts),
                fix=revisions(f"add {action.name} with NOT VALID, as it is", send(validate)),
                severity=weight(step, RULE.severity),
            )


def _same(added: AddConstraint, validated: ValidateConstraint) -> bool:
    return bare(added.table) == bare(validated.table) and added.constraint.name in {"", validated.name}


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, age integer)"
_ADD = 'op.create_check_constraint("ck_age", "users", "age > 0", postgresql_not_valid=True)'
_VALIDATE = 'op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck_age")'

RULE = Rule(
    name="lock-validate-same-txn",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    findings=findings,
    examples=(
        Example(given=(_USERS,), body=f"{_ADD}\n{_VALIDATE}", flagged=True, rewrite=(_ADD, _VALIDATE)),
        Example(
            given=(_USERS, "CREATE TABLE players (id integer PRIMARY KEY, user_id integer)"),
            body="""
            op.execute("ALTER TABLE players ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users NOT VALID")
            op.execute("ALTER TABLE players VALIDATE CONSTRAINT fk")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute(
                "ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age > 0) NOT VALID;"
                "ALTER TABLE users VALIDATE CONSTRAINT ck_age"
            )
            """,
            flagged=True,
        ),
        Example(given=(_USERS,), earlier=(_ADD,), body=_VALIDATE, flagged=False),
        Example(given=(_USERS,), body=_ADD, flagged=False),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer))
            op.execute("ALTER TABLE teams ADD CONSTRAINT ck CHECK (id > 0) NOT VALID")
            op.execute("ALTER TABLE teams VALIDATE CONSTRAINT ck")
            """,
            flagged=False,
        ),
        Example(given=(_USERS,), body=f"{_ADD}\n{_VALIDATE}", sizes={"users": 12}, flagged=False),
    ),
)

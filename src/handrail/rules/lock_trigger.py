"""A trigger is made or switched off while writes wait.

What happens: CREATE TRIGGER and ALTER TABLE ... DISABLE TRIGGER take SHARE ROW EXCLUSIVE on the table until the
transaction ends: writes wait, and the statement itself waits for every transaction that has written. A trigger that is
switched off is off for everybody once the transaction ends.

Why: a write must see either all of the triggers or none of the change.

The safe way: make the trigger in a revision of its own with nothing slow after it, under a short `lock_timeout`.
To write rows without triggers, SET LOCAL session_replication_role = replica switches them off for this session alone.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, CreateObject, Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_use, weight
from handrail.model.hazards.spelling import send
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_OFF = frozenset({"DISABLE TRIG", "DISABLE TRIG ALL", "DISABLE TRIG USER"})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each trigger that is made or switched off on a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            table = getattr(action, "table", "")
            if not table or not others_use(statement, table):
                continue
            told = _told(action)
            if told is not None:
                what, fix, severity = told
                yield RULE.at(
                    step,
                    statement,
                    what=what,
                    why="it takes SHARE ROW EXCLUSIVE on the table until the transaction ends",
                    fix=fix,
                    severity=weight(step, severity),
                )


def _told(action: Action) -> tuple[str, str, Severity] | None:
    match action:
        case CreateObject(kind="trigger", table=table, name=name):
            return (
                f"writes to {table} wait until the transaction that makes the trigger {name} ends",
                f"make {name} in a revision of its own, after\n" + send("SET LOCAL lock_timeout = '2s'"),
                Severity.NOTE,
            )
        case Other(what=what, table=table) if what in _OFF:
            return (
                f"triggers of {table} are switched off for everybody, while writes wait",
                send("SET LOCAL session_replication_role = replica") + "\nwhich is about this session alone",
                Severity.WARNING,
            )
        case _:
            return None


_USERS = (
    "CREATE TABLE users (id integer PRIMARY KEY, email text)",
    """CREATE FUNCTION lower_email() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN NEW.email := lower(NEW.email); RETURN NEW; END $$""",
)
_TRIGGER = "CREATE TRIGGER lowered BEFORE INSERT ON {} FOR EACH ROW EXECUTE FUNCTION lower_email()"

RULE = Rule(
    name="lock-trigger",
    severity=Severity.NOTE,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES",
    findings=findings,
    examples=(
        Example(given=_USERS, body=f'op.execute("{_TRIGGER.format("users")}")', flagged=True),
        Example(
            given=_USERS,
            body="""
            op.execute("ALTER TABLE users DISABLE TRIGGER ALL")
            op.execute("UPDATE users SET email = 'none' WHERE email IS NULL")
            op.execute("ALTER TABLE users ENABLE TRIGGER ALL")
            """,
            flagged=True,
            rewrite=(
                """
                op.execute("SET LOCAL session_replication_role = replica")
                op.execute("UPDATE users SET email = 'none' WHERE email IS NULL")
                """,
            ),
        ),
        Example(
            given=_USERS,
            body=f"""
            op.create_table("teams", sa.Column("id", sa.Integer), sa.Column("email", sa.Text))
            op.execute("{_TRIGGER.format("teams")}")
            """,
            flagged=False,
        ),
        Example(
            given=(*_USERS, _TRIGGER.format("users")),
            body='op.execute("DROP TRIGGER lowered ON users")',
            flagged=False,
        ),
    ),
)

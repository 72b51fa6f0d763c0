"""A statement that must stand alone is sent inside a transaction.

What happens: the server refuses it ("CREATE INDEX CONCURRENTLY cannot run inside a transaction block"), and the
revision fails.

Why: CONCURRENTLY and VACUUM work in several transactions of their own. Alembic opens one around each revision, and
several statements in one text are one transaction too.

The safe way: send it, by itself, in `with op.get_context().autocommit_block():`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import Action, CreateIndex, DropIndex, Other, Reindex, TransactionControl
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import alone, send
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity

_DO = re.compile(r"\s*DO\b", re.IGNORECASE)
_WORDS = frozenset({"VACUUM", "VACUUM FULL", "CREATEDB", "DROPDB", "CREATE TABLE SPACE", "ALTER SYSTEM"})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each statement that the server refuses inside a transaction."""
    for step in revision.steps:
        committed = False  # by a COMMIT that the revision sends: some drivers begin again by themselves, some do not
        for statement, action in step.actions():
            committed = committed or isinstance(action, TransactionControl)
            words, in_block = _alone(statement, action), _DO.match(statement.statement.sql) is not None
            if not words or (statement.statement.autocommit and len(statement.actions) == 1 and not in_block):
                continue
            several = ", and several statements in one text are one" if statement.statement.autocommit else ""
            yield RULE.at(
                step,
                statement,
                what=f"{words} is sent inside a {'DO block' if in_block else 'transaction'}; "
                + _fails(step, committed=committed and not in_block),
                why=f"the server refuses {words} in a " + ("function" if in_block else f"transaction block{several}"),
                fix=f"outside of the DO block:\n{alone(send(f'{words} ...'))}"
                if in_block
                else alone(send(_alone_again(statement))),
                confidence=Confidence.LOW if committed and not in_block else Confidence.HIGH,
            )


def _fails(step: ReviewedStep, *, committed: bool) -> str:
    if committed:
        return f"whether {step.direction.value}() fails here after the COMMIT by hand is up to the driver"
    return f"{step.direction.value}() fails here"


def _alone(statement: ReviewedStatement, action: Action) -> str:
    """Return the words of a statement that must stand alone, '' for another one."""
    match action:
        case CreateIndex(concurrently=True):
            return "CREATE INDEX CONCURRENTLY"
        case DropIndex(concurrently=True):
            return "DROP INDEX CONCURRENTLY"
        case Reindex(concurrently=True):
            return "REINDEX CONCURRENTLY"
        case Other(what="DETACH PARTITION") if "CONCURRENTLY" in statement.statement.sql.upper():
            return "DETACH PARTITION CONCURRENTLY"
        case Other(what=what) if what in _WORDS:
            return what
        case _:
            return ""


def _alone_again(statement: ReviewedStatement) -> str:
    return " ".join(statement.statement.sql.split()).rstrip(";")


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_BUILD = 'op.create_index("ix", "users", ["email"], postgresql_concurrently=True)'

RULE = Rule(
    name="txn-concurrently",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-createindex.html#SQL-CREATEINDEX-CONCURRENTLY",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body=_BUILD,
            flagged=True,
            fails=True,
            rewrite=(f"with op.get_context().autocommit_block():\n    {_BUILD}",),
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("DO $$ BEGIN EXECUTE 'CREATE INDEX CONCURRENTLY ix ON users (email)'; END $$")
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("CREATE INDEX CONCURRENTLY ix ON users (email)")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, "CREATE INDEX ix ON users (email)"),
            body='op.execute("DROP INDEX CONCURRENTLY ix")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.get_bind().execute(sa.text("REINDEX TABLE CONCURRENTLY users"))',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("DROP INDEX IF EXISTS ix; CREATE INDEX CONCURRENTLY ix ON users (email)")
            """,
            flagged=True,
            fails=True,
        ),
        Example(given=(_USERS,), body='op.execute("VACUUM users")', flagged=True, fails=True),
        Example(
            given=(_USERS,),
            body=f"with op.get_context().autocommit_block():\n    {_BUILD}",
            downgrade="""
            with op.get_context().autocommit_block():
                op.drop_index("ix", table_name="users", postgresql_concurrently=True)
            """,
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.create_index("ix", "users", ["email"])', flagged=False),
        Example(given=(_USERS,), body='op.execute("ANALYZE users")', flagged=False),
    ),
)

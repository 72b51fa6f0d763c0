"""A table is locked by hand.

What happens: LOCK TABLE keeps others out of the table until the transaction ends, whatever else the revision does. On
MySQL and MariaDB LOCK TABLES holds until UNLOCK TABLES, and commits what the transaction has done so far.

Why: a lock that is taken first is held for the longest; nothing but the end of the transaction lets it go.

The safe way: leave it out. Each statement takes the lock that it needs, and a short `lock_timeout` bounds how long
others queue up behind it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import LockTable
from handrail.model.effect import Blocks
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_use, weight
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each LOCK TABLE that makes reads or writes of others wait."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, LockTable) or not others_use(statement, action.table):
                continue
            blocks = max(
                (e.blocks for e in statement.effects if e.relation == action.table), default=Blocks.READS_AND_WRITES
            )
            if blocks < Blocks.WRITES:
                continue
            waiting = "reads and writes" if blocks is Blocks.READS_AND_WRITES else "writes"
            yield RULE.at(
                step,
                statement,
                what=f"LOCK TABLE {action.table} in {action.mode} mode keeps {waiting} of others waiting",
                why="the lock is held until "
                + ("UNLOCK TABLES" if facts.engine == "mysql" else "the transaction ends"),
                fix=f"remove LOCK TABLE {action.table}: each statement takes the lock that it needs by itself",
                severity=weight(step, RULE.severity),
            )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_PG, _MYSQL = frozenset({"postgresql"}), frozenset({"mysql"})

RULE = Rule(
    name="lock-explicit",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-lock.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body="""
            op.execute("LOCK TABLE users IN ACCESS EXCLUSIVE MODE")
            op.add_column("users", sa.Column("name", sa.Text))
            """,
            flagged=True,
            engines=_PG,
            rewrite=('op.add_column("users", sa.Column("name", sa.Text))',),
        ),
        Example(given=(_USERS,), body='op.get_bind().execute(sa.text("LOCK TABLE users"))', flagged=True, engines=_PG),
        Example(given=(_USERS,), body='op.execute("LOCK TABLE users IN SHARE MODE")', flagged=True, engines=_PG),
        Example(
            given=(_USERS,), body='op.execute("LOCK TABLE users IN ROW EXCLUSIVE MODE")', flagged=False, engines=_PG
        ),
        Example(given=(_USERS,), body='op.execute("SELECT pg_advisory_xact_lock(7)")', flagged=False, engines=_PG),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))
            op.execute("LOCK TABLE teams")
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("LOCK TABLES users WRITE")
            op.execute("UPDATE users SET email = 'x' WHERE id = 5")
            op.execute("UNLOCK TABLES")
            """,
            flagged=True,
            engines=_MYSQL,
            rewrite=("op.execute(\"UPDATE users SET email = 'x' WHERE id = 5\")",),
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TEMPORARY TABLE picked (id integer)")
            op.execute("LOCK TABLES picked WRITE")
            op.execute("UNLOCK TABLES")
            """,
            flagged=False,
            engines=_MYSQL,
        ),
    ),
)

"""A table or index is moved or stored anew while everybody waits.

What happens: SET TABLESPACE copies the whole table or index, SET LOGGED, SET UNLOGGED and SET ACCESS METHOD write it
anew; nobody reads or writes the table for that long.

Why: ALTER TABLE holds ACCESS EXCLUSIVE until the new file is finished.

The safe way: an index is moved by REINDEX (TABLESPACE ...) CONCURRENTLY (14+). A table is moved by pg_repack with
--tablespace, run as maintenance beside the migrations, or copied in batches into a new one.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import alone, send, sql_name
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_WORDS = {
    "SET TABLE SPACE": "SET TABLESPACE",
    "SET LOGGED": "SET LOGGED",
    "SET UN LOGGED": "SET UNLOGGED",
    "SET ACCESS METHOD": "SET ACCESS METHOD",
}


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table or index that is copied by the way it is stored."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, Other) or action.what not in _WORDS:
                continue
            owner = statement.before.table_of_index(action.table)
            table = owner.name if owner else action.table
            if not others_wait(statement, table, facts):
                continue
            words = _WORDS[action.what]
            yield RULE.at(
                step,
                statement,
                what=f"{words} copies {action.table} while everybody waits",
                why=f"{words} holds ACCESS EXCLUSIVE until the copy is finished" + counted(table, facts),
                fix=alone(send(f"REINDEX (TABLESPACE <tablespace>) INDEX CONCURRENTLY {sql_name(action.table)}"))
                if owner
                else f"outside of migrations: pg_repack --table={table}"
                + (" --tablespace=<tablespace>" if words == "SET TABLESPACE" else "")
                + f"\nor fill a new table in batches and rename it to {table}",
                severity=weight(step, RULE.severity),
            )


_USERS = ("CREATE TABLE users (id integer PRIMARY KEY, email text)", "CREATE INDEX ix_email ON users (email)")

RULE = Rule(
    name="lock-tablespace",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-TABLESPACE",
    findings=findings,
    examples=(
        Example(given=_USERS, body='op.execute("ALTER TABLE users SET TABLESPACE pg_default")', flagged=True),
        Example(
            given=_USERS,
            body='op.execute("ALTER INDEX ix_email SET TABLESPACE pg_default")',
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.execute("REINDEX (TABLESPACE pg_default) INDEX CONCURRENTLY ix_email")
                """,
            ),
        ),
        Example(given=_USERS, body='op.execute("ALTER TABLE users SET UNLOGGED")', flagged=True),
        Example(
            given=_USERS,
            body='op.execute("ALTER TABLE users SET TABLESPACE pg_default")',
            sizes={"users": 3},
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))
            op.execute("ALTER TABLE teams SET TABLESPACE pg_default")
            """,
            flagged=False,
        ),
        Example(given=_USERS, body='op.execute("ALTER TABLE users SET (fillfactor = 80)")', flagged=False),
    ),
)

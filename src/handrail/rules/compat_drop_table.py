"""A table is dropped that older application versions use.

What happens: while old and new versions share the database, each statement of an old version on the table fails. A
rollback of the application fails the same way.

Why: the server refuses a statement that names a table that is gone. The rows are `data-drop-table`'s; a table whose
rows are inserted into a new one in the same revision is `compat-expand-contract-same-rev`'s. A view that takes the
table's name in the same revision is accepted.

The safe way: release a version that no longer uses the table, wait until no older one runs, then drop it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import DropTable
from handrail.model.finding import Finding
from handrail.model.hazards import deployed
from handrail.model.hazards.scenes import remade
from handrail.model.hazards.spelling import call
from handrail.model.hazards.table_change import changes, moved, stands_in
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table of an older version that the upgrade drops."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, DropTable) or statement.creates(action.table):
            continue
        table = action.table
        known = statement.before.table(table)
        there = step.after.table(table) is not None or stands_in(step, table)
        if there or (known is not None and known.temporary) or moved(step, table):
            continue
        found = RULE.at(
            step,
            statement,
            what=f"application versions that use {table} fail once it is dropped",
            why="the server refuses every statement that names it",
            fix=f"release a version that does not use {table}, wait until no older one runs, and only then\n"
            f"{call('drop_table', table)}\n"
            f"where that has happened, say so: # handrail: ignore[{RULE.name}] not used since <version>",
        )
        yield deployed.judged(found, deployed.naming(facts, table))


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY)"

RULE = Rule(
    name="compat-drop-table",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-droptable.html",
    findings=findings,
    examples=(
        Example(given=(_USERS,), body='op.drop_table("users")', flagged=True),
        Example(given=(_USERS,), body='op.execute("DROP TABLE IF EXISTS users")', flagged=True),
        Example(
            given=(_USERS, _TEAMS),
            body="""
            for table in ("users", "teams"):
                op.drop_table(table)
            """,
            flagged=True,
        ),
        Example(
            body='op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))',
            downgrade='op.drop_table("teams")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TEMPORARY TABLE picked AS SELECT id FROM users")
            op.execute("DROP TABLE picked")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=remade("id integer PRIMARY KEY, email varchar(50) DEFAULT ''", "SELECT id, email FROM users"),
            flagged=False,
        ),
        Example(
            given=(_USERS, "CREATE TABLE people (id integer PRIMARY KEY, email varchar(50))"),
            body="""
            op.drop_table("users")
            op.execute("CREATE VIEW users AS SELECT id, email FROM people")
            """,
            flagged=False,
        ),
    ),
)

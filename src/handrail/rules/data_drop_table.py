"""A table is dropped with the rows in it.

What happens: the rows are gone when the revision commits. `downgrade()` can create the table again, not fill it.

Why: DROP TABLE removes the table's files; only a backup or a copy has the rows then. What application versions that
still use the table suffer is `compat-drop-table`'s; DROP ... CASCADE is `data-drop-cascade`'s. Rows that the same
revision copies into another table are not lost.

The safe way: keep a copy, or a backup that was restored once, and drop the table in a revision of its own.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import DropTable
from handrail.model.finding import Finding
from handrail.model.hazards.scenes import remade
from handrail.model.hazards.spelling import call, send, sql_name
from handrail.model.hazards.table_change import changes, copied
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table with rows that the upgrade drops."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, DropTable) or action.cascade or _nobodys(statement, action.table):
            continue
        rows = facts.rows(action.table)
        if rows == 0 or copied(step, action.table):
            continue
        yield RULE.at(
            step,
            statement,
            what=f"the rows of {action.table} are lost" + (f", about {rows:,}" if rows is not UNKNOWN else ""),
            why="DROP TABLE cannot be taken back: downgrade() creates an empty table",
            fix="keep the rows first (or take a backup, and restore it once):\n"
            + send(f"CREATE TABLE {sql_name(f'{action.table}_kept')} AS SELECT * FROM {sql_name(action.table)}")
            + f"\n{call('drop_table', action.table)}",
        )


def _nobodys(statement: ReviewedStatement, table: str) -> bool:
    known = statement.before.table(table)
    return statement.creates(table) or (known is not None and known.temporary)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY)"

RULE = Rule(
    name="data-drop-table",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-droptable.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.drop_table("users")',
            flagged=True,
            rewrite=(
                """
                op.execute("CREATE TABLE users_kept AS SELECT * FROM users")
                op.drop_table("users")
                """,
            ),
            leaves_out="the copy users_kept is there in addition",
        ),
        Example(given=(_USERS,), body='op.execute("DROP TABLE IF EXISTS users")', flagged=True),
        Example(
            given=(_USERS, _TEAMS),
            body="""
            for table in ("users", "teams"):
                op.drop_table(table)
            """,
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.drop_table("users")', sizes={"users": 0}, flagged=False),
        Example(
            body='op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))',
            downgrade='op.drop_table("teams")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TEMPORARY TABLE doubled AS SELECT id FROM users")
            op.execute("DROP TABLE doubled")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=remade(
                "id integer PRIMARY KEY, email varchar(50) NOT NULL DEFAULT ''",
                "SELECT id, coalesce(email, '') FROM users",
            ),
            flagged=False,
        ),
    ),
)

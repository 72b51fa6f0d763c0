"""All rows of a table are deleted.

What happens: a DELETE without a condition, or with one that holds for every row, empties the table; rows of tables that
refer to it with ON DELETE CASCADE go too.

Why: once it is committed, only a backup or a copy has the rows; `downgrade()` has nothing to bring back.

The safe way: say which rows are to go (`WHERE ...`), in batches where there are many, and keep a copy of them.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Verb, WriteRows
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import send, sql_name
from handrail.model.hazards.table_change import copied, everywhere
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each DELETE of the upgrade that leaves no row."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not isinstance(action, WriteRows) or action.verb is not Verb.DELETE or not everywhere(action.where):
            continue
        known = statement.before.table(action.table)
        if statement.creates(action.table) or (known is not None and known.temporary):
            continue
        rows = facts.rows(action.table)
        if rows == 0 or copied(step, action.table):
            continue
        yield RULE.at(
            step,
            statement,
            what=f"all rows of {action.table} are deleted" + (f", about {rows:,}" if rows is not UNKNOWN else ""),
            why="the DELETE has no condition" if not action.where else f"{action.where} holds for every row",
            fix=send(f"DELETE FROM {sql_name(action.table)} WHERE <which rows>")
            + ", or keep them first:\n"
            + send(f"CREATE TABLE {sql_name(f'{action.table}_kept')} AS SELECT * FROM {sql_name(action.table)}"),
        )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"

RULE = Rule(
    name="data-delete-all",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-delete.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.execute("DELETE FROM users")',
            flagged=True,
            rewrite=(
                """
                op.execute("CREATE TABLE users_kept AS SELECT * FROM users")
                op.execute("DELETE FROM users")
                """,
            ),
            leaves_out="the copy users_kept is there in addition",
        ),
        Example(
            given=(_USERS,),
            body="""
            users = sa.table("users", sa.column("id"))
            op.get_bind().execute(users.delete())
            """,
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.execute("DELETE FROM users WHERE 1 = 1")', flagged=True),
        Example(given=(_USERS,), body='op.execute("DELETE FROM users WHERE id > 0")', flagged=True),
        Example(given=(_USERS,), body="op.execute(\"DELETE FROM users WHERE email = 'a@b.c'\")", flagged=False),
        Example(
            given=(_USERS,),
            body="""
            users = sa.table("users", sa.column("id"))
            op.execute(users.delete().where(users.c.id.in_([1, 2])))
            """,
            flagged=False,
        ),
        Example(
            body="""
            roles = op.create_table("roles", sa.Column("name", sa.String(10), primary_key=True))
            op.bulk_insert(roles, [{"name": "admin"}])
            """,
            downgrade="""
            op.execute("DELETE FROM roles")
            op.drop_table("roles")
            """,
            flagged=False,
        ),
    ),
)

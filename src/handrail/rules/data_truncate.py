"""A table is emptied by TRUNCATE.

What happens: all rows of the table are gone at once, and with CASCADE those of every table that refers to it.

Why: TRUNCATE takes ACCESS EXCLUSIVE and replaces the table's files; `downgrade()` has nothing to bring back.

The safe way: delete what is to go, by a condition and in batches, and keep a copy of it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Verb, WriteRows
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import send, sql_name
from handrail.model.hazards.table_change import copied
from handrail.model.replayed import Replayed, bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table with rows that the upgrade truncates."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not isinstance(action, WriteRows) or action.verb is not Verb.TRUNCATE:
            continue
        known = statement.before.table(action.table)
        if statement.creates(action.table) or (known is not None and known.temporary):
            continue
        if facts.rows(action.table) == 0 or copied(step, action.table):
            continue
        more = _referring(statement.before, action.table) if action.cascade else ()
        others = ", ".join(more) or ("" if known is not None else "every table that refers to it")
        yield RULE.at(
            step,
            statement,
            what=f"all rows of {action.table} are lost"
            + (f", and those of {others}" if action.cascade and others else ""),
            why="TRUNCATE cannot be taken back once it is committed",
            fix="keep the rows first:\n"
            + send(f"CREATE TABLE {sql_name(f'{action.table}_kept')} AS SELECT * FROM {sql_name(action.table)}")
            + "\nor delete by a condition, in batches",
        )


def _referring(schema: Replayed, table: str) -> tuple[str, ...]:
    """Return the tables whose foreign keys lead to that one, near ones first."""
    reached = [bare(table)]
    for name in reached:
        reached += [other.name for other, _ in schema.referring(name) if other.name not in reached]
    return tuple(reached[1:])


_USERS = "CREATE TABLE users (id integer PRIMARY KEY)"
_NOTES = "CREATE TABLE notes (id integer PRIMARY KEY, user_id integer REFERENCES users (id))"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="data-truncate",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-truncate.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.execute("TRUNCATE TABLE users")',
            flagged=True,
            rewrite=(
                """
                op.execute("CREATE TABLE users_kept AS SELECT * FROM users")
                op.execute("TRUNCATE TABLE users")
                """,
            ),
            leaves_out="the copy users_kept is there in addition",
        ),
        Example(given=(_USERS, _NOTES), body='op.execute("TRUNCATE users CASCADE")', flagged=True, engines=_PG),
        Example(
            given=(_USERS, _NOTES),
            body='op.get_bind().execute(sa.text("TRUNCATE notes, users RESTART IDENTITY"))',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TEMPORARY TABLE picked AS SELECT id FROM users")
            op.execute("TRUNCATE picked")
            """,
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.execute("DELETE FROM users WHERE id = 4")', flagged=False),
    ),
)

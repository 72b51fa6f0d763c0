"""One UPDATE writes every row of a table.

What happens: the rows stay locked until the revision commits, and everybody who writes one of them waits; the table
doubles in size until it is vacuumed. On SQLite nobody can write at all meanwhile.

Why: an UPDATE locks each row that it writes for the length of its transaction, and PostgreSQL writes a new version of
each.

The safe way: update in batches by ranges of the primary key, each in a transaction of its own, and not in the revision
that changes the schema. A constant needs no UPDATE: a server default fills the rows that are there. For a condition
that holds for few rows, one UPDATE is right.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import Verb, WriteRows
from handrail.model.finding import Finding
from handrail.model.hazards.batch_spelling import by_ranges
from handrail.model.hazards.table_change import everywhere, filled
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Severity

#: Below this many rows an UPDATE takes a moment.
_SMALL_ROWS = 10_000
_NAME = r"\(?[\w.\"]*[a-z_\"][\w.\"]*\)?"
_JOIN = re.compile(rf"{_NAME} = {_NAME}(?: AND {_NAME} = {_NAME})*", re.IGNORECASE)
_WITH = re.compile(r"\s*WITH\b", re.IGNORECASE)
_IS_NULL = re.compile(r"\(?(?:[\w\"]+\.)*\"?(\w+)\"? IS NULL\)?", re.IGNORECASE)


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each UPDATE of the upgrade that writes a whole table."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not isinstance(action, WriteRows) or action.verb is not Verb.UPDATE:
            continue
        known = statement.before.table(action.table)
        if statement.creates(action.table) or (known is not None and known.temporary):
            continue
        rows = facts.rows(action.table)
        whole = everywhere(action.where) or _only_joins(statement, action) or _empty_still(revision, statement, action)
        if rows == 0 or not whole:
            continue
        yield RULE.at(
            step,
            statement,
            what=f"every row of {action.table} is written by one UPDATE"
            + (f", about {rows:,} rows" if rows is not UNKNOWN else ""),
            why="each row stays locked until the transaction ends, and is written anew"
            if facts.engine != "sqlite"
            else "nobody else can write to the database until the transaction ends",
            fix=f"in a revision of its own, in batches:\n{by_ranges(statement, action)}",
            severity=Severity.NOTE if rows is not UNKNOWN and rows < _SMALL_ROWS else None,
        )


def _only_joins(statement: ReviewedStatement, action: WriteRows) -> bool:
    """Return whether the condition only says which row of another table goes with each row.

    What is joined from a WITH is chosen there.
    """
    if _WITH.match(statement.statement.sql):
        return False
    others = [name for name in action.reads if not statement.creates(name)]
    return bool(others) and _JOIN.fullmatch(action.where.strip()) is not None


def _empty_still(revision: ReviewedRevision, statement: ReviewedStatement, action: WriteRows) -> bool:
    """Return whether the condition asks for NULL in a column that was added since, and never filled."""
    found = _IS_NULL.fullmatch(action.where.strip())
    known = statement.before.table(action.table)
    if found is None or known is None or found[1] not in action.columns:
        return False
    column = known.column(found[1])
    later = known.added.get(found[1], known.created_in) != known.created_in
    return (
        later and column is not None and column.default is None and not filled(revision.earlier, action.table, found[1])
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50), state varchar(10))"

RULE = Rule(
    name="data-unbatched-update",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-ROWS",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.execute("UPDATE users SET email = lower(email)")',
            flagged=True,
            rewrite=(
                """
                for start in range(0, 3000, 1000):
                    with op.get_context().autocommit_block():
                        op.execute(
                            sa.text("UPDATE users SET email = lower(email) WHERE id >= :a AND id < :b")
                            .bindparams(a=start, b=start + 1000)
                        )
                """,
            ),
        ),
        Example(
            given=(_USERS,),
            body="""
            users = sa.table("users", sa.column("state"))
            op.get_bind().execute(users.update().values(state="new"))
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("name", sa.Text()))
            op.execute("UPDATE users SET name = email WHERE name IS NULL")
            """,
            flagged=True,
        ),
        Example(given=(_USERS,), body="op.execute(\"UPDATE users SET state = 'x' WHERE 1 = 1\")", flagged=True),
        Example(
            given=(_USERS,),
            body="op.execute(\"UPDATE users SET state = 'off' WHERE email = 'a@b.c'\")",
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="op.execute(\"UPDATE users SET state = 'new' WHERE state IS NULL\")",
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            for start in range(0, 3000, 1000):
                op.execute(f"UPDATE users SET email = lower(email) WHERE id BETWEEN {start} AND {start + 999}")
            """,
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("roles", sa.Column("name", sa.String(10)))
            op.execute("UPDATE roles SET name = 'x'")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, "CREATE TABLE states (user_id integer, state varchar(10))"),
            body="""
            op.execute("UPDATE users SET state = states.state FROM states WHERE states.user_id = users.id")
            """,
            flagged=True,
            engines=frozenset({"postgresql", "sqlite"}),
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY, name text)",),
            body="""
            op.execute(
                "WITH nameless AS (SELECT id FROM users WHERE name IS NULL) "
                "UPDATE users SET name = '?' FROM nameless WHERE users.id = nameless.id"
            )
            """,
            flagged=False,
            engines=frozenset({"postgresql", "sqlite"}),
        ),
        Example(
            given=(_USERS, "CREATE TABLE states (user_id integer, state varchar(10))"),
            body="""
            op.execute(
                "UPDATE users SET state = states.state FROM states"
                " WHERE states.user_id = users.id AND users.id < 1000"
            )
            """,
            flagged=False,
            engines=frozenset({"postgresql", "sqlite"}),
        ),
    ),
)

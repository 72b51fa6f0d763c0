"""An ALTER TABLE or CREATE INDEX asks for a lock, or a copy, that keeps others waiting.

What happens: with LOCK=SHARED nobody writes to the table until the statement is through, with LOCK=EXCLUSIVE nobody
reads it either, and ALGORITHM=COPY copies all rows, also where the server could do with less.

Why: the clauses are a demand, not a hint: the server takes the lock that is named, whether it needs it or not.

The safe way: LOCK=NONE with ALGORITHM=INSTANT or INPLACE. Where the server cannot do it that way it refuses at once,
before anybody waits.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Other
from handrail.model.effect import Blocks
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.online_ddl import Algorithm, blocks
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_WAITING = {
    "LOCK=SHARED": "writes to {table} wait",
    "LOCK=EXCLUSIVE": "reads of {table} and writes to it wait",
    "ALGORITHM=COPY": "writes to {table} wait while its rows are copied",
}


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each clause that asks for more than it has to."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, Other) or action.what not in _WAITING:
                continue
            copied = blocks(Algorithm.COPY, facts.server_major)
            online = action.what == "ALGORITHM=COPY" and copied is not Blocks.WRITES
            if online or not others_wait(statement, action.table, facts):
                continue
            yield RULE.at(
                step,
                statement,
                what=_WAITING[action.what].format(table=action.table) + f", because {action.what} asks for it",
                why="the server takes the lock that is named, whether it needs it or not"
                + counted(action.table, facts),
                fix="write ALGORITHM=INPLACE, LOCK=NONE: the server refuses where it cannot do it that way",
                severity=weight(step, RULE.severity),
            )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40))"


def _sent(sql: str, *, flagged: bool, rewrite: str = "") -> Example:
    return Example(
        given=(_USERS,),
        body=f'op.execute("{sql}")',
        flagged=flagged,
        rewrite=(f'op.execute("{rewrite}")',) if rewrite else (),
    )


RULE = Rule(
    name="mysql-lock-option",
    severity=Severity.ERROR,
    engines=frozenset({"mysql"}),
    source="https://dev.mysql.com/doc/refman/8.0/en/alter-table.html#alter-table-concurrency",
    findings=findings,
    examples=(
        _sent(
            "ALTER TABLE users ADD INDEX ix_name (name), LOCK=SHARED",
            flagged=True,
            rewrite="ALTER TABLE users ADD INDEX ix_name (name), ALGORITHM=INPLACE, LOCK=NONE",
        ),
        _sent("ALTER TABLE users ADD COLUMN age integer, LOCK = EXCLUSIVE", flagged=True),
        _sent("ALTER TABLE users ADD COLUMN age integer, ALGORITHM=COPY", flagged=True),
        _sent("CREATE INDEX ix_name ON users (name) ALGORITHM=COPY", flagged=True),
        _sent("CREATE INDEX ix_name ON users (name) ALGORITHM=INPLACE LOCK=NONE", flagged=False),
        _sent("ALTER TABLE users ADD INDEX ix_name (name), ALGORITHM=INPLACE, LOCK=NONE", flagged=False),
        _sent("ALTER TABLE users ADD COLUMN age integer, ALGORITHM=INSTANT, LOCK=DEFAULT", flagged=False),
        Example(
            body="""
            op.create_table("made", sa.Column("id", sa.Integer))
            op.execute("ALTER TABLE made ADD INDEX ix (id), LOCK=SHARED")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD INDEX ix_name (name), LOCK=SHARED")',
            sizes={"users": 200},
            flagged=False,
        ),
    ),
)

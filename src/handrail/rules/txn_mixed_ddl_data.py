"""Rows are written in the transaction that changes the schema.

What happens: an UPDATE, DELETE or INSERT ... SELECT after ALTER TABLE runs while ACCESS EXCLUSIVE is held: nobody reads
or writes the table until all rows are done. The other way round the rows stay locked while the schema change waits for
its own lock, and deferred checks make it fail ("pending trigger events").

Why: every lock is held until the transaction ends, and a revision is one transaction.

The safe way: three revisions: change the schema, fill the rows in batches, then tighten the schema. A table that the
same revision creates may be filled at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import groupby

from handrail.model.action import Verb, WriteRows
from handrail.model.effect import Blocks
from handrail.model.finding import Finding
from handrail.model.hazards.batch_spelling import by_ranges
from handrail.model.hazards.bystander import others_use, others_wait, weight
from handrail.model.hazards.spelling import revisions
from handrail.model.operation import Reading, StatementKind
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity

#: What only asks whether a change is possible.
_SUMMARY = re.compile(r"\s*select\s+(?:count|exists|max|min|sum|1)\b", re.IGNORECASE)


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each transaction that both writes rows others use and locks a table others use."""
    for step in revision.steps:
        for _, group in groupby(step.statements, key=lambda s: s.statement.transaction):
            statements = list(group)
            locked = next(((n, t) for n, s in enumerate(statements) if (t := _locked(s))), None)
            written = [(n, t) for n, s in enumerate(statements) if (t := _written(s, facts))]
            if locked is None:
                continue
            if written:
                later = next(((n, t) for n, t in written if n > locked[0]), None)
                yield _finding(step, statements, locked, later or written[0])
            elif step.reading is Reading.DATA_DEPENDENT:
                yield from _guess(step, statements, locked, facts)


def _locked(statement: ReviewedStatement) -> str:
    """Return the table that a schema change keeps from everybody, '' where others do not notice it."""
    if statement.statement.kind is not StatementKind.SCHEMA:
        return ""
    strong = (
        e.relation
        for e in statement.effects
        if e.strong and e.blocks is Blocks.READS_AND_WRITES and not e.guessed and others_use(statement, e.relation)
    )
    return next((t for t in strong if statement.before.table_of_index(t) is None), "")


def _written(statement: ReviewedStatement, facts: RuleFacts) -> str:
    """Return the table whose many rows a statement may write, '' for another one."""
    for action in statement.actions:
        if not isinstance(action, WriteRows) or action.verb is Verb.TRUNCATE:
            continue
        if action.verb is Verb.INSERT and not action.reads:
            continue
        if others_wait(statement, action.table, facts):
            return action.table
    return ""


def _finding(
    step: ReviewedStep, statements: list[ReviewedStatement], locked: tuple[int, str], written: tuple[int, str]
) -> Finding:
    (ddl, table), (dml, rows) = locked, written
    after = dml > ddl
    return RULE.at(
        step,
        statements[dml],
        what=f"rows of {rows} are written while everybody waits for {table}"
        if after
        else f"rows of {rows} are written in the transaction that then changes the schema of {table}",
        why=f"ACCESS EXCLUSIVE on {table} is held until the transaction ends"
        if after
        else f"the rows stay locked while the change waits for ACCESS EXCLUSIVE on {table}",
        fix=revisions(f"change {table}", _in_batches(statements[dml])),
        severity=weight(step, Severity.ERROR if after else Severity.WARNING),
    )


def _in_batches(statement: ReviewedStatement) -> str:
    """Return the lines that send an UPDATE range by range, or the statement in words where it is another one."""
    for action in statement.actions:
        if isinstance(action, WriteRows) and action.verb is Verb.UPDATE and not action.reads:
            return by_ranges(statement, action)
    return f"in batches, with a COMMIT after each: {' '.join(statement.statement.sql.split())}"


def _guess(
    step: ReviewedStep, statements: list[ReviewedStatement], locked: tuple[int, str], facts: RuleFacts
) -> Iterator[Finding]:
    """Yield a finding where rows are read in such a function: what it does with them cannot be seen without them."""
    for statement in statements:
        read = (
            e.relation
            for e in statement.effects
            if statement.before.table(e.relation) is not None and others_wait(statement, e.relation, facts)
        )
        looks = statement.statement.kind is StatementKind.READ and not _SUMMARY.match(statement.statement.sql)
        table = next(read, "") if looks else ""
        if table:
            yield RULE.at(
                step,
                statement,
                what=f"rows of {table} are read, and perhaps written, in the transaction that changes {locked[1]}",
                why=f"ACCESS EXCLUSIVE on {locked[1]} is held until the transaction ends",
                fix=revisions(f"change {locked[1]}", f"work through {table} in batches, with a COMMIT after each"),
                severity=weight(step, Severity.WARNING),
                confidence=Confidence.LOW,
            )
            return


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY, name text)"
_FILL = """op.execute("UPDATE users SET role = 'reader' WHERE role IS NULL")"""

RULE = Rule(
    name="txn-mixed-ddl-data",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body=f'op.add_column("users", sa.Column("role", sa.Text))\n{_FILL}',
            flagged=True,
            rewrite=('op.add_column("users", sa.Column("role", sa.Text))', _FILL),
        ),
        Example(
            given=(_USERS,),
            body="""
            op.get_bind().execute(sa.text("UPDATE users SET email = lower(email)"))
            op.add_column("users", sa.Column("role", sa.Text))
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("role", sa.Text))
            users = sa.table("users", sa.column("role"))
            op.execute(users.update().values(role="reader"))
            op.alter_column("users", "role", nullable=False)
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS, _TEAMS),
            body="""
            op.drop_column("teams", "name")
            op.execute("DELETE FROM users WHERE email IS NULL")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("role", sa.Text))
            bind = op.get_bind()
            for row in bind.execute(sa.text("SELECT id FROM users")).fetchall():
                bind.execute(sa.text("UPDATE users SET role = 'reader' WHERE id = :id"), {"id": row[0]})
            """,
            flagged=True,
        ),
        Example(given=(_USERS, "ALTER TABLE users ADD role text"), body=_FILL, flagged=False),
        Example(
            given=(_USERS,),
            body="""
            op.create_table("emails", sa.Column("user_id", sa.Integer), sa.Column("email", sa.Text))
            op.execute("INSERT INTO emails SELECT id, email FROM users")
            op.execute("UPDATE emails SET email = lower(email)")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, _TEAMS),
            body="""
            op.add_column("users", sa.Column("role", sa.Text))
            op.execute("INSERT INTO teams (id, name) VALUES (1, 'first')")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=f"""
            op.add_column("users", sa.Column("role", sa.Text))
            with op.get_context().autocommit_block():
                {_FILL}
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=f'op.add_column("users", sa.Column("role", sa.Text))\n{_FILL}',
            sizes={"users": 25},
            flagged=False,
        ),
    ),
)

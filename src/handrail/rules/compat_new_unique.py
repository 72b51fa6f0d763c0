"""A key is added that older application versions do not keep.

What happens: an old version that writes a value a second time, which it was free to, gets an error from then on.

Why: the new version checks before it writes, or handles the error; the old one does neither. The rows that are there
are `fail-unique-dups`', which also speaks for an index that is built concurrently.

The safe way: release a version that does not write a value twice, wait until no older one runs, then add the key: the
unique index concurrently first, the constraint USING INDEX after it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn, CreateIndex
from handrail.model.finding import Finding
from handrail.model.hazards.table_change import changes, new_key
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each key that the upgrade adds on columns that older versions write."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        key = new_key(statement, action, step.before)
        if key is None or isinstance(action, AddColumn):
            continue
        table, columns = key
        if any(statement.adds(table, column) for column in columns):
            continue
        named = ", ".join(columns)
        yield RULE.at(
            step,
            statement,
            what=f"older versions that write the same {named} into {table} twice fail",
            why="they were free to, and do not expect the error",
            fix=f"release a version that keeps {named} unique, wait until no older one runs, and add the key then",
            severity=Severity.NOTE if isinstance(action, CreateIndex) and action.concurrently else None,
            confidence=Confidence.LOW,
        )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-new-unique",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-UNIQUE-CONSTRAINTS",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.create_unique_constraint("uq_email", "users", ["email"])',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.create_index("uq_email", "users", ["email"], unique=True)',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.create_unique_constraint("uq_email", ["email"])
            """,
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.create_index("ix_email", "users", ["email"])', flagged=False),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("code", sa.String(9)))
            op.create_index("uq_code", "users", ["code"], unique=True)
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, "CREATE UNIQUE INDEX uq_email ON users (email)"),
            body='op.execute("ALTER TABLE users ADD CONSTRAINT uq_email UNIQUE USING INDEX uq_email")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            body='op.create_table("teams", sa.Column("name", sa.Text(), unique=True))',
            flagged=False,
        ),
    ),
)

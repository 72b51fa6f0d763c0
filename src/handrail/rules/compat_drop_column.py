"""A column is dropped that older application versions name.

What happens: while old and new versions share the database, each SELECT, INSERT and UPDATE of an old version on the
table fails, because an ORM names every column that it maps. A rollback of the application fails the same way.

Why: the server refuses a statement that names a column that is gone. The values are `data-drop-column`'s; a column
whose values are copied in the same revision is `compat-expand-contract-same-rev`'s. Where an earlier revision
prepared it (the column became nullable, got a default or was copied, or a trigger that kept two columns alike goes),
this is a warning of low confidence: the revision may come at the right time.

The safe way: release a version that no longer maps the column, wait until no older one runs, then drop it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import AlterDefault, AlterNullable, DropColumn, DropObject, Verb, WriteRows
from handrail.model.finding import Finding
from handrail.model.hazards import deployed
from handrail.model.hazards.spelling import call, quoted
from handrail.model.hazards.table_change import changes, moved, stands_in
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column of an older version that the upgrade drops."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, DropColumn) or statement.creates(action.table):
            continue
        table, column = action.table, action.column
        if statement.adds(table, column) or moved(step, table, column) or stands_in(step, table):
            continue
        prepared = _prepared((*revision.earlier, step), step, table, column)
        found = RULE.at(
            step,
            statement,
            what=f"application versions that name {table}.{column} fail once it is dropped",
            why="an ORM names every column that it maps in each SELECT and INSERT",
            fix=f"release a version whose models have no {column}, wait until no older one runs, and only then\n"
            f"{call('drop_column', table, quoted(column))}\n"
            "where that has happened, say so: "
            f"# handrail: ignore[{RULE.name}] not mapped since <version>",
            severity=Severity.WARNING if prepared else None,
            confidence=Confidence.LOW if prepared else Confidence.HIGH,
        )
        yield deployed.judged(found, deployed.naming(facts, table, column))


def _prepared(steps: tuple[ReviewedStep, ...], last: ReviewedStep, table: str, column: str) -> bool:
    """Return whether the column was made ready to go: an earlier revision let it be left out, or copied it."""
    for step in steps:
        for statement, action in step.actions():
            match action:
                case AlterNullable(nullable=True) | AlterDefault(default=str()):
                    if step is not last and (bare(action.table), action.column) == (bare(table), column):
                        return True
                case DropObject(kind="trigger"):
                    if step is last and bare(action.table) == bare(table):
                        return True
                case WriteRows(verb=Verb.UPDATE):
                    if step is not last and _moves(statement, action, table, column):
                        return True
                case _:
                    pass
    return False


def _moves(statement: ReviewedStatement, action: WriteRows, table: str, column: str) -> bool:
    """Return whether the UPDATE copies the column into one that was added since the table was made."""
    known = statement.before.table(table)
    if known is None or bare(action.table) != bare(table) or column in action.columns:
        return False
    new = any(known.added.get(name, known.created_in) != known.created_in for name in action.columns)
    return new and column in re.findall(r"\w+", statement.statement.sql)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50), age integer NOT NULL)"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-drop-column",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://docs.sqlalchemy.org/en/20/orm/queryguide/columns.html",
    findings=findings,
    examples=(
        Example(given=(_USERS,), body='op.drop_column("users", "email")', flagged=True),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users DROP COLUMN email")', flagged=True),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.drop_column("email")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            earlier=('op.alter_column("users", "age", nullable=True)',),
            body='op.drop_column("users", "age")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            earlier=(
                'op.add_column("users", sa.Column("mail", sa.String(50)))',
                'op.execute("UPDATE users SET mail = email WHERE id BETWEEN 1 AND 1000")',
            ),
            body='op.drop_column("users", "email")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("name", sa.Text()))',
            downgrade='op.drop_column("users", "name")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.rename_table("users", "people")
            op.drop_column("people", "email")
            op.execute("CREATE VIEW users AS SELECT id, NULL::varchar AS email, age FROM people")
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer()), sa.Column("draft", sa.Text()))
            op.drop_column("teams", "draft")
            """,
            flagged=False,
        ),
    ),
)

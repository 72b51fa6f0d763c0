"""A batch on SQLite loses what Alembic does not read: an index on an expression, AUTOINCREMENT.

What happens: the batch makes the table anew from what it has read of the old one. An index on an expression is not
there any more, and what it kept unique may be there twice. Without AUTOINCREMENT the ids of deleted rows are given
again.

Why: SQLAlchemy passes over indexes on expressions when it reads a table, and does not see AUTOINCREMENT.

The safe way: make the index again after the batch, in the same revision; name `table_kwargs={"sqlite_autoincrement":
True}` in the batch.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import DropIndex
from handrail.model.finding import Finding
from handrail.model.hazards.batch_recreate import recreated
from handrail.model.hazards.spelling import quoted, send, sql_name
from handrail.model.replayed import bare
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each such index, and for AUTOINCREMENT, that a table had and the one made anew has not."""
    for step in revision.steps:
        for operation, table in recreated(step):
            for what, why, fix in _lost(step, table):
                yield RULE.at(step, operation, what=f"the batch on {table.name} loses {what}", why=why, fix=fix)


def _lost(step: ReviewedStep, table: ReplayedTable) -> Iterator[tuple[str, str, str]]:
    after = step.after.table(table.name)
    if after is None:
        return
    dropped = {bare(a.name) for s, a in step.actions() if isinstance(a, DropIndex)}
    for index in table.indexes:
        expressions = [c for c in index.columns if table.column(c) is None and not c.isidentifier()]
        if expressions and index.name not in dropped and after.index(index.name) is None:
            made = f"CREATE {'UNIQUE ' * index.unique}INDEX {sql_name(index.name)} ON {sql_name(table.name)} "
            made += f"({', '.join(sql_name(c) if table.column(c) else c for c in index.columns)})"
            yield (
                f"its index {index.name} on {', '.join(expressions)}",
                "SQLAlchemy passes over indexes on expressions when the batch reads the table",
                f"after the batch\n{send(made)}",
            )
    for column in table.columns:
        now = after.column(column.name)
        if column.identity and now is not None and not now.identity:
            kwargs = 'table_kwargs={"sqlite_autoincrement": True}'
            yield (
                f"AUTOINCREMENT of its column {column.name}",
                "the batch does not read it; without it the ids of deleted rows are given again",
                f"with op.batch_alter_table({quoted(table.name)}, {kwargs}) as batch:",
            )


_PLAIN = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20), email varchar(20))"
_NUMBERED = "CREATE TABLE users (id integer PRIMARY KEY AUTOINCREMENT, name varchar(20))"
_INDEX = "CREATE UNIQUE INDEX ux_name ON users (lower(name))"
_BATCH = """
with op.batch_alter_table("users"{}) as batch:
    batch.alter_column("name", type_=sa.Text)
"""

RULE = Rule(
    name="sqlite-batch-unread",
    severity=Severity.WARNING,
    engines=frozenset({"sqlite"}),
    source="https://docs.sqlalchemy.org/en/20/dialects/sqlite.html#reflecting-internal-schema-tables",
    findings=findings,
    examples=(
        Example(given=(_PLAIN, _INDEX), body=_BATCH.format(""), flagged=True),
        Example(given=(_NUMBERED,), body=_BATCH.format(""), flagged=True),
        Example(
            given=(_PLAIN, _INDEX),
            body=f'op.execute("DROP INDEX ux_name")\n{_BATCH.format("")}\nop.execute("{_INDEX}")',
            flagged=False,
        ),
        Example(
            given=(_NUMBERED,),
            body=_BATCH.format(', table_kwargs={"sqlite_autoincrement": True}'),
            flagged=False,
        ),
        Example(
            given=(_PLAIN, "CREATE INDEX ix_name ON users (name) WHERE name IS NOT NULL"),
            body=_BATCH.format(""),
            flagged=False,
        ),
        Example(
            given=(_NUMBERED,),
            body='op.add_column("users", sa.Column("nick", sa.Text))',
            flagged=False,
        ),
    ),
)

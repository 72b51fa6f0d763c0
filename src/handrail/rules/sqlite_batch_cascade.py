"""A batch on SQLite deletes rows of other tables.

What happens: the batch drops the old table. With `PRAGMA foreign_keys=ON` that deletes its rows first, and ON DELETE
CASCADE takes the rows of the tables that refer to it along, SET NULL empties them. The revision ends well. Where a key
has neither, SQLite refuses to drop the table that rows still refer to, which is told as a note.

Why: SQLite's DROP TABLE performs an implicit DELETE FROM. Many applications switch foreign keys on for every
connection, and so for the one that migrates.

The safe way: switch foreign keys off on the connection before the transaction begins, in env.py, and look for
orphans afterwards (`PRAGMA foreign_key_check`). The pragma does nothing inside a transaction.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.batch_recreate import recreated
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_WRITES = {"CASCADE": "deletes", "SET NULL": "empties", "SET DEFAULT": "resets"}


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each foreign key that a batch on its target sets off."""
    for step in revision.steps:
        if _switched_off(step):
            continue
        for operation, table in recreated(step):
            for other, key in step.before.referring(table.name):
                if other.name == table.name:
                    continue
                writes = _WRITES.get(key.on_delete)
                yield RULE.at(
                    step,
                    operation,
                    what=f"the batch on {table.name} {writes} rows of {other.name} as well"
                    if writes
                    else f"the batch on {table.name} fails while rows of {other.name} refer to it",
                    why=f"where foreign keys are on: the old table is dropped, and {other.name} refers"
                    f" to it by {', '.join(key.columns)} ON DELETE {key.on_delete or 'NO ACTION'}",
                    fix="PRAGMA foreign_keys=OFF on the connection in env.py, before the transaction begins, and PRAGMA"
                    " foreign_key_check after it",
                    severity=None if writes else Severity.NOTE,
                )


def _switched_off(step: ReviewedStep) -> bool:
    """Return whether the revision switches foreign keys off outside a transaction."""
    return any(
        isinstance(action, act.SetSetting)
        and action.name == "foreign_keys"
        and action.value.upper() in {"OFF", "0", "FALSE", "NO"}
        and statement.statement.autocommit
        for statement, action in step.actions()
    )


_GIVEN = (
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",
    "CREATE TABLE players (id integer PRIMARY KEY, u integer REFERENCES users (id) ON DELETE CASCADE)",
)
_BATCH = """
with op.batch_alter_table("users"{}) as batch:
    batch.alter_column("name", type_=sa.Text)
"""
_PLAIN = (
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",
    "CREATE TABLE p (u integer REFERENCES users)",
)


RULE = Rule(
    name="sqlite-batch-cascade",
    severity=Severity.ERROR,
    engines=frozenset({"sqlite"}),
    source="https://www.sqlite.org/foreignkeys.html#fk_schemacommands",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_BATCH.format(""), flagged=True),
        Example(given=_GIVEN, body=_BATCH.format(', recreate="always"'), flagged=True),
        Example(given=_PLAIN, body=_BATCH.format(""), flagged=True),
        Example(given=_PLAIN[:1], body=_BATCH.format(""), flagged=False),
        Example(
            given=_GIVEN,
            body="""
            with op.batch_alter_table("users") as batch:
                batch.add_column(sa.Column("email", sa.Text))
            """,
            flagged=False,
        ),
    ),
)

"""A column may be NULL from now on, and older application versions do not expect it.

What happens: as soon as a new version writes NULL, an old one reads it where its code takes a value for granted, and
fails or shows nonsense.

Why: the constraint was a promise to every reader. Whether a version relies on it, the schema does not tell: the
confidence is low.

The safe way: release versions that cope with NULL first; write NULL only once no older one runs. Going back needs the
rows filled again. A trigger on the table that names the column is taken for one that
fills it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AlterNullable
from handrail.model.finding import Finding
from handrail.model.hazards.table_change import changes, triggered
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column of an older version that the upgrade lets be NULL."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AlterNullable) or not action.nullable or statement.creates(action.table):
            continue
        table, column = action.table, action.column
        before, after = statement.before.column(table, column), step.after.column(table, column)
        if statement.adds(table, column) or (before is not None and before.nullable is True):
            continue
        if after is None or after.nullable is False or triggered(step.after, table, column):
            continue
        yield RULE.at(
            step,
            statement,
            what=f"older versions may read NULL in {table}.{column}",
            why="NOT NULL was a promise to every reader, and new versions may break it from now on",
            fix=f"write NULL into {table}.{column} only once every version that runs copes with it",
            confidence=Confidence.LOW,
        )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50) NOT NULL, age integer)"
_PG = frozenset({"postgresql"})
_TRIGGER = "CREATE TRIGGER touch BEFORE INSERT OR UPDATE ON users FOR EACH ROW EXECUTE FUNCTION touch()"


def _touch(column: str) -> str:
    return (
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN NEW.{column} := coalesce(NEW.{column}, '1'); RETURN NEW; END $$"
    )


RULE = Rule(
    name="compat-drop-not-null",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", nullable=True)',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ALTER email DROP NOT NULL")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("email", nullable=True, existing_type=sa.String(50))
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "age", nullable=True)',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("name", sa.Text(), nullable=True))',
            flagged=False,
        ),
        Example(
            given=(_USERS, _touch("age"), _TRIGGER),
            body='op.alter_column("users", "email", nullable=True)',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _touch("email"), _TRIGGER),
            body='op.alter_column("users", "email", nullable=True)',
            flagged=False,
            engines=_PG,
        ),
    ),
)

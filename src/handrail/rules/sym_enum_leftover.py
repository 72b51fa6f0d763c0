"""`downgrade()` leaves an enum type behind.

What happens: the table or column is dropped and the type stays. Applying the revision again fails: `type "mood"
already exists`.

Why: PostgreSQL keeps a type by itself. `op.create_table` with `sa.Enum` makes it, and `op.drop_table` does not drop
it.

The safe way: drop the type after the last column that uses it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.operation import Reading
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each type that upgrade makes and downgrade does not drop."""
    up, down = revision.upgrade, revision.downgrade
    if up is None or down is None or down.reading is Reading.FAILED or not down.statements:
        return
    for statement, action in up.actions():
        if not isinstance(action, act.CreateEnum):
            continue
        name = bare(action.name)
        if name in up.before.enums or name not in up.after.enums:
            continue
        if name not in down.after.enums or not down.after.certain:
            continue
        if not down.read and ".drop(" in revision.revision.source:
            continue
        yield RULE.at(
            up,
            statement,
            what=f"downgrade() leaves the type {name}, which upgrade() makes",
            why=f'applying the revision again fails: type "{name}" already exists',
            fix=f'op.execute("DROP TYPE {name}") at the end of downgrade()',
        )


_TABLE = """
op.create_table(
    "days", sa.Column("id", sa.Integer, primary_key=True), sa.Column("mood", sa.Enum("good", "bad", name="mood"))
)
"""


def _made_anew(values: str) -> str:
    return f"""
    op.execute("ALTER TYPE mood RENAME TO mood_before")
    op.execute("CREATE TYPE mood AS ENUM ({values})")
    op.execute("ALTER TABLE days ALTER COLUMN mood TYPE mood USING mood::text::mood")
    op.execute("DROP TYPE mood_before")
    """


RULE = Rule(
    name="sym-enum-leftover",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://alembic.sqlalchemy.org/en/latest/autogenerate.html",
    findings=findings,
    examples=(
        Example(body=_TABLE, downgrade='op.drop_table("days")', flagged=True),
        Example(
            given=("CREATE TABLE days (id integer)",),
            body="op.execute(\"CREATE TYPE mood AS ENUM ('good')\")\nop.execute('ALTER TABLE days ADD mood mood')",
            downgrade='op.drop_column("days", "mood")',
            flagged=True,
        ),
        Example(body=_TABLE, downgrade='op.drop_table("days")\nop.execute("DROP TYPE mood")', flagged=False),
        Example(
            body=_TABLE,
            downgrade='op.drop_table("days")\nsa.Enum(name="mood").drop(op.get_bind(), checkfirst=True)',
            flagged=False,
        ),
        Example(
            body=_TABLE, downgrade='op.drop_table("days")\nsa.Enum(name="mood").drop(op.get_bind())', flagged=False
        ),
        Example(
            given=("CREATE TYPE mood AS ENUM ('good', 'bad')", "CREATE TABLE days (id integer, mood mood)"),
            body=_made_anew("'good'"),
            downgrade=_made_anew("'good', 'bad'"),
            flagged=False,
        ),
    ),
)

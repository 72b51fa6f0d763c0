"""A column is dropped and added again: its values are gone.

What happens: the column has its name, and perhaps another type, but no value in any row, or the new default in all.

Why: DROP COLUMN and ADD COLUMN make a new column; nothing is converted. Autogenerate writes this pair for a change of
type that it does not recognise, and one revision may drop what a later one adds.

The safe way: change the type with ALTER COLUMN ... TYPE and USING, or add the new column beside the old one, copy the
values in batches, and drop the old one when nobody reads it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import call, literal, quoted, sql_name
from handrail.model.hazards.table_change import changes, copied
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Confidence, Severity

#: A column dropped longer ago than this many revisions is likely another one by now.
_NEAR = 3


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that the upgrade adds and that this revision or an earlier one dropped."""
    step = revision.upgrade
    if step is None:
        return
    near = frozenset(s.revision for s in revision.earlier[-_NEAR:])
    for statement, action in changes(step):
        if not isinstance(action, AddColumn) or statement.creates(action.table) or facts.rows(action.table) == 0:
            continue
        name = action.column.name
        found = statement.before.dropped.get((bare(action.table), name))
        if found is None or statement.before.column(action.table, name) is not None:
            continue
        old, dropper = found
        if any(copied(s, action.table, name) for s in (*revision.earlier[-_NEAR:], step)):
            continue
        here = dropper == revision.id or dropper not in {s.revision for s in revision.earlier}
        known = old.type is not UNKNOWN and action.column.type is not UNKNOWN
        types = f", {old.type} before, {action.column.type} now" if known and old.type != action.column.type else ""
        using = f"{sql_name(name)}::{action.column.type if known else '<type>'}"
        yield RULE.at(
            step,
            statement,
            what=f"{action.table}.{name} was dropped {'just before' if here else f'in {dropper}'} "
            f"and is added again{types}: its values are gone",
            why="DROP COLUMN and ADD COLUMN make a new column; no value is carried over",
            fix=call(
                "alter_column",
                action.table,
                quoted(name),
                "type_=...",
                f"postgresql_using={literal(using)}",
            )
            + " instead of drop and add",
            severity=None if here or dropper in near else Severity.NOTE,
            confidence=Confidence.HIGH if here or dropper in near else Confidence.LOW,
        )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, age varchar(10))"

RULE = Rule(
    name="data-retype-by-drop",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body="""
            op.drop_column("users", "age")
            op.add_column("users", sa.Column("age", sa.Integer()))
            """,
            flagged=True,
            engines=frozenset({"postgresql"}),
            rewrite=('op.alter_column("users", "age", type_=sa.Integer(), postgresql_using="age::integer")',),
        ),
        Example(
            given=(_USERS,),
            earlier=('op.drop_column("users", "age")',),
            body='op.add_column("users", sa.Column("age", sa.Integer()))',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            earlier=('op.drop_column("users", "age")', 'op.add_column("users", sa.Column("name", sa.Text()))'),
            body='op.execute("ALTER TABLE users ADD COLUMN age integer")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.drop_column("age")
                batch.add_column(sa.Column("age", sa.Integer()))
            """,
            flagged=True,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("age_years", sa.Integer()))',
            downgrade='op.drop_column("users", "age_years")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.drop_column("users", "age")',
            downgrade='op.add_column("users", sa.Column("age", sa.String(10)))',
            flagged=False,
        ),
    ),
)

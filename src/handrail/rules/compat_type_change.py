"""A column becomes of another kind than older application versions read and write.

What happens: an old version gets a value of another kind (a number where it had a text, a moment with a time zone where
it had one without), or its writes and comparisons fail.

Why: a driver makes of each type a value of its own kind, and binds parameters with the type that the models name. Types
of one kind are left alone: a longer `varchar`, `text` for `varchar`, `bigint` for `integer`. Types that hold less are
`data-narrow-type`'s.

The safe way: add a column of the new type, keep both alike with a trigger, copy in batches, move the versions over, and
drop the old column last.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AlterType
from handrail.model.finding import Finding
from handrail.model.hazards.column_type import Fit, alike, fit, parsed
from handrail.model.hazards.spelling import send, sql_name
from handrail.model.hazards.table_change import changes, old_type
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column of an older version that becomes of another kind in the upgrade."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AlterType) or statement.creates(action.table):
            continue
        table, column, new = action.table, action.column, action.type
        if statement.adds(table, column):
            continue
        old = old_type(statement, action)
        if old is UNKNOWN and parsed(new).family in {"string", "integer"} and not action.using:
            continue
        if old is not UNKNOWN and (alike(old, new) or fit(old, new) is not Fit.FIT):
            continue
        yield RULE.at(
            step,
            statement,
            what=f"older versions read and write {table}.{column} as "
            + (f"{old}, not as {new}" if old is not UNKNOWN else f"what it was, not as {new}"),
            why="a driver makes values of another kind of it, and binds parameters with the type the models name",
            fix=send(f"ALTER TABLE {sql_name(table)} ADD COLUMN {sql_name(f'{column}_new')} {new}")
            + f"\nkept alike by a trigger and copied in batches; drop {column} once no version names it",
            confidence=Confidence.LOW if old is UNKNOWN else Confidence.HIGH,
        )


_USERS = (
    "CREATE TABLE users (id integer PRIMARY KEY, age varchar(10), price integer, seen timestamp, note json, "
    "state varchar(10))"
)
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-type-change",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DATA-TYPE",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "age", type_=sa.Integer(), postgresql_using="age::integer")',
            flagged=True,
            rewrite=('op.add_column("users", sa.Column("age_new", sa.Integer()))',),
            leaves_out="the trigger, the copy, and the drop of age in a later release",
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ALTER seen TYPE timestamptz")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("price", type_=sa.Text(), existing_type=sa.Integer())
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS, "CREATE TYPE state AS ENUM ('on', 'off')"),
            body='op.execute("ALTER TABLE users ALTER state TYPE state USING state::state")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users MODIFY price varchar(20)")',
            flagged=True,
            engines=frozenset({"mysql"}),
        ),
        Example(given=(_USERS,), body='op.alter_column("users", "age", type_=sa.String(50))', flagged=False),
        Example(given=(_USERS,), body='op.alter_column("users", "age", type_=sa.Text())', flagged=False),
        Example(given=(_USERS,), body='op.alter_column("users", "price", type_=sa.BigInteger())', flagged=False),
        Example(
            given=(_USERS,), body='op.execute("ALTER TABLE users ALTER note TYPE jsonb")', flagged=False, engines=_PG
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("size", sa.Text()))
            op.alter_column("teams", "size", type_=sa.Integer(), postgresql_using="size::integer")
            """,
            flagged=False,
        ),
    ),
)

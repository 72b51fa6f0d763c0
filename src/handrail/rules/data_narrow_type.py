"""A column gets a type that does not hold all its values.

What happens: values that do not fit make the statement fail, or are cut without a word: `numeric(12,4)` to
`numeric(12,2)` rounds, `timestamp` to `date` drops the time of day, a USING that casts to a shorter `varchar`
truncates. Application versions that still write longer values fail from then on.

Why: PostgreSQL refuses a text that is too long and a number out of range, but rounds to a smaller scale, and an
explicit cast to a length truncates. Changes between kinds of types are `compat-type-change`'s and
`fail-type-no-using`'s.

The safe way: count what does not fit first; where digits or times may go, add a new column, fill it, and keep the old
one until nobody reads it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import AlterType
from handrail.model.finding import Finding
from handrail.model.hazards.column_type import Fit, bounds, fit, parsed
from handrail.model.hazards.spelling import send, sql_name
from handrail.model.hazards.table_change import changes, old_type
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Confidence, Severity
from handrail.model.violation import ViolationKind

#: What makes a value shorter inside USING: a call or an explicit cast to a length.
_CUTS = re.compile(
    r"\b(left|right|substr|substring|round|trunc|floor|ceil)\(|::\s*(varchar|char|character)[ \w]*\(", re.IGNORECASE
)


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column whose values may not fit its new type."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AlterType) or statement.creates(action.table) or facts.rows(action.table) == 0:
            continue
        if statement.adds(action.table, action.column):
            continue
        column, old = f"{action.table}.{action.column}", old_type(statement, action)
        if old is UNKNOWN:
            if parsed(action.type).sizes or parsed(action.type).name == "smallint":
                yield RULE.at(
                    step,
                    statement,
                    what=f"values of {column} may not fit {action.type}; its present type is not known",
                    why="values that do not fit make the statement fail, or are rounded",
                    fix=f"count them first: {_count(action, Fit.FAIL)}",
                    severity=Severity.NOTE,
                    confidence=Confidence.LOW,
                    subject=(action.table, action.column),
                )
            continue
        what = fit(old, action.type)
        if what is Fit.FAIL and _CUTS.search(action.using):
            what = Fit.CUT
        if what is Fit.FIT:
            continue
        yield RULE.at(
            step,
            statement,
            what=f"values of {column} are cut without a word: {old} becomes {action.type}"
            if what is Fit.CUT
            else f"values of {column} may not fit: {old} becomes {action.type}",
            why="the conversion rounds or truncates, and says nothing"
            if what is Fit.CUT
            else "the statement fails at the first value that does not fit, and so do later writes of older versions",
            fix=f"count what does not fit first: {_count(action, what)}\n"
            "and keep the values: "
            + send(f"ALTER TABLE {sql_name(action.table)} ADD COLUMN {sql_name(f'{action.column}_new')} {action.type}")
            + f", fill it in batches, and drop {action.column} once nobody reads it",
            severity=Severity.ERROR if what is Fit.CUT else None,
            subject=(action.table, action.column),
        )


def _count(action: AlterType, what: Fit) -> str:
    new = parsed(action.type)
    column = sql_name(action.column)
    if new.name.startswith("character") and new.sizes:
        condition = f"length({column}) > {new.sizes[0]}"
    elif what is Fit.CUT:
        condition = f"CAST({column} AS {action.type}) <> {column}"
    else:
        most = bounds(action.type)
        condition = f"{column} NOT BETWEEN {most}" if most else f"{column} is out of the range of {action.type}"
    return f"SELECT count(*) FROM {sql_name(action.table)} WHERE {condition}"


_USERS = (
    "CREATE TABLE users (id bigint PRIMARY KEY, email varchar(50), bio text, price numeric(12,4), seen timestamp, "
    "age integer)"
)
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="data-narrow-type",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "mysql"}),
    source="https://www.postgresql.org/docs/current/datatype-character.html",
    findings=findings,
    decided_by=ViolationKind.CAST,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", type_=sa.String(20), existing_type=sa.String(50))',
            flagged=True,
            rewrite=('op.add_column("users", sa.Column("email_new", sa.String(20)))',),
            leaves_out="email stays as it is until email_new is filled and read",
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ALTER bio TYPE varchar(200)")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users MODIFY bio varchar(200)")',
            flagged=True,
            engines=frozenset({"mysql"}),
        ),
        Example(
            given=("CREATE TABLE moods (mood enum('good', 'bad'))",),
            body="op.execute(\"ALTER TABLE moods MODIFY mood enum('good')\")",
            flagged=True,
            engines=frozenset({"mysql"}),
        ),
        Example(
            given=("CREATE TABLE moods (mood enum('good', 'bad'))",),
            body="op.execute(\"ALTER TABLE moods MODIFY mood enum('good', 'bad', 'mixed')\")",
            flagged=False,
            engines=frozenset({"mysql"}),
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ALTER email TYPE varchar(9) USING left(email, 9)")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "price", type_=sa.Numeric(12, 2))',
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.alter_column("users", "id", type_=sa.Integer())', flagged=True),
        Example(
            given=(_USERS,), body='op.execute("ALTER TABLE users ALTER seen TYPE date")', flagged=True, engines=_PG
        ),
        Example(given=(_USERS,), body='op.alter_column("users", "price", type_=sa.Integer())', flagged=True),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("age", type_=sa.SmallInteger(), existing_type=sa.Integer())
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", type_=sa.String(100), existing_type=sa.String(50))',
            downgrade='op.alter_column("users", "email", type_=sa.String(50), existing_type=sa.String(100))',
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.alter_column("users", "email", type_=sa.Text())', flagged=False),
        Example(given=(_USERS,), body='op.alter_column("users", "age", type_=sa.BigInteger())', flagged=False),
        Example(given=(_USERS,), body='op.alter_column("users", "price", type_=sa.Numeric(14, 4))', flagged=False),
        Example(
            body="""
            op.create_table("teams", sa.Column("name", sa.String(50)))
            op.alter_column("teams", "name", type_=sa.String(20))
            """,
            flagged=False,
        ),
    ),
)

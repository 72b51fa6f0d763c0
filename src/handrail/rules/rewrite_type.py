"""The type of a column changes, and every row is written anew while everybody waits.

What happens: ALTER COLUMN ... TYPE holds ACCESS EXCLUSIVE while the table and its indexes are written anew: nobody
reads or writes the table for that long. Sessions with prepared statements fail once with "cached plan must not change
result type".

Why: the bytes of the old type are not those of the new one. Where they are, nothing is written: a longer or unlimited
varchar, varchar to text, a numeric with more digits of the same scale.

The safe way: add a column of the new type, keep it in step with a trigger, fill it in batches, and let the
application change over before the old one is dropped.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AlterType
from handrail.model.finding import Finding
from handrail.model.hazards.batch_spelling import filling, key_of
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.long_work import converts, old_server_type
from handrail.model.hazards.spelling import revisions, send, sql_name
from handrail.model.hazards.table_rewrite import rewrites
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each type change that writes the table anew, or may where the old type is not known."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AlterType) or not others_wait(statement, action.table, facts):
                continue
            old = old_server_type(statement, action)
            if old and not converts(action) and not rewrites(old, action.type):
                continue
            column = f"{action.table}.{action.column}"
            yield RULE.at(
                step,
                statement,
                what=f"{column} changes from {old} to {action.type}: every row is written anew while everybody waits"
                if old
                else f"{column} changes to {action.type}, which may write every row anew while everybody waits",
                why=(
                    "ALTER COLUMN TYPE holds ACCESS EXCLUSIVE until the new table is written"
                    if old
                    else "the old type was not seen in the revisions; only some changes leave the rows as they are"
                )
                + counted(action.table, facts),
                fix=_fix(statement, action),
                severity=weight(step, RULE.severity if old else _guessed(action)),
                confidence=Confidence.HIGH if old else Confidence.LOW,
            )


def _guessed(action: AlterType) -> Severity:
    """Return the weight where the old type was not seen: what becomes a string was mostly a shorter one."""
    string = action.type.startswith(("text", "character varying"))
    return Severity.NOTE if string and not converts(action) else Severity.WARNING


def _fix(statement: ReviewedStatement, action: AlterType) -> str:
    table, column = sql_name(action.table), sql_name(action.column)
    new = sql_name(f"{action.column}_new")
    value = action.using or f"{column}::{action.type}"
    return revisions(
        send(f"ALTER TABLE {table} ADD COLUMN {new} {action.type}")
        + f"\nand a trigger BEFORE INSERT OR UPDATE ON {table} that sets {new} from {column}",
        filling(
            action.table,
            key_of(statement.before.table(action.table)),
            f"{action.column}_new",
            value,
            f"{column} IS NOT NULL",
        ),
        f"once the application reads {new}: drop the trigger and {column}",
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40), price numeric(8, 2), seen timestamp)"


def _change(column: str, new: str, **more: object) -> Example:
    flagged = bool(more.pop("flagged", False))
    body = f'op.alter_column("users", "{column}", type_={new})'
    return Example(given=(_USERS,), body=body, flagged=flagged, **more)  # type: ignore[arg-type]  # fields of Example


RULE = Rule(
    name="rewrite-type",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "id", existing_type=sa.Integer, type_=sa.BigInteger)',
            flagged=True,
            rewrite=('op.add_column("users", sa.Column("id_new", sa.BigInteger))',),
            leaves_out="the column is filled by a trigger and in batches, and the old one dropped, in later revisions",
        ),
        _change("name", "sa.String(20)", flagged=True),
        _change("price", "sa.Numeric(10, 4)", flagged=True),
        _change("seen", "sa.DateTime(timezone=True)", flagged=True),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ALTER name TYPE integer USING length(name)")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("price", type_=sa.Float)
            """,
            flagged=True,
        ),
        Example(
            body='op.alter_column("elsewhere", "name", existing_type=sa.String(40), type_=sa.BigInteger)',
            flagged=True,
            not_run="the table was made outside of the revisions",
        ),
        Example(
            body='op.alter_column("elsewhere", "name", existing_type=sa.String(40), type_=sa.String(80))',
            flagged=False,
            not_run="the table was made outside of the revisions",
        ),
        Example(
            given=("CREATE TYPE mood AS ENUM ('good', 'bad')", "CREATE TABLE days (id integer, mood mood)"),
            body="""
            op.execute("ALTER TYPE mood RENAME TO mood_before")
            op.execute("CREATE TYPE mood AS ENUM ('good', 'bad', 'odd')")
            op.execute("ALTER TABLE days ALTER COLUMN mood TYPE mood USING mood::text::mood")
            op.execute("DROP TYPE mood_before")
            """,
            flagged=True,
        ),
        _change("name", "sa.String(80)"),
        _change("name", "sa.String()"),
        _change("name", "sa.Text", downgrade='op.execute("SELECT 1")'),
        _change("price", "sa.Numeric(12, 2)"),
        _change("price", "sa.Numeric()"),
        _change("price", "sa.BigInteger", sizes={"users": 200}),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ALTER name TYPE text USING name::text")',
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer))
            op.alter_column("teams", "id", type_=sa.BigInteger)
            """,
            flagged=False,
        ),
    ),
)

"""A column is added that older application versions leave out and that must not be NULL.

What happens: every INSERT of an old version into the table fails: it does not know the column, and nothing stands in.

Why: what counts is how the column is at the end of the revision. Added nullable, filled and set NOT NULL in one go,
or added with a default that is dropped again, it looks safe and refuses old INSERTs all the same. Rows that are there
are `fail-add-not-null`'s: where that one fails at the same statement, this is a warning.

The safe way: leave the column nullable, or keep its server default, until no version runs that does not know it. A
trigger on the table is taken for one that fills it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, AddColumn, AlterDefault, AlterNullable
from handrail.model.finding import Finding
from handrail.model.hazards import deployed
from handrail.model.hazards.spelling import send, sql_name
from handrail.model.hazards.table_change import changes, triggered
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import ColumnSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that the upgrade adds and that old INSERTs cannot leave out."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AddColumn) or statement.creates(action.table):
            continue
        table, name = action.table, action.column.name
        after = step.after.column(table, name)
        if statement.before.column(table, name) is not None or after is None or not _required(after):
            continue
        if triggered(step.after, table, name):
            continue
        last, cause = _last(step, table, name, (statement, action))
        found = RULE.at(
            step,
            last,
            what=f"INSERTs of older versions into {table} fail: they leave out {name}, which is NOT NULL",
            why="its default is dropped again in the same revision"
            if isinstance(cause, AlterDefault)
            else "it has no default that would stand in",
            fix="nullable, or with a default that stays, until no version runs that does not know it:\n"
            + send(f"ALTER TABLE {sql_name(table)} ADD COLUMN {sql_name(name)} {_type(action.column)}")
            + "\nthen tighten it in a later revision",
            severity=Severity.WARNING if isinstance(cause, AddColumn) else None,
        )
        yield deployed.judged(found, deployed.leaving_out(facts, table, name))


def _type(column: ColumnSpec) -> str:
    return column.type if isinstance(column.type, str) else "<its type>"


def _required(column: ColumnSpec) -> bool:
    return column.nullable is False and column.default is None and not column.identity and not column.generated


def _last(
    step: ReviewedStep, table: str, name: str, added: tuple[ReviewedStatement, Action]
) -> tuple[ReviewedStatement, Action]:
    """Return what made the column as it is: the last change of its nullability or default."""
    found = added
    for statement, action in changes(step):
        if isinstance(action, AlterNullable | AlterDefault) and bare(action.table) == bare(table):
            found = (statement, action) if action.column == name else found
    return found


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_FILL = (
    "CREATE FUNCTION fill_age() RETURNS trigger LANGUAGE plpgsql AS "
    "$$ BEGIN NEW.age := coalesce(NEW.age, 0); RETURN NEW; END $$"
)
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-insert-not-null",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-insert.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=False))',
            flagged=True,
            engines=_PG,
            rewrite=('op.add_column("users", sa.Column("age", sa.Integer()))',),
            leaves_out="NOT NULL comes in a later revision",
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("age", sa.Integer(), nullable=False, server_default="0"))
            op.alter_column("users", "age", server_default=None)
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("ALTER TABLE users ADD COLUMN age integer")
            op.execute("UPDATE users SET age = 0")
            op.execute("ALTER TABLE users ALTER COLUMN age SET NOT NULL")
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.add_column(sa.Column("age", sa.Integer(), nullable=False))
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("age", sa.Integer()))
            op.execute("UPDATE users SET age = 0")
            op.alter_column("users", "age", existing_type=sa.Integer(), nullable=False)
            """,
            flagged=True,
            engines=frozenset({"mysql"}),
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=False, server_default="0"))',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("age", sa.Integer()))
            op.execute("UPDATE users SET age = 0")
            """,
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer(), primary_key=True))
            op.execute("ALTER TABLE teams ADD COLUMN name text NOT NULL DEFAULT ''")
            """,
            flagged=False,
        ),
        Example(
            given=(
                _USERS,
                _FILL,
                "CREATE TRIGGER fill_age BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION fill_age()",
            ),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=False))',
            flagged=False,
            engines=_PG,
        ),
    ),
)

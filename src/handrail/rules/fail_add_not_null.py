"""A column is added that may not be NULL and has no default.

What happens: the statement fails as soon as the table has one row; on SQLite it fails on an empty table too.

Why: the rows that are there would have no value for the column. A table in development is often empty, the one in
production is not. What older versions suffer afterwards is `compat-insert-not-null`'s.

The safe way: add it nullable, fill it, and set NOT NULL in a later revision, on PostgreSQL after a CHECK that is NOT
VALID first and validated then; or give it a server default, which fills the rows that are there without writing them.
`downgrade()` is one function, which cannot wait for later revisions: there, add it nullable or with a server default.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn
from handrail.model.finding import Finding
from handrail.model.hazards.batch_spelling import filling, key_of
from handrail.model.hazards.spelling import call, not_null_proved, quoted, send, sql_name
from handrail.model.hazards.table_change import changes
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.revision import Direction
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import ColumnSpec
from handrail.model.verdict import Severity
from handrail.model.violation import ViolationKind

_OR_DEFAULT = "or with server_default=..., where one value is right for all rows"


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that rows cannot get, in either function."""
    for step in revision.steps:
        for statement, action in changes(step):
            if not isinstance(action, AddColumn) or not _without_value(action.column):
                continue
            if statement.creates(action.table) or statement.before.column(action.table, action.column.name):
                continue
            empty = facts.rows(action.table) == 0 and facts.engine != "sqlite"
            table, name = action.table, action.column.name
            yield RULE.at(
                step,
                statement,
                what=f"{table}.{name} is added NOT NULL without a default; "
                f"{step.direction.value}() fails if {table} has rows",
                why="the rows that are there would have no value",
                fix=_on_the_way_down(action)
                if step.direction is Direction.DOWNGRADE
                else "in revisions of their own:\n" + _fix(statement, action, facts.engine),
                severity=Severity.NOTE if empty else None,
                subject=(table, name),
            )


def _fix(statement: ReviewedStatement, action: AddColumn, engine: str) -> str:
    table, name = action.table, action.column.name
    fill = filling(table, key_of(statement.before.table(table)), name, "...") if engine != "mysql" else f"fill {name}"
    require = (
        f"then\n{not_null_proved(table, name)}"
        if engine == "postgresql"
        else call("alter_column", table, quoted(name), "nullable=False")
    )
    if engine == "sqlite":
        batch = f"with op.batch_alter_table({quoted(table)}) as batch:"
        require = f"{batch}\n    batch.alter_column({quoted(name)}, nullable=False)"
    return f"{_nullable(action)}\n{fill}\n{require}\n{_OR_DEFAULT}"


def _on_the_way_down(action: AddColumn) -> str:
    return f"let it be nullable there, for its values are gone:\n{_nullable(action)}\n{_OR_DEFAULT}"


def _nullable(action: AddColumn) -> str:
    type_ = action.column.type if isinstance(action.column.type, str) else "<its type>"
    return send(f"ALTER TABLE {sql_name(action.table)} ADD COLUMN {sql_name(action.column.name)} {type_}")


def _without_value(column: ColumnSpec) -> bool:
    none = column.default is None or (isinstance(column.default, str) and column.default.upper() == "NULL")
    return column.nullable is False and none and not column.identity and not column.generated


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_ROW = "INSERT INTO users (id) VALUES (1)"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="fail-add-not-null",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html",
    findings=findings,
    decided_by=ViolationKind.NULLS,
    examples=(
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=False))',
            flagged=True,
            engines=_PG,
            rewrite=('op.add_column("users", sa.Column("age", sa.Integer(), nullable=False, server_default="0"))',),
            leaves_out="the default stays",
        ),
        Example(
            given=(_USERS, _ROW),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=False))',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=False))',
            flagged=True,
            engines=_PG,
            rewrite=(
                'op.add_column("users", sa.Column("age", sa.Integer()))',
                'op.execute("UPDATE users SET age = 0 WHERE age IS NULL")',
                'op.execute("ALTER TABLE users ADD CONSTRAINT age_set CHECK (age IS NOT NULL) NOT VALID")',
                'op.execute("ALTER TABLE users VALIDATE CONSTRAINT age_set")',
                """
                op.alter_column("users", "age", nullable=False)
                op.drop_constraint("age_set", "users")
                """,
            ),
        ),
        Example(
            given=(_USERS, _ROW),
            body='op.execute("ALTER TABLE users ADD COLUMN age integer NOT NULL")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _ROW),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.add_column(sa.Column("age", sa.Integer(), nullable=False))
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.drop_column("users", "email")',
            downgrade='op.add_column("users", sa.Column("email", sa.String(50), nullable=False))',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _ROW),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=False, server_default="0"))',
            flagged=False,
        ),
        Example(
            given=(_USERS, _ROW),
            body='op.add_column("users", sa.Column("age", sa.Integer(), nullable=True))',
            flagged=False,
        ),
        Example(
            given=(_USERS, _ROW),
            body='op.execute("ALTER TABLE users ADD COLUMN number bigserial")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer(), primary_key=True))
            op.add_column("teams", sa.Column("name", sa.Text(), nullable=False))
            """,
            flagged=False,
            engines=_PG,
        ),
    ),
)

"""SQLite cannot do this ALTER TABLE, or make an index that way.

What happens: the revision fails: Alembic raises `No support for ALTER of constraints in SQLite dialect`, or SQLite
refuses the statement.

Why: SQLite's ALTER TABLE renames, and adds and drops plain columns. It changes no type, nullability or default, adds
and drops no constraint, adds no column with UNIQUE, nor one whose default is computed to a table with rows, and drops
no column that a key, an index or a constraint of the table uses. It makes one change in each statement, and knows
neither `IF NOT EXISTS` of a column nor `CREATE INDEX CONCURRENTLY`.

The safe way: `op.batch_alter_table`, which makes the table anew and copies its rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.sqlite_refusal import refusal
from handrail.model.operation import Operation, Reading
from handrail.model.replayed import bare
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Severity

#: The operations for which Alembic has no statement on SQLite: alembic/ddl/sqlite.py.
_NEEDS_BATCH = "No support for ALTER"


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each operation that SQLite refuses."""
    for step in revision.steps:
        for statement in step.statements:
            refused = refusal(statement.statement.sql)
            columns = (
                (what, getattr(action, "table", ""))
                for around, action in statement.each()
                if (what := _column(around, action))
            )
            what, table = (refused.what, refused.table) if refused else next(columns, ("", ""))
            if what:
                table = table or "the table"
                yield (
                    _finding(step, statement.operation, what, table)
                    if statement.operation
                    else RULE.at(step, statement, what=f"SQLite refuses {what}", why=_WHY, fix=_fix(table))
                )
        if step.reading is Reading.FAILED and _NEEDS_BATCH in step.reason and step.operations:
            last = step.operations[-1]
            yield _finding(step, last, f"{last.name} of {last.table}", last.table or "the table")


_WHY = "its ALTER TABLE only renames, and adds and drops plain columns"


def _fix(table: str) -> str:
    return f'with op.batch_alter_table("{table}") as batch: the same operation on batch, without the table'


def _finding(step: ReviewedStep, operation: Operation, what: str, table: str) -> Finding:
    return RULE.at(step, operation, what=f"SQLite refuses {what}", why=_WHY, fix=_fix(table))


def _column(statement: ReviewedStatement, action: act.Action) -> str:
    """Return what is wrong with a column that is added or dropped, '' for nothing."""
    match action:
        case act.AddColumn(table=table, column=column, constraints=constraints):
            name = f"{bare(table)}.{column.name}"
            if any(c.kind in _KEYS for c in constraints):
                return f"to add {name} with UNIQUE or PRIMARY KEY"
            moving = isinstance(column.default, str) and _MOVING.match(column.default) and not statement.creates(table)
            return f"to add {name} with a default that is no constant to a table with rows" if moving else ""
        case act.DropColumn(table=table, column=column):
            user = _user(statement.before.table(table), column)
            return f"to drop {bare(table)}.{column}, which {user} uses" if user else ""
        case _:
            return ""


def _user(table: ReplayedTable | None, column: str) -> str:
    """Return what of its own table keeps a column from being dropped, '' for nothing.

    A constraint that stands at the column, as ADD COLUMN writes it, goes with it, unless it is a key.
    """
    if table is None:
        return ""
    later = table.added.get(column, table.created_in) != table.created_in
    for constraint in table.constraints:
        if column in constraint.columns and (constraint.kind in _KEYS or not later):
            return f"{constraint.kind.value} {constraint.name}".strip()
    return next((f"index {index.name}" for index in table.indexes if column in index.columns), "")


_KEYS = frozenset({ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY})
#: Source: https://www.sqlite.org/lang_altertable.html#alter_table_add_column
_MOVING = re.compile(r"\(?\s*(?:current_|\w+\()", re.IGNORECASE)
_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))",)


RULE = Rule(
    name="sqlite-alter-unsupported",
    severity=Severity.ERROR,
    engines=frozenset({"sqlite"}),
    source="https://www.sqlite.org/lang_altertable.html",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body='op.create_unique_constraint("uq", "users", ["name"])', flagged=True, fails=True),
        Example(given=_GIVEN, body='op.drop_constraint("uq", "users")', flagged=True, fails=True),
        Example(given=_GIVEN, body='op.alter_column("users", "name", type_=sa.Text)', flagged=True, fails=True),
        Example(given=_GIVEN, body='op.alter_column("users", "name", nullable=False)', flagged=True, fails=True),
        Example(given=_GIVEN, body='op.execute("ALTER TABLE users ADD email text UNIQUE")', flagged=True, fails=True),
        Example(
            given=_GIVEN,
            body='op.execute("ALTER TABLE users ADD COLUMN email text, ADD COLUMN phone text")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=_GIVEN,
            body='op.execute("CREATE INDEX CONCURRENTLY ix ON users (name)")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=_GIVEN,
            body="op.execute(\"ALTER TABLE users ADD COLUMN price decimal(8, 2) DEFAULT '1,5'\")",
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body='op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS email text")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(*_GIVEN, "INSERT INTO users (id) VALUES (1)"),
            body='op.execute("ALTER TABLE users ADD COLUMN token text DEFAULT (lower(hex(randomblob(8))))")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=_GIVEN,
            body="""
            with op.batch_alter_table("users") as batch:
                batch.create_unique_constraint("uq_users_name", ["name"])
            """,
            flagged=False,
        ),
        Example(given=_GIVEN, body='op.add_column("users", sa.Column("email", sa.Text))', flagged=False),
        Example(
            given=_GIVEN,
            body='op.alter_column("users", "name", new_column_name="called", existing_type=sa.String(20))',
            flagged=False,
        ),
        Example(
            given=(*_GIVEN, "INSERT INTO users (id) VALUES (1)"),
            body='op.add_column("users", sa.Column("seen", sa.DateTime, server_default=sa.func.now()))',
            flagged=True,
            fails=True,
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) UNIQUE)",),
            body='op.drop_column("users", "name")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(*_GIVEN, "CREATE INDEX ix_users_name ON users (name)"),
            body='op.drop_column("users", "name")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(
                *_GIVEN,
                "CREATE TABLE pets (id integer PRIMARY KEY, user_id integer, FOREIGN KEY (user_id) REFERENCES users)",
            ),
            body='op.drop_column("pets", "user_id")',
            flagged=True,
            fails=True,
        ),
        Example(given=_GIVEN, body='op.drop_column("users", "name")', flagged=False),
        Example(
            given=(*_GIVEN, "INSERT INTO users (id) VALUES (1)"),
            body='op.add_column("users", sa.Column("level", sa.Integer, server_default="1", nullable=False))',
            flagged=False,
        ),
    ),
)

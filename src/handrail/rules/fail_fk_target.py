"""A foreign key points at columns that are no key.

What happens: the statement fails: "there is no unique constraint matching given keys for referenced table".

Why: PostgreSQL takes only the columns of a primary key, a unique constraint or a whole unique index as a target, all of
them and no others. A partial unique index does not do.

The safe way: make the columns unique first, or point at the primary key.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, AddColumn, AddConstraint, CreateTable
from handrail.model.finding import Finding
from handrail.model.hazards.table_change import keys_of
from handrail.model.replayed import Replayed, bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each foreign key whose target is known and is no key."""
    for step in revision.steps:
        for statement, action in step.actions():
            for key in _foreign_keys(action):
                if not _refused(statement.after, statement, key):
                    continue
                columns, other = ", ".join(key.referenced_columns) or "its primary key", key.referenced_table
                yield RULE.at(
                    step,
                    statement,
                    what=f"the foreign key to {other} ({columns}) fails: that is no key of {other}",
                    why="a target needs a primary key, a unique constraint or a whole unique index on just its columns",
                    fix=f'first op.create_unique_constraint("uq_{bare(other)}", "{other}", '
                    f"{list(key.referenced_columns)}), or point at the primary key",
                )


def _foreign_keys(action: Action) -> tuple[ConstraintSpec, ...]:
    match action:
        case CreateTable(constraints=found) | AddColumn(constraints=found):
            pass
        case AddConstraint(constraint=constraint):
            found = (constraint,)
        case _:
            return ()
    return tuple(c for c in found if c.kind is ConstraintKind.FOREIGN_KEY)


def _refused(schema: Replayed, statement: ReviewedStatement, key: ConstraintSpec) -> bool:
    """Return whether the table is wholly known and has no such key; a later rename or rebuild leaves it unknown."""
    table = schema.table(key.referenced_table)
    if table is None or not table.complete or not (schema.certain and statement.statement.exact):
        return False
    if not key.referenced_columns:
        return not table.primary_key
    return all(set(columns) != set(key.referenced_columns) for columns in keys_of(table))


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50), login varchar(50) UNIQUE)"
_NOTES = "CREATE TABLE notes (id integer PRIMARY KEY, user_email varchar(50))"

RULE = Rule(
    name="fail-fk-target",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK",
    findings=findings,
    examples=(
        Example(
            given=(_USERS, _NOTES),
            body='op.create_foreign_key("fk_notes", "notes", "users", ["user_email"], ["email"])',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.create_table(
                "notes", sa.Column("id", sa.Integer()), sa.Column("email", sa.Text(), sa.ForeignKey("users.email"))
            )
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=("CREATE TABLE parts (a integer, b integer, PRIMARY KEY (a, b))", _NOTES),
            body='op.execute("ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES parts (a)")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, "CREATE UNIQUE INDEX some_emails ON users (email) WHERE id > 5"),
            body='op.execute("CREATE TABLE notes (email text REFERENCES users (email))")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _NOTES),
            body='op.create_foreign_key("fk_notes", "notes", "users", ["user_email"], ["login"])',
            flagged=False,
        ),
        Example(
            given=(_USERS, "CREATE UNIQUE INDEX all_emails ON users (email)", _NOTES),
            body='op.create_foreign_key("fk_notes", "notes", "users", ["user_email"], ["email"])',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("CREATE TABLE notes (user_id integer REFERENCES users)")',
            flagged=False,
        ),
    ),
)

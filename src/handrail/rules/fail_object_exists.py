"""Something is made that is there already.

What happens: the statement fails: "relation already exists".

Why: an earlier revision, or this one, has made a table, column, index, constraint, type or view of that name, and
nothing has dropped it. It happens when two branches add the same.

The safe way: take the second one out. For an enum that exists, `postgresql.ENUM(..., name=..., create_type=False)`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, AddColumn, AddConstraint, CreateEnum, CreateIndex, CreateObject, CreateTable
from handrail.model.finding import Finding
from handrail.model.hazards.inventory import Thing, inventories
from handrail.model.replayed import Replayed, bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import IndexSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each thing that either function makes a second time."""
    up = revision.upgrade
    for step in revision.steps:
        if step is revision.downgrade and (up is None or not up.read):
            continue
        for statement, action in step.actions():
            if not statement.certain:
                continue
            twice = _twice(statement.before, action)
            if twice:
                yield RULE.at(
                    step,
                    statement,
                    what=f"{twice} is there already: {step.direction.value}() fails here",
                    why="an earlier statement has made it, and none has dropped it",
                    fix=f"take this second {twice} out, or give it another name"
                    if not isinstance(action, CreateEnum)
                    else f'postgresql.ENUM(..., name="{action.name}", create_type=False) for a type that exists',
                )
    if len(revision.revision.parents) > 1:
        yield from _in_both_branches(revision)


def _in_both_branches(revision: ReviewedRevision) -> Iterator[Finding]:
    """Yield what two of the branches that it joins make, each on a schema without it: the second to run fails."""
    made: dict[Thing, str] = {}
    for step in revision.earlier:
        before, after = inventories(step.before, step.after)
        twice = _made_by(step) if made else frozenset()
        for thing in after.keys() - before.keys():
            first = made.setdefault(thing, step.revision)
            if first != step.revision and (thing.kind, thing.table, thing.name) in twice:
                yield RULE.in_file(
                    revision,
                    what=f"{first} and {step.revision} both make {thing}, and this revision joins them",
                    why="Alembic runs one branch after the other, and the second one finds it there already",
                    fix=f"take it out of {step.revision}",
                )
        for thing in before.keys() - after.keys():
            made.pop(thing, None)


def _made_by(step: ReviewedStep) -> frozenset[tuple[str, str, str]]:
    """Return the tables and columns that a step makes and that must not be there before, as (kind, table, name)."""
    found: set[tuple[str, str, str]] = set()
    for statement, action in step.actions():
        if not statement.certain:
            continue
        match action:
            case CreateTable(table=table, if_not_exists=False, temporary=False):
                found.add(("table", bare(table), bare(table)))
            case AddColumn(table=table, column=column, if_not_exists=False):
                found.add(("column", bare(table), column.name))
    return frozenset(found)


def _twice(before: Replayed, action: Action) -> str:
    """Return what is made although it is there, '' for nothing."""
    match action:
        case CreateTable(table=table, if_not_exists=False, temporary=False):
            return f"table {table}" if before.table(table) else ""
        case AddColumn(table=table, column=column, if_not_exists=False):
            return f"column {table}.{column.name}" if before.column(table, column.name) else ""
        case CreateIndex(table=table, index=index, if_not_exists=False) if index.name:
            known = before.table(table)
            there = known.index(index.name) if known else None
            chosen = there is not None and (there.columns == index.columns or not _made_up(table, index))
            return f"index {index.name} of {table}" if chosen else ""
        case AddConstraint(table=table, constraint=constraint, if_not_exists=False) if constraint.name:
            known = before.table(table)
            return f"constraint {constraint.name} of {table}" if known and known.constraint(constraint.name) else ""
        case CreateEnum(name=name, if_not_exists=False):
            return f"type {name}" if bare(name) in before.enums else ""
        case CreateObject(kind="view" | "materialized view" as kind, name=name, replaces=False):
            return f"{kind} {name}" if (kind, bare(name)) in before.objects else ""
        case _:
            return ""


def _made_up(table: str, index: IndexSpec) -> bool:
    """Return whether it is the name that SQLAlchemy gives without a convention; the project's own is not known here."""
    return index.name == "_".join(("ix", *table.split("."), *index.columns[:1]))


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_PG = frozenset({"postgresql"})

_BRANCH = '''"""Another branch."""

from alembic import op
import sqlalchemy as sa

revision = "b1"
down_revision = "s0"


def upgrade():
    op.add_column("users", sa.Column("{}", sa.String(50)))


def downgrade():
    op.drop_column("users", "{}")
'''

RULE = Rule(
    name="fail-object-exists",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-createtable.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.create_table("users", sa.Column("id", sa.Integer()))',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users ADD COLUMN email text")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            earlier=('op.create_index("ix", "users", ["email"])',),
            body='op.create_index("ix", "users", ["id"])',
            flagged=True,
            fails=True,
        ),
        Example(
            earlier=('op.create_table("jobs", sa.Column("state", sa.Enum("on", "off", name="state")))',),
            body="op.execute(\"CREATE TYPE state AS ENUM ('on', 'off')\")",
            flagged=True,
            fails=True,
            engines=_PG,
        ),
        Example(
            given=("CREATE TABLE users (id integer, CONSTRAINT uq UNIQUE (id))",),
            body='op.create_unique_constraint("uq", "users", ["id"])',
            flagged=True,
            fails=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            earlier=('op.add_column("users", sa.Column("nick", sa.String(50)))',),
            body="pass",
            flagged=True,
            others=(("b1_nick.py", _BRANCH.format("nick", "nick")),),
            merges=("b1",),
            not_run="one of the branches fails",
        ),
        Example(
            given=(_USERS,),
            earlier=('op.add_column("users", sa.Column("nick", sa.String(50)))',),
            body="pass",
            flagged=False,
            others=(("b1_motto.py", _BRANCH.format("motto", "motto")),),
            merges=("b1",),
        ),
        Example(
            given=(_USERS,),
            body='op.execute("CREATE TABLE IF NOT EXISTS users (id integer)")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.drop_table("users")
            op.create_table("users", sa.Column("id", sa.Integer()))
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.drop_column("users", "email")',
            downgrade='op.add_column("users", sa.Column("email", sa.String(50)))',
            flagged=False,
        ),
        Example(
            given=("CREATE TYPE state AS ENUM ('on', 'off')",),
            body="""
            from sqlalchemy.dialects.postgresql import ENUM
            op.create_table("jobs", sa.Column("state", ENUM("on", "off", name="state", create_type=False)))
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS, "CREATE VIEW names AS SELECT id FROM users"),
            body='op.execute("CREATE OR REPLACE VIEW names AS SELECT id FROM users")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS, "CREATE UNIQUE INDEX uq ON users (email)"),
            body='op.execute("ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX uq")',
            downgrade='op.drop_constraint("uq", "users")\nop.create_index("uq", "users", ["email"], unique=True)',
            flagged=False,
            engines=_PG,
        ),
    ),
)

"""A UNIQUE constraint is added and its index is built while everybody waits.

What happens: ADD CONSTRAINT ... UNIQUE holds ACCESS EXCLUSIVE on the table while the index is built: nobody reads or
writes the table for as long as that takes, which grows with the table. `unique=True` in a column that is added does
the same.

Why: the constraint is its index, and ALTER TABLE builds it under the lock it has.

The safe way: build a unique index with CONCURRENTLY in a revision of its own, and hand it to the constraint with USING
INDEX in the next one, which takes a moment.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn, AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import listed, made_up, outside, revisions, send, sql_name, table_words
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each UNIQUE constraint whose index is built by adding it to a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AddConstraint | AddColumn) or not others_wait(statement, action.table, facts):
                continue
            added = (action.constraint,) if isinstance(action, AddConstraint) else action.constraints
            for unique in added:
                if unique.kind is not ConstraintKind.UNIQUE or unique.using_index:
                    continue
                yield RULE.at(
                    step,
                    statement,
                    what=f"the index of UNIQUE ({', '.join(unique.columns)}) is built while everybody waits for"
                    f" {action.table}",
                    why="ADD CONSTRAINT ... UNIQUE holds ACCESS EXCLUSIVE while its index is built"
                    + counted(action.table, facts),
                    fix=_fix(action.table, unique),
                    severity=weight(step, RULE.severity),
                )


def _fix(table: str, unique: ConstraintSpec) -> str:
    name = unique.name or made_up("uq", table, *unique.columns)
    quoted, schema = table_words(table)
    return revisions(
        outside(
            f'op.create_index("{name}", {quoted}, {listed(unique.columns)}, unique=True{schema},'
            " postgresql_concurrently=True)"
        ),
        send(f"ALTER TABLE {sql_name(table)} ADD CONSTRAINT {sql_name(name)} UNIQUE USING INDEX {sql_name(name)}"),
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"

RULE = Rule(
    name="lock-unique",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.create_unique_constraint("uq_users_email", "users", ["email"])',
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.create_index("uq_users_email", "users", ["email"], unique=True, postgresql_concurrently=True)
                """,
                """
                op.execute("ALTER TABLE users ADD CONSTRAINT uq_users_email UNIQUE USING INDEX uq_users_email")
                """,
            ),
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("login", sa.String(40), unique=True))',
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users ADD UNIQUE (email)")', flagged=True),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users ADD COLUMN login text UNIQUE")', flagged=True),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.create_unique_constraint("uq_users_email", ["email"])
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            earlier=(
                """
                with op.get_context().autocommit_block():
                    op.execute("CREATE UNIQUE INDEX CONCURRENTLY ix_email ON users (email)")
                """,
            ),
            body='op.execute("ALTER TABLE users ADD CONSTRAINT uq_email UNIQUE USING INDEX ix_email")',
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
            op.create_unique_constraint("uq_teams_name", "teams", ["name"])
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.create_unique_constraint("uq_users_email", "users", ["email"])',
            sizes={"users": 900},
            flagged=False,
        ),
        Example(
            given=(_USERS, "ALTER TABLE users ADD CONSTRAINT uq_users_email UNIQUE (email)"),
            body='op.drop_constraint("uq_users_email", "users", type_="unique")',
            flagged=False,
        ),
    ),
)

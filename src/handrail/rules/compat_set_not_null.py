"""NOT NULL is set on a column that older application versions leave empty.

What happens: an old version's INSERT that leaves the column out, or writes NULL, fails from then on.

Why: the old version was written for a column that may be empty. Whether it leaves it so, the schema does not tell. A
default stands in where an INSERT leaves the column out, not where it says NULL, as an ORM does for a column whose
default its models do not know: one that this revision sets helps no older version. The rows that are there are
`fail-set-not-null`'s; a column that this revision adds is `compat-insert-not-null`'s.

The safe way: release a version that always writes the column, or that knows of a server default which an earlier
revision has set; wait until no older version runs, then set NOT NULL. A default that was there before, a trigger, or a
validated CHECK that refuses NULL already is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AlterNullable
from handrail.model.finding import Finding
from handrail.model.hazards.long_work import never_null
from handrail.model.hazards.spelling import call, quoted
from handrail.model.hazards.table_change import changes, triggered
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that an older version may leave empty and that the upgrade sets NOT NULL."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AlterNullable) or action.nullable or statement.creates(action.table):
            continue
        table, column = action.table, action.column
        before, after = statement.before.column(table, column), step.after.column(table, column)
        if statement.adds(table, column) or never_null(statement.before, table, column):
            continue
        filled = after is not None and (isinstance(after.default, str) or bool(after.identity))
        known = step.before.column(table, column) or before
        new = known is not None and known.default is None and not known.identity
        if (filled and not new) or triggered(step.after, table, column):
            continue
        yield RULE.at(
            step,
            statement,
            what=f"writes of older versions that leave {table}.{column} empty fail",
            why="it may be NULL for them, and a default does not stand in for a NULL that they send"
            if filled
            else "it may be NULL for them, and has no default that would stand in",
            fix=f"release a version that always writes {column}, wait until no older one runs, and only then\n"
            + call("alter_column", table, quoted(column), "nullable=False"),
            confidence=Confidence.LOW if before is None else Confidence.HIGH,
        )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50), state varchar(9) DEFAULT 'new')"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-set-not-null",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-NOT-NULL",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", nullable=False)',
            flagged=True,
            engines=_PG,
            rewrite=(
                'op.alter_column("users", "email", server_default="")',
                "op.execute(\"UPDATE users SET email = '' WHERE email IS NULL\")",
                'op.alter_column("users", "email", nullable=False)',
            ),
            leaves_out="the default stays",
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "email", nullable=False, server_default="", existing_type=sa.String(50))',
            flagged=True,
            engines=frozenset({"postgresql", "mysql"}),
        ),
        Example(
            given=(_USERS,),
            body="""
            op.alter_column("users", "email", server_default="")
            op.execute("UPDATE users SET email = '' WHERE email IS NULL")
            op.alter_column("users", "email", nullable=False)
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("UPDATE users SET email = '' WHERE email IS NULL")
            op.execute("ALTER TABLE users ALTER COLUMN email SET NOT NULL")
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("email", nullable=False, existing_type=sa.String(50))
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "state", nullable=False)',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=("CREATE TABLE users (id integer, email text, CONSTRAINT email_set CHECK (email IS NOT NULL))",),
            body='op.alter_column("users", "email", nullable=False)',
            flagged=False,
            engines=_PG,
        ),
        Example(
            body='op.create_table("teams", sa.Column("name", sa.Text(), nullable=False))',
            flagged=False,
        ),
    ),
)

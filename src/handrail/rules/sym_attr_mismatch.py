"""`downgrade()` brings something back otherwise than it was.

What happens: a column, constraint or index that was there before comes back with another type, nullability, default,
target, uniqueness or method, or is not deferred any more.

Why: the line was written from memory, or autogenerate did not know the whole of it. The version that is rolled back
to relies on what is not there any more.

The safe way: in `downgrade()` state all that the earlier revisions stated.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.reversal import place_of, undone
from handrail.model.hazards.unseen import otherwise
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each attribute that downgrade sets, and otherwise than it was."""
    up, down, found = revision.upgrade, revision.downgrade, undone(revision)
    if up is None or down is None or found is None:
        return
    for thing, attribute, untouched in found.changed:
        if untouched:
            continue
        yield RULE.at(
            down,
            place_of(revision, thing),
            what=f"after downgrade() the {attribute.name} of {thing} is {attribute.now}; it was {attribute.was}",
            why="the version that is rolled back to relies on what was there",
            fix=f"give {thing} in downgrade() the {attribute.name} it had: {attribute.was}",
        )
    for column, now, was in otherwise(up, down):
        yield RULE.at(
            down,
            revision.line(revision.revision.downgrade_line or 1),
            what=f"after downgrade() the type of column {column} is {now}; upgrade() says that it was {was}",
            why="the version that is rolled back to relies on what was there",
            fix=f"give column {column} in downgrade() the type it had: {was}",
        )


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'
_LOGINS = "CREATE TABLE logins (u int, CONSTRAINT fk_u FOREIGN KEY (u) REFERENCES users (id) ON DELETE CASCADE)"
_DEFERRED = "CREATE TABLE logins (u int CONSTRAINT fk_u REFERENCES users (id) DEFERRABLE INITIALLY DEFERRED)"
_PG = frozenset({"postgresql"})
_DROP = 'op.drop_column("users", "name")'


RULE = Rule(
    name="sym-attr-mismatch",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(
            given=_GIVEN, body=_DROP, downgrade='op.add_column("users", sa.Column("name", sa.String(20)))', flagged=True
        ),
        Example(
            given=_GIVEN,
            body=_DROP,
            downgrade='op.add_column("users", sa.Column("name", sa.String(50), nullable=False, server_default=""))',
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body='op.alter_column("users", "name", type_=sa.Text)',
            downgrade='op.alter_column("users", "name", type_=sa.String(10))',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(*_GIVEN, "CREATE UNIQUE INDEX uq_users_name ON users (name)"),
            body='op.drop_index("uq_users_name", table_name="users")',
            downgrade='op.create_index("uq_users_name", "users", ["name"])',
            flagged=True,
        ),
        Example(
            given=(*_GIVEN, _LOGINS),
            body='op.drop_constraint("fk_u", "logins")',
            downgrade='op.create_foreign_key("fk_u", "logins", "users", ["u"], ["id"])',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(*_GIVEN, _DEFERRED),
            body='op.drop_constraint("fk_u", "logins")',
            downgrade='op.create_foreign_key("fk_u", "logins", "users", ["u"], ["id"])',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(*_GIVEN, _DEFERRED),
            body='op.drop_constraint("fk_u", "logins")',
            downgrade="""
            op.create_foreign_key(
                "fk_u", "logins", "users", ["u"], ["id"], deferrable=True, initially="DEFERRED"
            )
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(*_GIVEN, "CREATE INDEX ix_users_name ON users USING hash (name)"),
            body='op.drop_index("ix_users_name", table_name="users")',
            downgrade='op.create_index("ix_users_name", "users", ["name"])',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(*_GIVEN, "CREATE INDEX ix_users_name ON users USING hash (name)"),
            body='op.drop_index("ix_users_name", table_name="users")',
            downgrade='op.create_index("ix_users_name", "users", ["name"], postgresql_using="hash")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body='op.alter_column("users", "name", type_=sa.Text)',
            downgrade='op.alter_column("users", "name", type_=sa.String(20))',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY, at timestamp DEFAULT CURRENT_TIMESTAMP)",),
            body='op.drop_column("users", "at")',
            downgrade='op.add_column("users", sa.Column("at", sa.TIMESTAMP, server_default=sa.func.now()))',
            flagged=False,
            engines=_PG,
        ),
        Example(given=_GIVEN, body=_EMAIL, downgrade=_NO_EMAIL, flagged=False),
        Example(
            body='op.alter_column("users", "name", existing_type=sa.String(50), type_=sa.String(80))',
            downgrade='op.alter_column("users", "name", existing_type=sa.String(80), type_=sa.String(60))',
            flagged=True,
            engines=_PG,
            not_run="its table was made elsewhere",
        ),
        Example(
            body='op.alter_column("users", "name", existing_type=sa.String(50), type_=sa.String(80))',
            downgrade='op.alter_column("users", "name", existing_type=sa.String(80), type_=sa.String(50))',
            flagged=False,
            engines=_PG,
            not_run="its table was made elsewhere",
        ),
    ),
)

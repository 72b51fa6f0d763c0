"""`downgrade()` leaves something of `upgrade()` undone.

What happens: after up and down the schema is not the one before: a table, column, constraint or index is left over,
or one that upgrade dropped is not back, or an alteration stays.

Why: an operation was added to `upgrade()` later, and not to `downgrade()`. Applying the revision again then fails,
and the schema drifts away from what the revisions say.

The safe way: undo every operation, in the opposite order.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from handrail.model.finding import Finding
from handrail.model.hazards.inventory import Thing, inventories
from handrail.model.hazards.reversal import misnamed, undone
from handrail.model.hazards.undoing import dropping, making, setting_back
from handrail.model.hazards.unseen import left
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each thing that is left over, not back, or still altered."""
    found = undone(revision)
    up, down = revision.upgrade, revision.downgrade
    if found is None or up is None or down is None:
        return
    elsewhere = {(t.kind, t.table) for t in (*found.taken, *found.made)}
    before, middle = inventories(up.before, up.after)
    in_batch = facts.engine == "sqlite"
    meant = {thing for _, _, thing in misnamed(revision, found)}
    for thing in found.left:
        if thing.kind != "enum" and thing not in meant and (thing.kind, thing.table) not in elsewhere:
            told = _finding(
                revision,
                f"downgrade() leaves {thing}, which upgrade() makes",
                dropping(thing, middle.get(thing), in_batch=in_batch),
            )
            # Others may have come to need an extension; IF NOT EXISTS is how it is made.
            yield replace(told, severity=Severity.NOTE) if thing.kind == "extension" else told
    for thing in found.lost:
        if (thing.kind, thing.table) not in elsewhere and not _is_made_up(thing):
            yield _finding(
                revision,
                f"downgrade() does not bring {thing} back",
                making(thing, before.get(thing), in_batch=in_batch),
            )
    for thing, attribute, untouched in found.changed:
        if untouched:
            yield _finding(
                revision,
                f"downgrade() leaves the {attribute.name} of {thing} as upgrade() makes it: {attribute.now},"
                f" not {attribute.was}",
                setting_back(thing, attribute, in_batch=facts.engine != "postgresql"),
            )

    for one in left(up, down):
        yield _finding(revision, f"downgrade() {one.what}", one.fix)


def _is_made_up(thing: Thing) -> bool:
    return not thing.named


def _finding(revision: ReviewedRevision, what: str, fix: str) -> Finding:
    return RULE.in_file(
        revision,
        line=revision.revision.downgrade_line or 1,
        what=what,
        why="after a rollback the schema is not the one before, and applying the revision again may fail",
        fix=f"in downgrade():\n{fix}",
    )


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'
_INDEX = 'op.create_index("ix_users_name", "users", ["name"])'
_PG = frozenset({"postgresql"})

_PARTITIONED = (
    "CREATE TABLE logs (day date NOT NULL, line text) PARTITION BY RANGE (day)",
    "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
)

RULE = Rule(
    name="sym-missing-op",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=f"{_EMAIL}\n{_INDEX}", downgrade=_NO_EMAIL, flagged=True),
        Example(
            given=_GIVEN,
            body=f'{_EMAIL}\nop.create_table("t", sa.Column("id", sa.Integer))',
            downgrade=_NO_EMAIL,
            flagged=True,
        ),
        Example(given=_GIVEN, body=f'{_EMAIL}\nop.drop_column("users", "name")', downgrade=_NO_EMAIL, flagged=True),
        Example(
            given=_GIVEN,
            body=f'{_EMAIL}\nop.alter_column("users", "name", nullable=True)',
            downgrade=_NO_EMAIL,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body=f'{_EMAIL}\nop.create_unique_constraint("uq_users_name", "users", ["name"])',
            downgrade=_NO_EMAIL,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body=f"{_EMAIL}\n{_INDEX}",
            downgrade=f'op.drop_index("ix_users_name", table_name="users")\n{_NO_EMAIL}',
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body='op.add_column("users", sa.Column("email", sa.String(50), index=True))',
            downgrade=_NO_EMAIL,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body='op.create_unique_constraint(None, "users", ["name"])',
            downgrade='op.drop_constraint("users_name_key", "users")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body="""
            op.create_index("uq_users_name", "users", ["name"], unique=True)
            op.execute("ALTER TABLE users ADD CONSTRAINT uq_users_name UNIQUE USING INDEX uq_users_name")
            """,
            downgrade='op.drop_constraint("uq_users_name", "users")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body='op.rename_table("users", "people")',
            downgrade='op.rename_table("people", "users")',
            flagged=False,
        ),
        Example(
            body="""
            op.execute("CREATE TABLE teams (id integer)")
            op.execute(
                "CREATE FUNCTION same() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$"
            )
            op.execute("CREATE TRIGGER same BEFORE UPDATE ON teams FOR EACH ROW EXECUTE FUNCTION same()")
            """,
            downgrade="""
            op.drop_table("teams")
            op.execute("DROP FUNCTION same()")
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            body="""
            op.alter_column("users", "name", new_column_name="called")
            op.add_column("users", sa.Column("email", sa.Text))
            """,
            downgrade='op.drop_column("users", "email")',
            flagged=True,
            engines=_PG,
            not_run="its table was made elsewhere",
        ),
        Example(
            body='op.alter_column("users", "name", new_column_name="called")',
            downgrade='op.alter_column("users", "called", new_column_name="name")',
            flagged=False,
            engines=_PG,
            not_run="its table was made elsewhere",
        ),
        Example(
            given=_GIVEN,
            body="""
            op.execute("CREATE SEQUENCE orders")
            op.execute("ALTER TABLE users ADD COLUMN nth bigint DEFAULT nextval('orders')")
            """,
            downgrade='op.drop_column("users", "nth")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body="""
            op.execute("CREATE SEQUENCE orders")
            op.execute("ALTER TABLE users ADD COLUMN nth bigint DEFAULT nextval('orders')")
            op.execute("ALTER SEQUENCE orders OWNED BY users.nth")
            """,
            downgrade='op.drop_column("users", "nth")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=_PARTITIONED,
            body="""
            op.execute("CREATE INDEX ix_logs ON ONLY logs (line)")
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY ix_logs_1 ON logs_1 (line)")
            op.execute("ALTER INDEX ix_logs ATTACH PARTITION ix_logs_1")
            """,
            downgrade='op.execute("DROP INDEX ix_logs")',
            flagged=False,
            engines=_PG,
        ),
    ),
)

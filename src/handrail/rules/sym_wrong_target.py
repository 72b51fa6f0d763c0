"""`downgrade()` acts on something else than `upgrade()`.

What happens: it drops what upgrade left alone, makes what was never there, or drops what does not exist.

Why: the line was copied, or the name in `upgrade()` was corrected later. The first case loses data that has nothing
to do with the revision; the last one stops the rollback.

The safe way: the same names in both functions.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.inventory import Thing
from handrail.model.hazards.reversal import misnamed, place_of, undone
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each thing that downgrade takes or makes beside upgrade, or drops though it is not there."""
    down, found = revision.downgrade, undone(revision)
    if down is None or found is None:
        return
    for thing in found.taken:
        yield _finding(
            down,
            revision,
            thing,
            f"downgrade() drops {thing}, which upgrade() leaves alone",
            "drop what upgrade() makes, by its name",
        )
    for thing in found.made:
        yield _finding(
            down,
            revision,
            thing,
            f"downgrade() makes {thing}, which was not there before",
            "make what upgrade() drops, by its name",
        )
    told = set()
    for statement, dropped, meant in misnamed(revision, found):
        told.add(id(statement.statement))
        yield RULE.at(
            down,
            statement,
            what=f"downgrade() drops {dropped}, and upgrade() makes {meant}",
            why="what upgrade() made stays, and the server refuses to drop what is not there",
            fix=f"drop the {meant} in downgrade()",
        )
    for statement, action in down.actions():
        missing = _missing(statement, action, down)
        if missing and id(statement.statement) not in told:
            yield RULE.at(
                down,
                statement,
                what=f"downgrade() drops {missing}, which is not there",
                why="the server refuses it, and the rollback stops here",
                fix="drop what upgrade() makes, by its name",
            )


def _missing(statement: ReviewedStatement, action: act.Action, down: ReviewedStep) -> str:
    """Return what is dropped and surely is not there at that moment, nor was when downgrade began: see sym-order."""
    before = statement.before
    match action:
        case act.DropTable(table=table, if_exists=False) if not table.startswith("_alembic_tmp_"):
            known = before.table(table) or down.before.table(table) or not _whole(down)
            return "" if known else f"table {bare(table)}"
        case act.DropColumn(table=table, column=column, if_exists=False):
            owner = before.table(table)
            dropped = before.dropped.get((bare(table), column)) if owner is not None else None
            twice = dropped is not None and dropped[1] == statement.maker
            gone = owner is not None and (owner.complete or twice) and owner.column(column) is None
            return f"column {bare(table)}.{column}" if gone else ""
        case act.DropIndex(name=name, if_exists=False):
            name = bare(name)
            known = before.table_of_index(name) or down.before.table_of_index(name) or not _whole(down)
            unnamed = any(not i.name for t in down.before.tables.values() for i in t.indexes)
            constraint = any(t.constraint(name) for t in down.before.tables.values())
            return "" if known or unnamed or constraint else f"index {name}"
        case act.DropConstraint(table=table, name=name, if_exists=False) if name:
            owner = before.table(table)
            if (
                owner is None
                or not owner.complete
                or owner.constraint(name)
                or any(not c.name for c in owner.constraints)
            ):
                return ""
            was = down.before.table(table)
            return "" if was is not None and was.constraint(name) else f"constraint {name} of {bare(table)}"
    return ""


def _whole(down: ReviewedStep) -> bool:
    """Return whether all that can have an index was seen being made; of a materialized view only its indexes are."""
    before = down.before
    return before.certain and all(table.complete or name in before.built for name, table in before.tables.items())


def _finding(down: ReviewedStep, revision: ReviewedRevision, thing: Thing, what: str, fix: str) -> Finding:
    return RULE.at(
        down,
        place_of(revision, thing),
        what=what,
        why="after a rollback the schema is not the one before",
        fix=fix,
    )


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'
_RENAME = """
op.alter_column(
    "users", "{}", new_column_name="{}", existing_type=sa.String(20), existing_nullable=False
)
"""
_PG = frozenset({"postgresql"})
_TOTALS = (
    "CREATE MATERIALIZED VIEW totals AS SELECT count(*) AS n FROM users",
    "CREATE UNIQUE INDEX uq_totals ON totals (n)",
)


def _key(old: str, new: str) -> str:
    return f"""
    op.execute("ALTER TABLE users DROP CONSTRAINT {old}")
    op.execute("ALTER TABLE users ADD CONSTRAINT {new} PRIMARY KEY (id)")
    """


RULE = Rule(
    name="sym-wrong-target",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_EMAIL, downgrade='op.drop_column("users", "name")', flagged=True),
        Example(given=_GIVEN, body=_EMAIL, downgrade='op.drop_column("users", "mail")', flagged=True, back_fails=True),
        Example(
            given=_GIVEN,
            body='op.create_index("ix_users_name", "users", ["name"])',
            downgrade='op.drop_index("ix_users_nam", table_name="users")',
            flagged=True,
            back_fails=True,
        ),
        Example(
            given=(*_GIVEN, *_TOTALS),
            body=_EMAIL,
            downgrade=f'op.drop_index("ix_users_email", table_name="users")\n{_NO_EMAIL}',
            flagged=True,
            back_fails=True,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body='op.create_table("teams", sa.Column("id", sa.Integer))',
            downgrade='op.drop_table("users")',
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body='op.drop_column("users", "name")',
            downgrade='op.add_column("users", sa.Column("nam", sa.String(20), server_default="", nullable=False))',
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body=_RENAME.format("name", "called"),
            downgrade=_RENAME.format("called", "nam"),
            flagged=True,
        ),
        Example(given=_GIVEN, body=_EMAIL, downgrade=_NO_EMAIL, flagged=False),
        Example(
            given=_GIVEN,
            body=_EMAIL,
            downgrade='op.execute("ALTER TABLE users DROP COLUMN IF EXISTS email")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body=_RENAME.format("name", "called"),
            downgrade=_RENAME.format("called", "name"),
            flagged=False,
        ),
        Example(
            body='op.create_table("coaches", sa.Column("id", sa.Integer, primary_key=True))',
            downgrade='op.drop_table("coach")',
            flagged=True,
            back_fails=True,
        ),
        Example(
            body='op.create_check_constraint("ck_ages", "users", "age > 0")',
            downgrade='op.drop_constraint("ck_ages", "players", type_="check")',
            flagged=True,
            engines=_PG,
            not_run="its tables were made elsewhere",
        ),
        Example(
            given=_GIVEN,
            body=_key("users_pkey", "users_key"),
            downgrade=_key("users_key", "users_pkey"),
            flagged=False,
            engines=_PG,
        ),
    ),
)

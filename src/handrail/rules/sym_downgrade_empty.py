"""`downgrade()` does nothing, and `upgrade()` does something.

What happens: `alembic downgrade` runs nothing and takes the revision out of the version table. The schema stays as
upgrade left it; applying the revision again fails, because everything is there already.

Why: `pass` looks like a success. An emergency rollback believes it.

The safe way: undo each operation in the opposite order. Where nothing can be undone, raise, and say in the header
`Rollback: Requires manual intervention`. Where rows were only added, or empty values filled, say in the header that
they stay; where some were overwritten or deleted, say in a comment there why that needs no way back. The new value of
an enum cannot be taken away, and is let pass.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.downgrade_text import is_missing
from handrail.model.hazards.header_claims import owns_up
from handrail.model.hazards.inventory import differences, inventories
from handrail.model.hazards.reversal import (
    changes_schema,
    only_adds_enum_values,
    owed,
    owners_only,
)
from handrail.model.hazards.touched import does_nothing, tables
from handrail.model.hazards.undoing import dropping, making, setting_back
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding where downgrade is empty and upgrade leaves something behind."""
    up, down = revision.upgrade, revision.downgrade
    missing = is_missing(revision)
    if up is None or not (missing or does_nothing(down)):
        return
    if not missing and (does_nothing(up) or only_adds_enum_values(up)):
        return
    rows, schema = any(True for _ in owed(revision, up)), changes_schema(up)
    if not missing and not schema and (not rows or owns_up(revision.revision.header)):
        return
    yield RULE.in_file(
        revision,
        line=revision.revision.downgrade_line or 1,
        what="downgrade() is missing" if missing else "downgrade() does nothing, and upgrade() does",
        why="the rollback stops here: Alembic finds no such function"
        if missing
        else "a rollback takes the revision out of the version table and leaves the database as it is",
        fix=_fix(up, facts),
        severity=None if schema else Severity.WARNING,
    )


def _fix(up: ReviewedStep, facts: RuleFacts) -> str:
    lines = list(_back(up, facts))
    touched = ", ".join(sorted(tables(up))) or "the database"
    undo = "\n".join(("in downgrade():", *lines)) if lines else f"undo in downgrade() what upgrade() does to {touched}"
    return f"{undo}\nwhere that cannot be, raise there and say\nRollback: Requires manual intervention - how"


def _back(up: ReviewedStep, facts: RuleFacts) -> Iterator[str]:
    """Yield the lines that set back, make again and drop what upgrade changes, drops and makes."""
    before, after = inventories(up.before, up.after)
    in_batch = facts.engine == "sqlite"
    for thing, was in before.items():
        for attribute in differences(was, after[thing]) if thing in after else ():
            yield setting_back(thing, attribute, in_batch=in_batch)
    for thing in owners_only([thing for thing in before if thing not in after]):
        yield making(thing, before[thing], in_batch=in_batch)
    for thing in reversed(owners_only([thing for thing in after if thing not in before])):
        yield dropping(thing, after[thing], in_batch=in_batch)


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'
_NOTHING = "Tidy users.\n\nImpact: users.\nRisk: Medium.\nRollback: Simple - nothing to undo.\nTesting: By hand.\n"


RULE = Rule(
    name="sym-downgrade-empty",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body=_EMAIL, flagged=True),
        Example(given=_GIVEN, body='op.create_table("t", sa.Column("id", sa.Integer))', flagged=True),
        Example(given=_GIVEN, body="op.execute(\"UPDATE users SET name = 'x'\")", flagged=True),
        Example(given=_GIVEN, body=_EMAIL, downgrade='"""Nothing."""\nreturn', flagged=True),
        Example(given=_GIVEN, body=_EMAIL, downgrade=_NO_EMAIL, flagged=False),
        Example(body="pass", flagged=False),
        Example(
            given=("CREATE TABLE t (id integer)", "ALTER TABLE t ADD CONSTRAINT c CHECK (id > 0) NOT VALID"),
            body='op.execute("ALTER TABLE t VALIDATE CONSTRAINT c")',
            flagged=False,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            given=_GIVEN,
            body='op.execute("UPDATE users SET name = lower(name)")',
            downgrade="# nothing to undo: the old code reads both\npass",
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body="op.execute(\"UPDATE users SET name = 'x' WHERE name = 'y'\")",
            docstring=_NOTHING,
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body="op.execute(\"UPDATE users SET name = 'x' WHERE name IS NULL\")",
            docstring=_NOTHING,
            flagged=False,
        ),
        Example(
            given=("CREATE TYPE mood AS ENUM ('good')",),
            body="with op.get_context().autocommit_block():\n    op.execute(\"ALTER TYPE mood ADD VALUE 'bad'\")",
            flagged=False,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            body="""
            op.execute("CREATE TEMPORARY TABLE scratch (id integer)")
            op.execute("DROP TABLE scratch")
            """,
            flagged=False,
        ),
    ),
)

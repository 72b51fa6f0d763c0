"""Rows are lost on the way up and down, and the header does not say so.

What happens: a column or table that upgrade drops comes back empty; downgrade deletes rows that were written since,
or cuts and rounds values that only fit the newer type.

Why: a downgrade gives the schema back, not what was in it. Whoever rolls back finds that out afterwards.

The safe way: copy the values back in `downgrade()`, keep the old column until nobody needs it, or declare it:
`Rollback: Complex - the column comes back empty; restore it from the backup`. That downgrade drops what upgrade
added is expected and not told. A header that says Complex, and not what is lost, leaves a note; so does a loss that the
server refuses.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.header_claims import owns_up, says_what_is_lost
from handrail.model.hazards.row_loss import lost
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each loss that the header does not tell; a note where it only says that undoing is not simple."""
    down, header = revision.downgrade, revision.revision.header
    declared = owns_up(header)
    if down is None or (declared and says_what_is_lost(header)):
        return
    for loss in lost(revision):
        yield RULE.at(
            down,
            loss.statement or revision.line(revision.revision.downgrade_line or 1),
            what=loss.what,
            why="the downgrade gives the schema back, not what was in it"
            if not loss.refused
            else "the downgrade works only while nothing newer was written",
            fix="bring the values back in downgrade(), or say in the header\n"
            "Rollback: Complex - what is lost, and where the backup is",
            severity=Severity.NOTE if loss.refused or declared else None,
        )


_GIVEN = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20) NOT NULL)",)
_EMAIL = 'op.add_column("users", sa.Column("email", sa.String(50)))'
_NO_EMAIL = 'op.drop_column("users", "email")'
_PG = frozenset({"postgresql"})
_BACK = 'op.add_column("users", sa.Column("name", sa.String(20), nullable=False, server_default=""))'


def _lines(*lines: str) -> str:
    return "\n".join(lines)


RULE = Rule(
    name="downgrade-data-loss",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(given=_GIVEN, body='op.drop_column("users", "name")', downgrade=_BACK, flagged=True),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, 'op.execute("UPDATE users SET email = name")', 'op.drop_column("users", "name")'),
            downgrade=_lines(_BACK, _NO_EMAIL),
            flagged=True,
        ),
        Example(
            given=_GIVEN, body=_EMAIL, downgrade=_lines('op.execute("DELETE FROM users")', _NO_EMAIL), flagged=True
        ),
        Example(
            given=("CREATE TABLE prices (id integer, price numeric(8, 2))",),
            body='op.alter_column("prices", "price", type_=sa.Numeric(8, 4))',
            downgrade='op.alter_column("prices", "price", type_=sa.Numeric(8, 2))',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=_GIVEN,
            body=_lines(_EMAIL, 'op.execute("UPDATE users SET email = name")', 'op.drop_column("users", "name")'),
            downgrade=_lines(_BACK, 'op.execute("UPDATE users SET name = email")', _NO_EMAIL),
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body='op.drop_column("users", "name")',
            downgrade=_BACK,
            docstring="Drop.\n\nImpact: users.\nRisk: High.\nRollback: Complex - in the backup.\nTesting: By hand.\n",
            flagged=False,
        ),
        Example(
            given=_GIVEN,
            body='op.drop_column("users", "name")',
            downgrade=_BACK,
            docstring="Drop.\n\nImpact: users.\nRisk: High.\nRollback: Complex - make it anew.\nTesting: By hand.\n",
            flagged=True,
        ),
        Example(given=_GIVEN, body=_EMAIL, downgrade=_NO_EMAIL, flagged=False),
        Example(
            given=_GIVEN,
            body="op.execute(\"INSERT INTO users (id, name) VALUES (1, 'root')\")",
            downgrade='op.execute("DELETE FROM users WHERE id = 1")',
            flagged=False,
        ),
    ),
)

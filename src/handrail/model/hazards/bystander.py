"""Whether anybody else can notice what a statement does to a table."""

from __future__ import annotations

from handrail.model.reviewed import ReviewedStatement, ReviewedStep
from handrail.model.revision import Direction
from handrail.model.rule import RuleFacts
from handrail.model.spec import UNKNOWN
from handrail.model.verdict import Severity

#: Below this many rows a scan, an index build or a rewrite takes a moment.
SMALL_ROWS = 10_000
#: Few rows of more bytes than this are not small: to write them anew takes seconds.
SMALL_BYTES = 16_000_000


def others_use(statement: ReviewedStatement, table: str) -> bool:
    """Return whether others may use that table: not one that this step made, nor a temporary one."""
    known = statement.before.table(table)
    return not statement.creates(table) and not (known is not None and known.temporary)


def others_wait(statement: ReviewedStatement, table: str, facts: RuleFacts) -> bool:
    """Return whether work that grows with the table's rows would keep others waiting.

    A table below SMALL_ROWS and SMALL_BYTES does not count; one whose rows are not known does.
    """
    rows, taken = facts.rows(table), facts.takes(table)
    small = rows is not UNKNOWN and rows < SMALL_ROWS and (taken is UNKNOWN or taken < SMALL_BYTES)
    return not small and others_use(statement, table)


def weight(step: ReviewedStep, severity: Severity) -> Severity:
    """Return the severity of a lock in that step: a downgrade is chosen by a person, with its price in view."""
    return Severity.NOTE if step.direction is Direction.DOWNGRADE else severity


def counted(table: str, facts: RuleFacts) -> str:
    """Return `; users has about 2,000,000 rows`, '' where that is not known."""
    rows = facts.rows(table)
    return "" if rows is UNKNOWN else f"; {table} has about {rows:,} rows"

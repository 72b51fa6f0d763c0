"""A column holds moments without their time zone.

What happens: `timestamp` keeps what the clock on the wall said, not where: two sessions with different `TimeZone` write
the same text for different moments, and the hour that summer time repeats is ambiguous.

Why: `sa.DateTime` is `timestamp without time zone` on PostgreSQL. `timestamptz` takes as much room, and is a moment.

The safe way: `sa.DateTime(timezone=True)`. Right as it is for what is no moment, as the hour at which a shop opens.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_WITHOUT = "timestamp without time zone"


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that upgrade makes a timestamp without time zone."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        for table, column in _plain(action):
            yield RULE.at(
                step,
                statement,
                what=f"{bare(table)}.{column} is a timestamp without time zone",
                why="what it says depends on the TimeZone of the session that wrote it",
                fix=f'sa.Column("{column}", sa.DateTime(timezone=True))',
            )


def _plain(action: act.Action) -> Iterator[tuple[str, str]]:
    match action:
        case act.CreateTable(table=table, columns=columns):
            yield from ((table, c.name) for c in columns if c.type == _WITHOUT)
        case act.AddColumn(table=table, column=column) if column.type == _WITHOUT:
            yield table, column.name
        case act.AlterType(table=table, column=name, type=new) if new == _WITHOUT:
            yield table, name


_USERS = "CREATE TABLE users (id integer PRIMARY KEY)"

RULE = Rule(
    name="style-timestamptz",
    severity=Severity.NOTE,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/datatype-datetime.html#DATATYPE-TIMEZONES",
    findings=findings,
    style=True,
    examples=(
        Example(body='op.create_table("t", sa.Column("at", sa.DateTime))', flagged=True),
        Example(given=(_USERS,), body='op.add_column("users", sa.Column("seen", sa.TIMESTAMP))', flagged=True),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users ADD seen timestamp")', flagged=True),
        Example(
            given=(_USERS,), body='op.add_column("users", sa.Column("seen", sa.DateTime(timezone=True)))', flagged=False
        ),
        Example(body='op.execute("CREATE TABLE t (at timestamptz, day date)")', flagged=False),
    ),
)

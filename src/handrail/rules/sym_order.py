"""`downgrade()` undoes things in the wrong order.

What happens: it drops a table that another one still refers to, an enum that a column still uses, or an index or
column of a table that it has dropped before. The server refuses it.

Why: the lines of `upgrade()` were copied in their own order. What was made last has to go first.

The safe way: the opposite order of `upgrade()`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.action import UNKNOWN
from handrail.model.finding import Finding
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each drop that comes too early or too late."""
    down = revision.downgrade
    if down is None:
        return
    for statement, action in down.actions():
        told = _too_early(statement, action, facts.engine) or _too_late(statement, action, down)
        if told:
            yield RULE.at(
                down,
                statement,
                what=f"downgrade() {told}",
                why="the server refuses it, and the rollback stops here",
                fix="undo in the opposite order of upgrade(): what was made last goes first",
            )


def _too_early(statement: ReviewedStatement, action: act.Action, engine: str) -> str:
    before = statement.before
    match action:
        case act.DropTable(table=table, cascade=False) if engine != "sqlite" and before.table(table) is not None:
            others = sorted({t.name for t, _ in before.referring(table)} - {bare(table)} - _dropped_with(statement))
            return f"drops table {bare(table)} while {', '.join(others)} refers to it" if others else ""
        case act.DropObject(kind="type", name=name, cascade=False) if bare(name) in before.enums:
            users = [
                f"{t.name}.{c.name}"
                for t in before.tables.values()
                for c in t.columns
                if c.type is not UNKNOWN and bare(c.type) == bare(name)
            ]
            return f"drops type {bare(name)} while {', '.join(users)} uses it" if users else ""
    return ""


def _dropped_with(statement: ReviewedStatement) -> set[str]:
    """Return the tables that the same statement drops."""
    return {bare(a.table) for a in statement.actions if isinstance(a, act.DropTable)}


def _too_late(statement: ReviewedStatement, action: act.Action, down: ReviewedStep) -> str:
    match action:
        case act.DropIndex(name=name, if_exists=False):
            owner = down.before.table_of_index(name)
            table = owner.name if owner else ""
            told = f"index {bare(name)}"
        case act.DropColumn(table=table, column=column, if_exists=False):
            told = f"column {bare(table)}.{column}"
        case act.DropConstraint(table=table, name=name, if_exists=False):
            told = f"constraint {name}"
        case _:
            return ""
    was_there = bool(table) and down.before.table(table) is not None
    gone = was_there and statement.before.table(table) is None and bare(table) in statement.before.gone
    return f"drops {told} after its table {bare(table)} is gone" if gone else ""


_BOTH = """
op.create_table("teams", sa.Column("id", sa.Integer, primary_key=True))
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id", name="fk_users_team_id")),
)
op.create_index("ix_users_team_id", "users", ["team_id"])
"""
_NO_INDEX = 'op.drop_index("ix_users_team_id", table_name="users")'
_PG = frozenset({"postgresql"})
_MOOD = """
op.execute("CREATE TYPE mood AS ENUM ('good', 'bad')")
op.execute("CREATE TABLE days (id integer, mood mood)")
"""


RULE = Rule(
    name="sym-order",
    severity=Severity.ERROR,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/tutorial.html#downgrading",
    findings=findings,
    examples=(
        Example(
            body=_BOTH,
            downgrade='op.drop_table("teams")\nop.drop_table("users")',
            flagged=True,
            back_fails=True,
            engines=frozenset({"postgresql", "mysql"}),
        ),
        Example(
            body=_BOTH,
            downgrade=f'op.drop_table("users")\n{_NO_INDEX}\nop.drop_table("teams")',
            flagged=True,
            back_fails=True,
        ),
        Example(
            body=_MOOD,
            downgrade='op.execute("DROP TYPE mood")\nop.drop_table("days")',
            flagged=True,
            back_fails=True,
            engines=_PG,
        ),
        Example(
            body=_BOTH,
            downgrade=f'{_NO_INDEX}\nop.drop_table("users")\nop.drop_table("teams")',
            flagged=False,
            engines=frozenset({"postgresql", "sqlite"}),
        ),
        Example(
            body=_BOTH,
            downgrade='op.execute("DROP TABLE teams CASCADE")\nop.drop_table("users")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            body=_MOOD, downgrade='op.drop_table("days")\nop.execute("DROP TYPE mood")', flagged=False, engines=_PG
        ),
    ),
)

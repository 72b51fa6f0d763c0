"""`downgrade()` undoes things in the wrong order.

What happens: it drops a table that another one still refers to, an enum that a column still uses, or an index or
column of a table that it has dropped before. The server refuses it.

Why: the lines of `upgrade()` were copied in their own order. What was made last has to go first.

The safe way: the opposite order of `upgrade()`.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.in_use import in_use
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each drop that comes too early or too late."""
    down = revision.downgrade
    if down is None or revision.upgrade is None or not revision.upgrade.read:
        return
    for statement, action in down.actions():
        told = in_use(statement, action, facts.engine) or _too_late(statement, action, down)
        if told:
            yield RULE.at(
                down,
                statement,
                what=f"downgrade() {told}",
                why="the server refuses it, and the rollback stops here",
                fix="undo in the opposite order of upgrade(): what was made last goes first",
            )


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
    if _went_with_a_column(statement, action, down):
        return f"drops {told}, which went with its column"
    was_there = bool(table) and down.before.table(table) is not None
    gone = was_there and statement.before.table(table) is None and bare(table) in statement.before.gone
    return f"drops {told} after its table {bare(table)} is gone" if gone else ""


def _went_with_a_column(statement: ReviewedStatement, action: act.Action, down: ReviewedStep) -> bool:
    """Return whether an earlier DROP COLUMN of this function took that index or constraint with it."""
    match action:
        case act.DropIndex(name=name):
            owner = down.before.table_of_index(name)
            gone = owner is not None and statement.before.table_of_index(name) is None
        case act.DropConstraint(table=table, name=name):
            owner, now = down.before.table(table), statement.before.table(table)
            there = owner is not None and owner.constraint(name) is not None
            gone = there and now is not None and now.constraint(name) is None
        case _:
            return False
    if owner is None or not gone:
        return False
    dropped = [earlier for _, earlier in down.actions() if isinstance(earlier, act.DropIndex | act.DropConstraint)]
    first = next(earlier for earlier in dropped if earlier.name == action.name)
    columns = any(c.name for c in owner.columns if statement.before.column(owner.name, c.name) is None)
    return columns and first is action


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
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY)",),
            body="""
            op.add_column("users", sa.Column("nick", sa.Text))
            op.execute("CREATE VIEW nicks AS SELECT nick FROM users")
            """,
            downgrade="""
            op.drop_column("users", "nick")
            op.execute("DROP VIEW nicks")
            """,
            flagged=True,
            back_fails=True,
            engines=_PG,
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY)",),
            body="""
            op.add_column("users", sa.Column("nick", sa.Text))
            op.create_check_constraint("ck_users_nick", "users", "nick <> ''")
            """,
            downgrade="""
            op.drop_column("users", "nick")
            op.drop_constraint("ck_users_nick", "users")
            """,
            flagged=True,
            back_fails=True,
            engines=_PG,
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY)",),
            body="""
            op.add_column("users", sa.Column("nick", sa.Text))
            op.create_index("ix_users_nick", "users", ["nick"])
            """,
            downgrade="""
            op.drop_column("users", "nick")
            op.drop_index("ix_users_nick", table_name="users")
            """,
            flagged=True,
            back_fails=True,
            engines=_PG,
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY)",),
            body="""
            op.add_column("users", sa.Column("nick", sa.Text))
            op.create_index("ix_users_nick", "users", ["nick"])
            """,
            downgrade="""
            op.drop_index("ix_users_nick", table_name="users")
            op.drop_column("users", "nick")
            """,
            flagged=False,
            engines=_PG,
        ),
    ),
)

"""Slow work follows in the transaction that holds a strong lock.

What happens: the first statement takes ACCESS EXCLUSIVE on a table, which would be held for a moment; a later one
builds an index, reads all rows or writes a table anew, and everybody waits for the first table for as long as that
takes. Locks on several tables in one transaction can also meet those of a client the other way round: a deadlock,
which is a note where each lock is held for a moment only.

Why: every lock is held until the transaction ends, and a revision is one transaction.

The safe way: the slow part in a revision of its own, before or after; and one table for each revision.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from handrail.model.action import AddConstraint, CreateIndex, ValidateConstraint
from handrail.model.effect import Blocks
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_use, others_wait, weight
from handrail.model.hazards.long_work import long_work
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

#: So many tables that are kept from everybody at once are worth a word.
_MANY_TABLES = 3


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each transaction that works on while it keeps a table from everybody, or keeps many."""
    for step in revision.steps:
        for _, group in groupby(step.statements, key=lambda s: s.statement.transaction):
            yield from _in_transaction(step, list(group), facts)


def _in_transaction(step: ReviewedStep, statements: list[ReviewedStatement], facts: RuleFacts) -> Iterator[Finding]:
    held: dict[str, ReviewedStatement] = {}
    for statement in statements:
        slow = _slow(statement, statements, facts)
        others = [table for table in held if table != bare(slow) or not _said_elsewhere(statement)]
        if slow and others:
            table = others[0]
            yield RULE.at(
                step,
                statement,
                what=f"all of {slow} is worked through while everybody waits for {table}",
                why=f"the ACCESS EXCLUSIVE lock on {table} is held until the transaction ends",
                fix=f"move this statement into a revision of its own:\n{' '.join(statement.statement.sql.split())}",
                severity=weight(step, RULE.severity),
            )
            return
        held.update({table: statement for table in _locked(step, statement) if table not in held})
    if len(held) >= _MANY_TABLES:
        *first, last = held
        yield RULE.at(
            step,
            held[last],
            what=f"{', '.join(first)} and {last} are kept from everybody in one transaction",
            why="each ACCESS EXCLUSIVE lock is held until the transaction ends, and several together can deadlock",
            fix=f"one revision for each table: {', '.join(held)}",
            severity=Severity.NOTE,
        )


def _slow(statement: ReviewedStatement, statements: list[ReviewedStatement], facts: RuleFacts) -> str:
    """Return the table that a statement works through, '' where it takes a moment."""
    for action in statement.actions:
        table = long_work(statement, action)
        if not table or not others_wait(statement, table, facts):
            continue
        if isinstance(action, ValidateConstraint) and _added_here(action, statements):
            continue  # said by lock-validate-same-txn
        return table
    return ""


def _said_elsewhere(statement: ReviewedStatement) -> bool:
    """Return whether the rule about the statement says that everybody waits for its own table."""
    return not any(isinstance(action, CreateIndex | ValidateConstraint) for action in statement.actions)


def _added_here(action: ValidateConstraint, statements: list[ReviewedStatement]) -> bool:
    added = [a for s in statements for a in s.actions if isinstance(a, AddConstraint) and not a.constraint.validated]
    return any(bare(a.table) == bare(action.table) and a.constraint.name in {"", action.name} for a in added)


def _locked(step: ReviewedStep, statement: ReviewedStatement) -> Iterator[str]:
    """Yield the tables that others use, and go on using, and that a statement keeps from everybody."""
    for effect in statement.effects:
        strong = effect.strong and effect.blocks is Blocks.READS_AND_WRITES and not effect.guessed
        if not strong:
            continue
        owner = statement.before.table_of_index(effect.relation)
        table = bare(owner.name if owner else effect.relation)
        known = step.before.table(table) is not None
        if known and others_use(statement, table) and step.after.table(table) is not None:
            yield table


_SCENE = (
    "CREATE TABLE teams (id integer PRIMARY KEY, name text)",
    "CREATE TABLE users (id integer PRIMARY KEY, team_id integer, email text)",
    "CREATE TABLE games (id integer PRIMARY KEY)",
)
_ADD = 'op.add_column("users", sa.Column("age", sa.Integer))'

RULE = Rule(
    name="lock-many-in-txn",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-DEADLOCKS",
    findings=findings,
    examples=(
        Example(
            given=_SCENE,
            body=f'{_ADD}\nop.create_index("ix_teams_name", "teams", ["name"])',
            flagged=True,
            rewrite=(
                _ADD,
                """
                with op.get_context().autocommit_block():
                    op.create_index("ix_teams_name", "teams", ["name"], postgresql_concurrently=True)
                """,
            ),
        ),
        Example(
            given=(*_SCENE, "ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (team_id) REFERENCES teams NOT VALID"),
            body=f'{_ADD}\nop.execute("ALTER TABLE users VALIDATE CONSTRAINT fk")',
            flagged=True,
        ),
        Example(
            given=_SCENE,
            body="""
            for table in ("users", "teams", "games"):
                op.add_column(table, sa.Column("deleted_at", sa.DateTime))
            """,
            flagged=True,
            rewrite=tuple(
                f'op.add_column("{table}", sa.Column("deleted_at", sa.DateTime))'
                for table in ("users", "teams", "games")
            ),
        ),
        Example(
            given=_SCENE,
            body='op.add_column("users", sa.Column("club_id", sa.Integer, sa.ForeignKey("teams.id")))',
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body=f'{_ADD}\nop.add_column("users", sa.Column("size", sa.Integer))\nop.drop_column("teams", "name")',
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body=f"""
            {_ADD}
            op.create_table("clubs", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text))
            op.create_index("ix_clubs_name", "clubs", ["name"])
            """,
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body=f"""
            {_ADD}
            with op.get_context().autocommit_block():
                op.create_index("ix_teams_name", "teams", ["name"], postgresql_concurrently=True)
            """,
            flagged=False,
        ),
        Example(
            given=(*_SCENE, "ALTER TABLE users ADD CONSTRAINT ck CHECK (email IS NOT NULL) NOT VALID"),
            body="""
            op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck")
            op.alter_column("users", "email", nullable=False)
            op.drop_constraint("ck", "users")
            """,
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body="""
            op.drop_table("users")
            op.drop_table("teams")
            op.drop_table("games")
            """,
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body=f'{_ADD}\nop.create_index("ix_teams_name", "teams", ["name"])',
            sizes={"teams": 40, "users": 2_000_000},
            flagged=False,
        ),
    ),
)

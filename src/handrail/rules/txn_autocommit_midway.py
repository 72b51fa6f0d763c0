"""A revision leaves the transaction midway.

What happens: an `autocommit_block()` commits what ran before it. When a later part fails, the first part stays while
the revision is not noted as applied, and running it again fails on what is there already ("column exists").

Why: only what is in one transaction is undone together.

The safe way: what runs outside the transaction stands alone in its revision; or each part before the last can be
repeated (IF NOT EXISTS, IF EXISTS).
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import weight
from handrail.model.operation import StatementKind
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_CHANGES = frozenset({StatementKind.SCHEMA, StatementKind.DATA})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each function that commits a part which cannot be repeated."""
    for step in revision.steps:
        left = _left_behind(step)
        if left is None:
            yield from _parts_outside(step)
            continue
        outside = next(s for s in step.statements if s.statement.autocommit)
        line = f" (line {left.place.line})" if left.place else ""
        yield RULE.at(
            step,
            outside,
            what=f"{step.direction.value}() commits midway: when a later part fails, {_words(left)}{line} stays, and"
            " the revision cannot be run again",
            why="what ran before a block outside the transaction is committed, the revision is not noted as applied",
            fix=f"put what runs outside the transaction into a revision of its own:\n{_words(outside)}",
            severity=weight(step, RULE.severity),
        )


def _parts_outside(step: ReviewedStep) -> Iterator[Finding]:
    """Yield one finding where several parts run outside the transaction, and one before the last is not repeatable."""
    changes = [s for s in step.statements if s.statement.kind in _CHANGES]
    if not all(s.statement.autocommit for s in changes):
        return
    once = next((s for s in changes[:-1] if not all(map(_repeatable, s.actions))), None)
    if once is not None:
        yield RULE.at(
            step,
            once,
            what=f"{step.direction.value}() has several parts outside the transaction: when a later one fails,"
            f" {_words(once)} stays, and the revision cannot be run again",
            why="each part is committed by itself, the revision is noted as applied at the end",
            fix="give each part a revision of its own, or make it repeatable: IF NOT EXISTS, IF EXISTS",
            severity=Severity.NOTE,
        )


def _left_behind(step: ReviewedStep) -> ReviewedStatement | None:
    """Return the first change that stays when the last part fails and cannot be repeated, None where there is none."""
    changes = [s for s in step.statements if s.statement.kind in _CHANGES]
    if len({s.statement.autocommit for s in changes}) <= 1:
        return None
    last = changes[-1].statement.transaction
    committed = (s for s in changes if s.statement.transaction != last)
    return next((s for s in committed if not all(map(_repeatable, s.actions))), None)


def _repeatable(action: Action) -> bool:
    match action:
        case (
            act.AddColumn(if_not_exists=lenient)
            | act.AddEnumValue(if_not_exists=lenient)
            | act.CreateIndex(if_not_exists=lenient)
            | act.CreateTable(if_not_exists=lenient)
            | act.DropColumn(if_exists=lenient)
            | act.DropConstraint(if_exists=lenient)
            | act.DropIndex(if_exists=lenient)
            | act.DropObject(if_exists=lenient)
            | act.DropTable(if_exists=lenient)
            | act.CreateObject(replaces=lenient)
        ):
            return lenient
        case act.WriteRows(verb=verb, where=where):
            return verb in {act.Verb.DELETE, act.Verb.TRUNCATE} or (verb is act.Verb.UPDATE and bool(where))
        case (
            act.AlterDefault()
            | act.AlterNullable()
            | act.AlterType()
            | act.LockTable()
            | act.Other()
            | act.Reindex()
            | act.SetSetting()
            | act.ValidateConstraint()
        ):
            return True
        case _:
            return False


def _words(statement: ReviewedStatement) -> str:
    sql = " ".join(statement.statement.sql.split())
    return sql if len(sql) <= _LONGEST else sql[: _LONGEST - 3] + "..."


_LONGEST = 70
_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_BUILD = """
with op.get_context().autocommit_block():
    op.create_index("ix_users_name", "users", ["name"], postgresql_concurrently=True)
"""

RULE = Rule(
    name="txn-autocommit-midway",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://alembic.sqlalchemy.org/en/latest/api/runtime.html#alembic.runtime.migration.MigrationContext.autocommit_block",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body=f'op.add_column("users", sa.Column("name", sa.Text)){_BUILD}',
            flagged=True,
            rewrite=('op.add_column("users", sa.Column("name", sa.Text))', _BUILD),
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY ix ON users (email)")
            op.add_column("users", sa.Column("name", sa.Text))
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("UPDATE users SET email = email || '.invalid'")
            with op.get_context().autocommit_block():
                op.execute("VACUUM users")
            """,
            flagged=True,
        ),
        Example(given=(_USERS, "ALTER TABLE users ADD name text"), body=_BUILD, flagged=False),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("DROP INDEX CONCURRENTLY IF EXISTS ix")
                op.execute("CREATE INDEX CONCURRENTLY ix ON users (email)")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, "CREATE TYPE mood AS ENUM ('sad')"),
            body="""
            with op.get_context().autocommit_block():
                op.execute("ALTER TYPE mood ADD VALUE IF NOT EXISTS 'calm'")
            op.add_column("users", sa.Column("mood", sa.Enum("sad", "calm", name="mood", create_type=False)))
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("SET lock_timeout = '2s'")
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY ix ON users (email)")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY ix ON users (email)")
                op.execute("CREATE INDEX CONCURRENTLY ix_lower ON users (lower(email))")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix ON users (email)")
                op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS ix_lower ON users (lower(email))")
            """,
            flagged=False,
        ),
    ),
)

"""A revision begins or ends a transaction by itself.

What happens: COMMIT makes what ran so far stay, whatever happens next, while the revision is not noted as applied: a
second run meets half of itself. What follows runs in no transaction, and BEGIN inside one does nothing or fails.

Why: Alembic opens a transaction around each revision, and writes its version in it. It does not see SQL that ends it.

The safe way: leave it out. What must stand outside the transaction goes into `autocommit_block()`, what must be kept
apart into a revision of its own, and what may fail alone into `op.get_bind().begin_nested()`.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator

from handrail.model.action import TransactionControl
from handrail.model.finding import Finding
from handrail.model.hazards.syntax import syntax
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_BEGINS = frozenset({"BEGIN", "START"})
_INSIDE = ("SAVEPOINT", "RELEASE", "ROLLBACK_TO", "ROLLBACK TO")


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each BEGIN, COMMIT or ROLLBACK that the revision sends."""
    for line, word in _by_code(revision.revision.source):
        apart = word == "begin"
        yield RULE.in_file(
            revision,
            line=line,
            what="the revision begins a transaction on a connection of its own"
            if apart
            else f"the revision calls {word}() on the connection that Alembic has begun a transaction on",
            why="it does not see what Alembic's transaction has done so far, may wait for its locks for ever, and what"
            " it does stays"
            if apart
            else "what ran so far stays, whatever happens next, while the revision is not noted as applied",
            fix=f"remove {word}(); put what must stand outside the transaction into\n"
            "with op.get_context().autocommit_block():\n    ...",
        )
    for step in revision.steps:
        for statement in step.statements:
            words = [a.word.upper() for a in statement.actions if isinstance(a, TransactionControl)]
            ends = [word for word in words if word not in _BEGINS and not word.startswith(_INSIDE)]
            begins = [word for word in words if word in _BEGINS]
            if not ends and not begins:
                continue
            word = (ends or begins)[0]
            yield RULE.at(
                step,
                statement,
                what=f"the revision sends {word} inside the transaction that Alembic has opened",
                why="what ran so far is ended with it, while the revision is not noted as applied"
                if ends
                else "Alembic has begun one already: it does nothing, or fails",
                fix=f"remove {word}; put what must stand outside the transaction into\n"
                "with op.get_context().autocommit_block():\n    ...",
                severity=None if ends else Severity.WARNING,
            )


def _by_code(source: str) -> Iterator[tuple[int, str]]:
    """Yield where commit() or rollback() is called on Alembic's connection, or begin() on its engine.

    A Session's ends no transaction here.

    Source: https://docs.sqlalchemy.org/en/20/orm/session_api.html, join_transaction_mode.
    """
    said = any(word in source for word in (".commit(", ".rollback(", ".engine."))
    tree = syntax(source) if said else None
    if tree is None:
        return
    binds = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and _is_bind(node.value)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr="commit" | "rollback" as word), args=[], lineno=line):
                pass
            case ast.Call(
                func=ast.Attribute(value=ast.Attribute(value=owner, attr="engine"), attr="begin" as word),
                args=[],
                lineno=line,
            ):
                pass
            case _:
                continue
        if _is_bind(owner) or (isinstance(owner, ast.Name) and owner.id in binds):
            yield line, word


def _is_bind(node: ast.expr) -> bool:
    """Return whether that is the connection: op.get_bind(), op.get_context().connection or .bind."""
    match node:
        case ast.Call(func=ast.Attribute(attr="get_bind")):
            return True
        case ast.Attribute(value=ast.Call(func=ast.Attribute(attr="get_context")), attr="connection" | "bind"):
            return True
        case _:
            return False


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_POSTGRESQL = frozenset({"postgresql"})

RULE = Rule(
    name="txn-nesting",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite"}),
    source="https://alembic.sqlalchemy.org/en/latest/api/runtime.html#alembic.runtime.migration.MigrationContext.autocommit_block",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body="""
            with op.get_bind().engine.begin() as other:
                other.execute(sa.text("SELECT 1"))
            """,
            flagged=True,
            engines=_POSTGRESQL,
        ),
        Example(
            given=(_USERS,),
            body="""
            if op.get_bind().engine.dialect.name == "postgresql":
                op.add_column("users", sa.Column("name", sa.Text))
            """,
            flagged=False,
            engines=_POSTGRESQL,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("name", sa.Text))
            op.execute("COMMIT")
            """,
            flagged=True,
            engines=_POSTGRESQL,
            rewrite=('op.add_column("users", sa.Column("name", sa.Text))',),
        ),
        Example(
            given=(_USERS,),
            body='op.execute("BEGIN; UPDATE users SET email = lower(email); COMMIT;")',
            flagged=True,
            engines=_POSTGRESQL,
        ),
        Example(given=(_USERS,), body='op.execute("COMMIT")', flagged=True, engines=frozenset({"sqlite"})),
        Example(
            given=(_USERS,),
            body='op.execute("BEGIN; UPDATE users SET email = lower(email)")',
            flagged=True,
            engines=_POSTGRESQL,
        ),
        Example(
            given=(_USERS,),
            body='op.get_bind().execute(sa.text("ROLLBACK"))',
            flagged=True,
            not_run="the transaction of the version table is gone, and drivers go on differently",
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("UPDATE users SET email = lower(email) WHERE id < 1000")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("SAVEPOINT before_names")
            op.execute("UPDATE users SET email = lower(email) WHERE id < 1000")
            op.execute("RELEASE SAVEPOINT before_names")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute(
                "CREATE FUNCTION nothing() RETURNS void LANGUAGE plpgsql AS $$ BEGIN PERFORM 1; END $$"
            )
            """,
            flagged=False,
            engines=_POSTGRESQL,
        ),
        Example(
            given=(_USERS,),
            body="""
            conn = op.get_bind()
            op.add_column("users", sa.Column("name", sa.Text))
            conn.commit()
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            from sqlalchemy.orm import Session

            session = Session(bind=op.get_bind())
            session.execute(sa.text("UPDATE users SET email = '' WHERE id = 1"))
            session.commit()
            """,
            flagged=False,
        ),
    ),
)

"""A name is longer than PostgreSQL keeps.

What happens: an operation of Alembic with such a name fails before it is sent. Written as SQL, the name is cut to 63
bytes with a notice, and a later statement with the full name of something else may mean the same object.

Why: identifiers have at most 63 bytes (NAMEDATALEN - 1). Letters outside ASCII take two bytes or more.

The safe way: a shorter name, at the place where it is made and in the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.operation import Reading, StatementKind
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_LONGEST_BYTES = 63
#: What holds no identifiers: strings, dollar-quoted bodies and comments.
_NO_NAMES = re.compile(r"'(?:[^']|'')*'|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each name of the upgrade that is too long: an error in an operation, a warning in SQL."""
    step = revision.upgrade
    if step is None:
        return
    yield from _of_operations(step)
    for statement in step.statements:
        if statement.statement.kind is not StatementKind.SCHEMA:
            continue
        for name in dict.fromkeys(_names(statement.statement.sql)):
            kept = name.encode()[:_LONGEST_BYTES].decode(errors="ignore")
            yield RULE.at(
                step,
                statement,
                what=f"{name} becomes {kept}",
                why=f"the server keeps {_LONGEST_BYTES} bytes of a name, and this has {len(name.encode())}",
                fix=f"a name of at most {_LONGEST_BYTES} bytes, for example {kept[:50].rstrip('_')}",
                severity=Severity.WARNING,
            )


def _of_operations(step: ReviewedStep) -> Iterator[Finding]:
    if step.reading is not Reading.FAILED:
        return
    for operation in step.operations:
        for name in filter(None, (operation.subject, operation.table)):
            if len(name.encode()) > _LONGEST_BYTES and name in step.reason:
                yield RULE.at(
                    step,
                    operation,
                    what=f"{name} is too long for a name: {step.direction.value}() fails here",
                    why=f"SQLAlchemy refuses names of more than {_LONGEST_BYTES} characters for PostgreSQL",
                    fix=f"a name of at most {_LONGEST_BYTES} bytes, for example {name[:50].rstrip('_')}",
                )


def _names(sql: str) -> Iterator[str]:
    for found in _NAME.finditer(_NO_NAMES.sub(" ", sql)):
        name = found[1] or found[2]
        if len(name.encode()) > _LONGEST_BYTES:
            yield name


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_LONG = "ix_users_email_for_the_list_of_all_those_who_have_not_been_seen_for_long"

RULE = Rule(
    name="fail-identifier-length",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-syntax-lexical.html#SQL-SYNTAX-IDENTIFIERS",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body=f'op.create_index("{_LONG}", "users", ["email"])',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body=f'op.execute("CREATE INDEX {_LONG} ON users (email)")',
            flagged=True,
            rewrite=(f'op.execute("CREATE INDEX {_LONG[:50]} ON users (email)")',),
            leaves_out="the name is shorter",
        ),
        Example(
            body="op.execute('CREATE TABLE \"" + "ä" * 40 + "\" (id integer)')",
            flagged=True,
        ),
        Example(given=(_USERS,), body='op.create_index("ix_users_email", "users", ["email"])', flagged=False),
        Example(
            given=(_USERS,),
            body=f"op.execute(\"COMMENT ON COLUMN users.email IS '{_LONG * 2}'\")",
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=f'op.execute("CREATE INDEX {_LONG[:63]} ON users (email) /* {_LONG} */")',
            flagged=False,
        ),
    ),
)

"""A name is longer than the server keeps.

What happens: on PostgreSQL an operation of Alembic with such a name fails before it is sent; written as SQL, the name
is cut to 63 bytes with a notice, and a later statement with the full name of something else may mean the same object.
MySQL and MariaDB refuse the statement: `Identifier name ... is too long`.

Why: PostgreSQL's identifiers have at most 63 bytes (NAMEDATALEN - 1), in which letters outside ASCII take two or more;
those of MySQL and MariaDB have at most 64 characters.

The safe way: a shorter name, at the place where it is made and in the models.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.operation import Reading, StatementKind
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_LONGEST_BYTES = 63
#: https://dev.mysql.com/doc/refman/8.0/en/identifier-length.html
_MOST_CHARACTERS = 64
#: What holds no identifiers: strings, dollar-quoted bodies and comments.
_NO_NAMES = re.compile(r"'(?:[^']|'')*'|(\$\w*\$).*?\1|--[^\n]*|/\*.*?\*/", re.DOTALL)
_NAME = re.compile(r'"((?:[^"]|"")+)"|([^\W\d]\w*)')


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each name of the upgrade that is too long: a warning where PostgreSQL cuts it, else an error."""
    step = revision.upgrade
    if step is None:
        return
    if facts.engine == "mysql":
        yield from _refused(step)
        return
    yield from _of_operations(step)
    for statement, names in _of_schema(step):
        for name in names:
            if len(name.encode()) <= _LONGEST_BYTES:
                continue
            kept = name.encode()[:_LONGEST_BYTES].decode(errors="ignore")
            yield RULE.at(
                step,
                statement,
                what=f"{name} becomes {kept}",
                why=f"the server keeps {_LONGEST_BYTES} bytes of a name, and this has {len(name.encode())}",
                fix=f"a name of at most {_LONGEST_BYTES} bytes, for example {kept[:50].rstrip('_')}",
                severity=Severity.WARNING,
            )


def _refused(step: ReviewedStep) -> Iterator[Finding]:
    for statement, names in _of_schema(step):
        for name in names:
            if len(name) > _MOST_CHARACTERS:
                yield RULE.at(
                    step,
                    statement,
                    what=f"{name} is too long for a name: {step.direction.value}() fails here",
                    why=f"the server takes {_MOST_CHARACTERS} characters, and this has {len(name)}",
                    fix=f"a name of at most {_MOST_CHARACTERS} characters, for example {name[:50].rstrip('_')}",
                )


def _of_schema(step: ReviewedStep) -> Iterator[tuple[ReviewedStatement, tuple[str, ...]]]:
    """Yield each statement that changes the schema, with the names in it."""
    for statement in step.statements:
        if statement.statement.kind is StatementKind.SCHEMA:
            yield statement, tuple(dict.fromkeys(_names(statement.statement.sql)))


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
        yield found[1] or found[2]


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_PG = frozenset({"postgresql"})
_LONG = "ix_users_email_for_the_list_of_all_those_who_have_not_been_seen_for_long"

RULE = Rule(
    name="fail-identifier-length",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "mysql"}),
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
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body=f'op.execute("CREATE INDEX {_LONG} ON users (email)")',
            flagged=True,
            fails=True,
            engines=frozenset({"mysql"}),
        ),
        Example(
            body="op.execute('CREATE TABLE \"" + "ä" * 40 + "\" (id integer)')",
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body=f'op.execute("CREATE INDEX `{_LONG[:64]}` ON users (email)")',
            flagged=False,
            engines=frozenset({"mysql"}),
        ),
        Example(given=(_USERS,), body='op.create_index("ix_users_email", "users", ["email"])', flagged=False),
        Example(
            given=(_USERS,),
            body=f"op.execute(\"COMMENT ON COLUMN users.email IS '{_LONG * 2}'\")",
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body=f'op.execute("CREATE INDEX {_LONG[:63]} ON users (email) /* {_LONG} */")',
            flagged=False,
        ),
    ),
)

"""A VARCHAR has no length, which MySQL and MariaDB want.

What happens: the revision fails before it sends anything: `VARCHAR requires a length on dialect mysql`. What it did
before that line stays, since every DDL statement is committed by itself.

Why: the length is part of the type: it counts against the size of a row and of an index. PostgreSQL and SQLite do
without, so a revision that works there may not work here.

The safe way: give it a length, or take `sa.Text`, which has none and cannot be indexed as a whole.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.operation import Place, Reading
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

#: SQLAlchemy's own words, lib/sqlalchemy/dialects/mysql/base.py; where it is, Alembic says before.
_REFUSED = re.compile(
    r"(?:\(in table '(?P<table>[^']*)', column '(?P<column>[^']*)'\): )?"
    r"(?P<type>N?VARCHAR|VARBINARY) requires a length on dialect"
)
_LINE = re.compile(r"line (\d+): ")


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where a function cannot be written as MySQL's SQL for want of a length."""
    for step in revision.steps:
        refused = _REFUSED.search(step.reason) if step.reading is Reading.FAILED else None
        if refused is None:
            continue
        column = f"{refused['table']}.{refused['column']}" if refused["column"] else "a column"
        yield RULE.at(
            step,
            _place(revision, step),
            what=f"{column} is a {refused['type']} without a length: the revision fails here",
            why="on MySQL and MariaDB the length is part of the type",
            fix="sa.String(255), or sa.Text() where no length can be told",
        )


def _place(revision: ReviewedRevision, step: ReviewedStep) -> Place | None:
    line = _LINE.match(step.reason)
    if line:
        return revision.line(int(line[1]))
    return step.operations[-1].place if step.operations else None


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40))"

RULE = Rule(
    name="mysql-varchar-length",
    severity=Severity.ERROR,
    engines=frozenset({"mysql"}),
    source="https://docs.sqlalchemy.org/en/20/core/type_basics.html#sqlalchemy.types.String",
    findings=findings,
    examples=(
        Example(
            body='op.create_table("tags", sa.Column("id", sa.Integer), sa.Column("name", sa.String()))',
            flagged=True,
            fails=True,
            rewrite=('op.create_table("tags", sa.Column("id", sa.Integer), sa.Column("name", sa.String(255)))',),
            leaves_out="the table, which the flagged body does not make",
        ),
        Example(
            given=(_USERS,),
            body='op.add_column("users", sa.Column("email", sa.String))',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "name", existing_type=sa.String(40), type_=sa.String())',
            flagged=True,
            fails=True,
        ),
        Example(given=(_USERS,), body='op.add_column("users", sa.Column("email", sa.String(255)))', flagged=False),
        Example(given=(_USERS,), body='op.add_column("users", sa.Column("note", sa.Text))', flagged=False),
        Example(given=(_USERS,), body='op.add_column("users", sa.Column("mood", sa.Enum("a", "b")))', flagged=False),
    ),
)

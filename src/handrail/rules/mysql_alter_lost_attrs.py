"""A column is stated anew, and what is not stated of it is lost.

What happens: on MySQL and MariaDB `op.alter_column` sends MODIFY or CHANGE, which replaces the whole definition of the
column. NOT NULL, the default, AUTO_INCREMENT, ON UPDATE, the comment and the collation are gone where they are not said
again: rows with NULL get in, INSERTs fail for want of a default.

Why: MODIFY has no way to say "as it was". Alembic writes what the call names (`nullable`, `existing_nullable`,
`existing_server_default`, `existing_comment`, `existing_autoincrement`), and NULL where it names nothing.

The safe way: name in the call what is to stay.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from handrail.model.action import RedefineColumn
from handrail.model.finding import Finding
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN, ColumnSpec, Unknown
from handrail.model.verdict import Confidence, Severity

_ON_UPDATE = re.compile(r"\s*ON UPDATE .*", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Lost:
    """One attribute that is gone: in words, as an argument of alter_column, as SQL, and as the call would name it."""

    words: str
    argument: str
    sql: str
    name: str
    matters: bool = True


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that loses what it had, or may where its definition was not seen."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, RedefineColumn):
                continue
            stated = _stated(statement)
            old = statement.before.column(action.table, action.column)
            if old is None:
                if stated is not None and "nullable" not in stated:
                    yield _unseen(step, statement, action)
                continue
            had = _had_before(revision, step, action)
            lost = [each for each in _lost(old, action.new) if each.name not in (stated or _said(statement))]
            lost = [each for each in lost if had is None or each.name in had]
            if lost:
                yield _finding(step, statement, action, lost)


def _had_before(revision: ReviewedRevision, step: ReviewedStep, action: RedefineColumn) -> frozenset[str] | None:
    """Return what a downgrade takes from the column that it had before upgrade too; None where all of it counts."""
    if step is not revision.downgrade or revision.upgrade is None:
        return None
    before = revision.upgrade.before.column(action.table, action.new.name)
    return frozenset(each.name for each in _lost(before, action.new)) if before is not None else None


def _stated(statement: ReviewedStatement) -> frozenset[str] | None:
    """Return what the call of alter_column names, None where no such call sent the statement."""
    details = dict(statement.operation.details) if statement.operation else {}
    return frozenset(details["states"].split(",")) if "states" in details else None


def _said(statement: ReviewedStatement) -> frozenset[str]:
    """Return what raw SQL takes away in so many words: NULL without NOT, DEFAULT NULL."""
    text = " ".join(statement.statement.sql.upper().split())
    plain = text.replace("DEFAULT NULL", "")
    found = {"nullable"} if re.search(r"(?<!NOT) NULL\b", plain) else set()
    return frozenset(found | ({"server_default"} if "DEFAULT NULL" in text else set()))


def _lost(old: ColumnSpec, new: ColumnSpec) -> Iterator[_Lost]:
    if old.nullable is False and new.nullable is True:
        yield _Lost(words="NOT NULL", argument="existing_nullable=False", sql="NOT NULL", name="nullable")
    if isinstance(old.default, str):
        yield from _lost_default(old.default, new.default)
    if old.identity and not new.identity and not new.default:
        yield _Lost(
            words="AUTO_INCREMENT",
            argument="existing_autoincrement=True",
            sql="AUTO_INCREMENT",
            name="autoincrement",
        )
    if old.comment and not new.comment:
        yield _Lost(
            words="its comment",
            argument=f"existing_comment={old.comment!r}",
            sql=f"COMMENT {_quoted(old.comment)}",
            name="comment",
            matters=False,
        )
    if old.collation and not new.collation and _is_text(new.type):
        words = f"COLLATE {old.collation}" if "_" in old.collation else f"CHARACTER SET {old.collation}"
        argument = f'the collation in the type: sa.String(..., collation="{old.collation}")'
        yield _Lost(words=words, argument=argument, sql=words, name="collation", matters=False)


def _lost_default(old: str, new: str | Unknown | None) -> Iterator[_Lost]:
    plain = _ON_UPDATE.sub("", old)
    updates = old[len(plain) :].strip()
    if new is UNKNOWN:
        return
    if plain and not new:
        argument = f"existing_server_default=sa.text({old!r})"
        yield _Lost(words=f"its default {plain}", argument=argument, sql=f"DEFAULT {old}", name="server_default")
    elif updates and "ON UPDATE" not in str(new).upper():
        argument = f"server_default=sa.text({f'{new or plain} {updates}'.strip()!r})"
        yield _Lost(words=updates, argument=argument, sql=updates, name="on_update")


def _is_text(type_: str | Unknown) -> bool:
    return isinstance(type_, str) and type_.startswith(
        ("varchar", "char", "text", "tinytext", "mediumtext", "longtext")
    )


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _finding(step: ReviewedStep, statement: ReviewedStatement, action: RedefineColumn, lost: list[_Lost]) -> Finding:
    column = f"{action.table}.{action.column}"
    fix = (
        f'op.alter_column("{action.table}", "{action.column}", ..., {", ".join(each.argument for each in lost)})'
        if _stated(statement) is not None
        else f"say in the statement too: {' '.join(each.sql for each in lost)}"
    )
    return RULE.at(
        step,
        statement,
        what=f"{column} loses {_listed([each.words for each in lost])}",
        why="MODIFY and CHANGE replace the column's whole definition; what is not said again is gone",
        fix=fix,
        severity=RULE.severity if any(each.matters for each in lost) else Severity.WARNING,
    )


def _listed(words: list[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


def _unseen(step: ReviewedStep, statement: ReviewedStatement, action: RedefineColumn) -> Finding:
    return RULE.at(
        step,
        statement,
        what=f"{action.table}.{action.column} becomes nullable, and loses its default and comment, if it has any",
        why="MODIFY and CHANGE replace the column's whole definition, and what it was is not seen in the revisions",
        fix="name in the call what is to stay: existing_nullable, existing_server_default, existing_comment",
        severity=Severity.WARNING,
        confidence=Confidence.LOW,
    )


_USERS = """
CREATE TABLE users (
  id integer AUTO_INCREMENT PRIMARY KEY, name varchar(40) NOT NULL DEFAULT 'none' COMMENT 'as shown', note varchar(40),
  seen timestamp NULL DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
)
"""


def _example(body: str, *, flagged: bool, rewrite: str = "") -> Example:
    return Example(given=(_USERS,), body=body, flagged=flagged, rewrite=(rewrite,) if rewrite else ())


RULE = Rule(
    name="mysql-alter-lost-attrs",
    severity=Severity.ERROR,
    engines=frozenset({"mysql"}),
    source="https://dev.mysql.com/doc/refman/8.0/en/alter-table.html#alter-table-redefine-column",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "name", existing_type=sa.String(40), type_=sa.String(60))',
            flagged=True,
            rewrite=(
                """
                op.alter_column(
                    "users", "name", existing_type=sa.String(40), type_=sa.String(60), existing_nullable=False,
                    existing_server_default=sa.text("'none'"), existing_comment="as shown"
                )
                """,
            ),
            leaves_out="NOT NULL, the default and the comment stay, which the flagged body loses",
        ),
        _example('op.alter_column("users", "name", existing_type=sa.String(40), comment="shown")', flagged=True),
        _example(
            'op.alter_column("users", "name", new_column_name="label", existing_type=sa.String(40),'
            ' existing_nullable=False, existing_server_default="none")',
            flagged=True,
        ),
        _example('op.execute("ALTER TABLE users MODIFY name varchar(60) NOT NULL")', flagged=True),
        _example('op.execute("ALTER TABLE users CHANGE COLUMN id id bigint NOT NULL")', flagged=True),
        _example('op.execute("ALTER TABLE users MODIFY seen timestamp NULL")', flagged=True),
        _example(
            """
            with op.batch_alter_table("users") as batch:
                batch.alter_column("name", existing_type=sa.String(40), type_=sa.String(60), nullable=False)
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="op.execute(\"ALTER TABLE users MODIFY note varchar(40) NOT NULL DEFAULT '' COMMENT 'long'\")",
            downgrade='op.execute("ALTER TABLE users MODIFY note varchar(40)")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="op.execute(\"ALTER TABLE users MODIFY name varchar(60) NOT NULL DEFAULT 'none' COMMENT 'as shown'\")",
            downgrade='op.execute("ALTER TABLE users MODIFY name varchar(40) NOT NULL")',
            flagged=True,
        ),
        Example(
            body='op.alter_column("elsewhere", "name", existing_type=sa.String(40), type_=sa.String(60))',
            flagged=True,
            not_run="the table was made outside of the revisions",
        ),
        Example(
            body="""
            op.alter_column(
                "elsewhere", "name", existing_type=sa.String(40), type_=sa.String(60), existing_nullable=True
            )
            """,
            flagged=False,
            not_run="the table was made outside of the revisions",
        ),
        _example('op.alter_column("users", "note", existing_type=sa.String(40), type_=sa.String(60))', flagged=False),
        _example(
            'op.alter_column("users", "name", existing_type=sa.String(40), nullable=True, server_default=None,'
            ' existing_comment="as shown")',
            flagged=False,
        ),
        _example('op.alter_column("users", "name", server_default="other")', flagged=False),
        _example('op.execute("ALTER TABLE users RENAME COLUMN name TO label")', flagged=False),
        _example(
            "op.execute(\"ALTER TABLE users MODIFY name varchar(60) NULL DEFAULT NULL COMMENT 'as shown'\")",
            flagged=False,
        ),
    ),
)

"""The old form is dropped in the revision that adds and fills the new one.

What happens: old versions fail from the commit on, new ones fail before it, and what old versions write between the
copy and the switch is lost. A rollback of the application finds its column or table gone.

Why: expand and contract are two moments, with the change of versions between them; in one revision there is no such
moment. This rule speaks for `compat-drop-column`, `compat-drop-table`, `data-drop-column` and `data-drop-table`,
which are silent at such a drop.

Rows that move to a table of the same revision are told too: old versions find theirs empty. CREATE TABLE ... AS SELECT
is a copy to keep, as `data-drop-table` and `data-drop-column` advise, not a new form: there `compat-drop-table` and
`compat-drop-column` speak.

The safe way: three revisions. Expand: add the new form and a trigger that keeps both alike. Copy in batches.
Contract: drop the old form once no version uses it.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import DropColumn, DropTable, Verb, WriteRows
from handrail.model.finding import Finding
from handrail.model.hazards.scenes import remade
from handrail.model.hazards.spelling import call, quoted, send, sql_name
from handrail.model.hazards.table_change import changes, everywhere, moved, stands_in
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column or table that the upgrade drops after copying it into something new."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        match action:
            case DropColumn(table=table, column=column) if not statement.adds(table, column):
                old, drop = f"{table}.{column}", call("drop_column", table, quoted(column))
            case DropTable(table=table):
                column, old, drop = "", table, call("drop_table", table)
            case WriteRows(verb=Verb.DELETE, table=table, where=where) if everywhere(where) and _inserted(step, table):
                yield _emptied(step, statement, table)
                continue
            case _:
                continue
        if statement.creates(table) or not moved(step, table, column) or stands_in(step, table):
            continue
        if not column and step.after.table(table) is not None:
            continue
        yield RULE.at(
            step,
            statement,
            what=f"{old} is dropped in the revision that copies it elsewhere",
            why="between the two, all versions must have moved over; in one revision there is no between",
            fix="end this revision before the drop, and keep both forms alike with a trigger; in a later release\n"
            + drop,
        )


def _inserted(step: ReviewedStep, table: str) -> bool:
    """Return whether the step inserts rows of that table into one that it makes; CREATE TABLE AS is a copy to keep."""
    return any(
        isinstance(action, WriteRows)
        and action.verb is Verb.INSERT
        and statement.creates(action.table)
        and bare(table) in {bare(name) for name in action.reads}
        for statement, action in step.actions()
    )


def _emptied(step: ReviewedStep, statement: ReviewedStatement, table: str) -> Finding:
    return RULE.at(
        step,
        statement,
        what=f"the rows of {table} are deleted in the revision that copies them elsewhere",
        why="older versions go on looking for them there, and writing new ones, which nothing copies",
        fix="end this revision before the DELETE, and keep both tables alike with a trigger; in a later release, in"
        f" batches:\n{send(f'DELETE FROM {sql_name(table)} WHERE <which rows>')}",
        severity=Severity.WARNING,
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50))"

RULE = Rule(
    name="compat-expand-contract-same-rev",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://martinfowler.com/bliki/ParallelChange.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("full_name", sa.Text()))
            op.execute("UPDATE users SET full_name = name")
            op.drop_column("users", "name")
            """,
            flagged=True,
            rewrite=(
                'op.add_column("users", sa.Column("full_name", sa.Text()))',
                'op.execute("UPDATE users SET full_name = name")',
                'op.drop_column("users", "name")',
            ),
        ),
        Example(
            given=(_USERS,),
            body="""
            op.create_table("people", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.Text()))
            op.execute("INSERT INTO people SELECT id, name FROM users")
            op.drop_table("users")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.create_table("names", sa.Column("user_id", sa.Integer()), sa.Column("name", sa.Text()))
            op.execute("INSERT INTO names SELECT id, name FROM users")
            op.execute("ALTER TABLE users DROP COLUMN name")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("full_name", sa.Text()))
            op.execute("UPDATE users SET full_name = name")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            earlier=('op.add_column("users", sa.Column("full_name", sa.Text()))',),
            body='op.drop_column("users", "name")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=remade("id integer PRIMARY KEY, name text", "SELECT id, name FROM users"),
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.create_table("people", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)))
            op.execute("INSERT INTO people (id, name) SELECT id, name FROM users")
            op.execute("DELETE FROM users")
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TABLE users_kept AS SELECT * FROM users")
            op.execute("DELETE FROM users")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TABLE users_kept AS SELECT * FROM users")
            op.drop_table("users")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.execute("CREATE TABLE users_name_kept AS SELECT id, name FROM users")
            op.drop_column("users", "name")
            """,
            flagged=False,
        ),
    ),
)

"""A table gets another name while older application versions use the old one.

What happens: from the commit on, each statement of an old version on the table fails; before it, those of the new
version do.

Why: a table has one name. A view can have the other: what reads and writes a simple view reads and writes its table.

The safe way: rename, and leave a view with the old name in its place in the same revision; drop it once no version uses
it. A revision that leaves such a view, or another table under the old name, is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import RenameObject, RenameTable
from handrail.model.finding import Finding
from handrail.model.hazards import deployed
from handrail.model.hazards.spelling import call, quoted, send, sql_name, sql_names
from handrail.model.hazards.table_change import changes, stands_in
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table or view of an older version that the upgrade renames."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        match action:
            case RenameTable(table=old, new_name=new) | RenameObject(kind="view", name=old, new_name=new):
                pass
            case _:
                continue
        known = statement.before.table(old)
        if statement.creates(old) or (known is not None and known.temporary):
            continue
        if stands_in(step, old) or step.after.table(old) is not None:
            continue
        columns = sql_names(c.name for c in known.columns) if known is not None and known.complete else "*"
        writes = "" if facts.engine != "sqlite" else " with INSTEAD OF triggers for writes"
        found = RULE.at(
            step,
            statement,
            what=f"application versions that use {old} fail once it is {new}",
            why="old and new versions cannot run at the same time: the table has one name",
            fix=call("rename_table", old, quoted(new.rpartition(".")[2]))
            + "\n"
            + send(f"CREATE VIEW {sql_name(old)} AS SELECT {columns} FROM {sql_name(new)}")
            + f"{writes}\nand drop the view once no version uses {old}",
        )
        yield deployed.judged(found, deployed.naming(facts, old))


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-rename-table",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-createview.html#SQL-CREATEVIEW-UPDATABLE-VIEWS",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.rename_table("users", "people")',
            flagged=True,
            rewrite=(
                """
                op.rename_table("users", "people")
                op.execute("CREATE VIEW users AS SELECT id, email FROM people")
                """,
            ),
            leaves_out="the view stays until no version uses it",
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users RENAME TO people")', flagged=True),
        Example(
            given=(_USERS, "CREATE VIEW names AS SELECT id FROM users"),
            body='op.execute("ALTER VIEW names RENAME TO ids")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            body="""
            op.create_table("team", sa.Column("id", sa.Integer(), primary_key=True))
            op.rename_table("team", "teams")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.rename_table("users", "users_old")
            op.execute("CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))")
            """,
            flagged=False,
        ),
    ),
)

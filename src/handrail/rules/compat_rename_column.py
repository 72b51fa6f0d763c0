"""A column gets another name while older application versions use the old one.

What happens: from the commit on, each SELECT, INSERT and UPDATE of an old version on the table fails; before it, those
of the new version do. There is no moment at which both run.

Why: a table has each column under one name.

The safe way: add the new column, keep both alike with a trigger, copy in batches, move the versions over one after the
other, and drop the old column last. Or rename the table and leave a view in its place that shows the old names. A
revision that leaves such a view, or the old name with a trigger, is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import RenameColumn
from handrail.model.finding import Finding
from handrail.model.hazards import deployed
from handrail.model.hazards.spelling import call, quoted, send, sql_name
from handrail.model.hazards.table_change import changes, stands_in, triggered
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column of an older version that the upgrade renames."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, RenameColumn) or statement.creates(action.table):
            continue
        table, old, new = action.table, action.column, action.new_name
        if statement.adds(table, old) or stands_in(step, table):
            continue
        if step.after.column(table, old) is not None and triggered(step.after, table, old, new):
            continue
        known = statement.before.column(table, old)
        type_ = known.type if known is not None and isinstance(known.type, str) else "<type>"
        view = any("view" in kind and name == bare(table) for kind, name in statement.before.objects)
        found = RULE.at(
            step,
            statement,
            what=f"application versions that name {table}.{old} fail once it is {new}",
            why="old and new versions cannot run at the same time: the column has one name",
            fix=f"make the view {table} again, with {old} as it is and the same as {new} at its end;"
            f" leave {old} out once no version names it"
            if view
            else send(f"ALTER TABLE {sql_name(table)} ADD COLUMN {sql_name(new)} {type_}")
            + f"\na trigger that keeps {old} and {new} alike, then copy in batches; in a later release, once no "
            f"version names {old}: {call('drop_column', table, quoted(old))}",
        )
        yield deployed.judged(found, deployed.naming(facts, table, old))


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50))"
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-rename-column",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-RENAME",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.execute("ALTER TABLE users RENAME COLUMN name TO full_name")',
            flagged=True,
            rewrite=('op.execute("ALTER TABLE users ADD COLUMN full_name varchar(50)")',),
            leaves_out="the trigger, the copy, and the drop of name in a later release",
        ),
        Example(
            given=(_USERS, "CREATE VIEW people AS SELECT id, name FROM users"),
            body='op.execute("ALTER VIEW people RENAME COLUMN name TO full_name")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "name", new_column_name="full_name")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.alter_column("name", new_column_name="full_name")
            """,
            flagged=True,
            engines=_PG | {"sqlite"},
        ),
        Example(
            given=(_USERS,),
            body='op.alter_column("users", "name", new_column_name="full_name", existing_type=sa.String(50))',
            flagged=True,
            engines=frozenset({"mysql"}),
        ),
        Example(
            given=(_USERS,),
            body="""
            op.rename_table("users", "people")
            op.execute("ALTER TABLE people RENAME COLUMN name TO full_name")
            op.execute("CREATE VIEW users AS SELECT id, full_name AS name FROM people")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.add_column("users", sa.Column("nick", sa.Text()))
            op.execute("ALTER TABLE users RENAME COLUMN nick TO nickname")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=r"""
            op.add_column("users", sa.Column("full_name", sa.String(50)))
            op.execute(
                "CREATE FUNCTION both_names() RETURNS trigger LANGUAGE plpgsql AS "
                "$$ BEGIN NEW.full_name := coalesce(NEW.full_name, NEW.name); RETURN NEW; END $$"
            )
            op.execute(
                "CREATE TRIGGER both_names BEFORE INSERT OR UPDATE ON users "
                "FOR EACH ROW EXECUTE FUNCTION both_names()"
            )
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer()), sa.Column("nme", sa.Text()))
            op.execute("ALTER TABLE teams RENAME COLUMN nme TO name")
            """,
            flagged=False,
        ),
    ),
)

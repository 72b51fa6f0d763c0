"""A table gets another name while older application versions use the old one.

What happens: from the commit on, each statement of an old version on the table fails; before it, those of the new
version do.

Why: a table has one name. A view can have the other: what reads and writes a simple view reads and writes its table.

The safe way: rename, and leave a view with the old name in its place in the same revision; drop it once no version uses
it. A revision that leaves such a view, or another table under the old name, is accepted: a view that takes every old
column from the renamed table alone, under its old name, without a condition, DISTINCT or an expression, or one with
INSTEAD OF triggers or rules, which SQLite needs for every write. So it is for a schema, where that is true of all it
holds.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, CreateObject, Other, RenameObject, RenameTable
from handrail.model.finding import Finding
from handrail.model.hazards import deployed
from handrail.model.hazards.spelling import call, quoted, send, sql_name, sql_names
from handrail.model.hazards.table_change import changes
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import UNKNOWN, Unknown
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table, view or schema of an older version that the upgrade renames."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        match action:
            case RenameTable(table=old, new_name=new):
                pass
            case RenameObject(kind="view" | "materialized view" as kind, name=old, new_name=new):
                if _makes(step, statement, kind, old):
                    continue
            case RenameObject(kind="schema"):
                yield from _of_schema(step, statement, action, facts)
                continue
            case _:
                continue
        known = statement.before.table(old)
        if statement.creates(old) or (known is not None and known.temporary) or _stands(step, old, new, facts):
            continue
        found = RULE.at(
            step,
            statement,
            what=f"application versions that use {old} fail once it is {new}",
            why=_lacking(step, old, new, facts),
            fix=_renaming(action, old, new) + "\n" + _view(statement, old, new, facts.engine),
        )
        yield deployed.judged(found, deployed.naming(facts, old))


def _of_schema(
    step: ReviewedStep, statement: ReviewedStatement, action: RenameObject, facts: RuleFacts
) -> Iterator[Finding]:
    """Yield a finding where not all that the schema holds has something under its old name."""
    old, new = action.name, action.new_name
    there = [name for name in statement.before.tables if name.startswith(f"{old}.")]
    views = [name for kind, name in statement.before.objects if "view" in kind and name.startswith(f"{old}.")]
    inside = list(dict.fromkeys((*there, *views)))
    if _makes(step, statement, "schema", old) or (
        inside and all(_stands(step, name, f"{new}{name.removeprefix(old)}", facts) for name in inside)
    ):
        return
    found = RULE.at(
        step,
        statement,
        what=f"application versions that use the schema {old} fail once it is {new}",
        why=f"all that it holds has another name then{': ' if inside else ''}{', '.join(inside)}",
        fix="\n".join(
            (
                send(f"ALTER SCHEMA {sql_name(old)} RENAME TO {sql_name(new)}"),
                send(f"CREATE SCHEMA {sql_name(old)}"),
                *(_view(statement, name, f"{new}{name.removeprefix(old)}", facts.engine) for name in inside),
            )
        ),
    )
    using = [deployed.naming(facts, name) for name in there]
    known = [versions for versions in using if not isinstance(versions, Unknown)]
    every = tuple(dict.fromkeys(version for versions in known for version in versions))
    yield deployed.judged(found, every if using and len(known) == len(using) else UNKNOWN)


def _makes(step: ReviewedStep, statement: ReviewedStatement, kind: str, name: str) -> bool:
    """Return whether this step made it: nobody uses it under that name yet."""
    key = (kind, bare(name))
    return key in statement.before.objects and key not in step.before.objects


def _stands(step: ReviewedStep, old: str, new: str, facts: RuleFacts) -> bool:
    """Return whether something that older versions can use as before has the old name in the end, or none used it."""
    if step.after.table(old) is not None:
        return True
    kinds = ("view", "materialized view")
    if any((kind, bare(old)) in step.before.objects for kind in kinds):
        return any((kind, bare(old)) in step.after.objects for kind in kinds)
    passing = step.before.table(old) is None and any(bare(name) == bare(old) for _, name in _renames(step))
    return passing or not _lacking(step, old, new, facts)


def _renames(step: ReviewedStep) -> Iterator[tuple[str, str]]:
    """Yield the old and the new name of each table that the step renames."""
    yield from ((a.table, a.new_name) for _, a in step.actions() if isinstance(a, RenameTable))


def _lacking(step: ReviewedStep, old: str, new: str, facts: RuleFacts) -> str:
    """Return what keeps older versions from using a view as they did the table, '' for nothing."""
    view = step.after.objects.get(("view", bare(old)))
    if view is None:
        return "old and new versions cannot run at the same time: the table has one name"
    known = step.before.table(old)
    columns = [column.name for column in known.columns] if known else []
    if step.after.triggers_on(old) or any(isinstance(a, Other) and a.what == "RULE" for _, a in step.actions()):
        missing = [column for column in columns if view.columns and column not in view.columns]
    elif facts.engine == "sqlite":
        return f"SQLite refuses every write to the view {old}, which has no INSTEAD OF trigger"
    elif not view.handed_on or not _leads_to(step, view, new):
        return (
            f"the view {old} does more than hand on the rows of {new}: not all are there, or can be written, as before"
        )
    else:
        missing = [column for column in columns if not _shown(step, view, column)]
    return f"the view {old} does not show {', '.join(missing)} as the table did" if missing else ""


def _leads_to(step: ReviewedStep, view: CreateObject, new: str) -> bool:
    """Return whether the view reads the table that has that new name, or what it is renamed to after that."""
    ends = {bare(new)}
    for old, later in _renames(step):
        ends |= {bare(later)} if bare(old) in ends else set()
    return {name.rpartition(".")[2] for name in view.reads} <= {name.rpartition(".")[2] for name in ends}


def _shown(step: ReviewedStep, view: CreateObject, column: str) -> bool:
    """Return whether the view shows that column of the table, be it that the table has another name for it now."""
    handed_on = {shown.lower(): read.lower() for shown, read in view.handed_on}
    read = handed_on.get(column.lower(), "")
    table = step.after.table(view.reads[0])
    if read == column.lower() or table is None or not table.complete:
        return bool(read) or "*" in handed_on
    if not read:
        return "*" in handed_on and table.column(column) is not None
    return table.column(column) is None and table.column(read) is not None


def _renaming(action: Action, old: str, new: str) -> str:
    """Return the line that renames, as the revision does it."""
    schema, _, name = new.rpartition(".")
    what = f"{action.kind.upper()}" if isinstance(action, RenameObject) else "TABLE"
    if name == old.rpartition(".")[2]:
        return send(f"ALTER {what} {sql_name(old)} SET SCHEMA {sql_name(schema or 'public')}")
    if what != "TABLE":
        return send(f"ALTER {what} {sql_name(old)} RENAME TO {sql_name(name)}")
    return call("rename_table", old, quoted(name))


def _view(statement: ReviewedStatement, old: str, new: str, engine: str) -> str:
    """Return the lines that leave a view under the old name."""
    known = statement.before.table(old)
    columns = sql_names(c.name for c in known.columns) if known and known.complete and known.columns else "*"
    writes = "" if engine != "sqlite" else " with INSTEAD OF triggers for writes"
    made = send(f"CREATE VIEW {sql_name(old)} AS SELECT {columns} FROM {sql_name(new)}")
    return f"{made}{writes}\nand drop the view once no version uses {old}"


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_PG = frozenset({"postgresql"})
_WRITABLE = frozenset({"postgresql", "mysql"})

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
            engines=_WRITABLE,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.rename_table("users", "people")
            op.execute("CREATE VIEW users AS SELECT * FROM people")
            """,
            flagged=True,
            rewrite=(
                """
                op.rename_table("users", "people")
                op.execute("CREATE VIEW users AS SELECT * FROM people")
                op.execute(
                    "CREATE TRIGGER users_insert INSTEAD OF INSERT ON users BEGIN "
                    "INSERT INTO people (id, email) VALUES (new.id, new.email); END"
                )
                """,
            ),
            leaves_out="the view stays until no version uses it",
            engines=frozenset({"sqlite"}),
        ),
        Example(
            given=(_USERS,),
            body="""
            op.rename_table("users", "people")
            op.execute("CREATE VIEW users AS SELECT p.id, p.email FROM people AS p")
            """,
            flagged=False,
            engines=_WRITABLE,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.alter_column("users", "email", new_column_name="mail", existing_type=sa.String(50))
            op.rename_table("users", "people")
            op.execute("CREATE VIEW users AS SELECT id, mail AS email FROM people")
            """,
            flagged=False,
            engines=_WRITABLE,
        ),
        *(
            Example(
                given=(_USERS,),
                body=f"""
                op.rename_table("users", "people")
                op.execute("CREATE VIEW users AS {query}")
                """,
                flagged=True,
                engines=_WRITABLE,
            )
            for query in (
                "SELECT id FROM people",
                "SELECT id, email AS mail FROM people",
                "SELECT id, lower(email) AS email FROM people",
                "SELECT DISTINCT id, email FROM people",
                "SELECT * FROM people WHERE id > 9",
                "SELECT id, max(email) AS email FROM people GROUP BY id",
                "SELECT p.* FROM people p JOIN people q ON q.id = p.id",
                "SELECT * FROM people UNION ALL SELECT * FROM people",
                "SELECT * FROM people LIMIT 5",
            )
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users RENAME TO people")', flagged=True),
        Example(
            given=(_USERS, "CREATE VIEW names AS SELECT id FROM users"),
            body='op.execute("ALTER VIEW names RENAME TO ids")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, "CREATE MATERIALIZED VIEW names AS SELECT id FROM users"),
            body='op.execute("ALTER MATERIALIZED VIEW names RENAME TO ids")',
            downgrade='op.execute("ALTER MATERIALIZED VIEW ids RENAME TO names")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=("CREATE SCHEMA app", "CREATE TABLE app.users (id integer PRIMARY KEY)"),
            body='op.execute("ALTER SCHEMA app RENAME TO core")',
            downgrade='op.execute("ALTER SCHEMA core RENAME TO app")',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, "CREATE VIEW names AS SELECT id FROM users"),
            body="""
            op.execute("CREATE VIEW names_next AS SELECT id, email FROM users")
            op.execute("ALTER VIEW names RENAME TO names_before")
            op.execute("ALTER VIEW names_next RENAME TO names")
            """,
            flagged=False,
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

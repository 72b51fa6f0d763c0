"""A primary key is added and its index is built while everybody waits.

What happens: ADD PRIMARY KEY holds ACCESS EXCLUSIVE on the table while its index is built and, for a column that may
be NULL, while all rows are read: nobody reads or writes the table for that long.

Why: a primary key is a unique index and NOT NULL on its columns; ALTER TABLE makes both under the lock it has.

The safe way: make the columns NOT NULL first (see lock-set-not-null), build a unique index with CONCURRENTLY in a
revision of its own, and hand it to the key with USING INDEX in the next one.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn, AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.long_work import never_null
from handrail.model.hazards.spelling import listed, made_up, outside, revisions, send, sql_name, table_words
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each primary key whose index is built, or whose columns are read, by adding it."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AddConstraint | AddColumn) or not others_wait(statement, action.table, facts):
                continue
            added = (action.constraint,) if isinstance(action, AddConstraint) else action.constraints
            for key in added:
                if key.kind is not ConstraintKind.PRIMARY_KEY or not _works(statement, action.table, key):
                    continue
                yield RULE.at(
                    step,
                    statement,
                    what=f"the primary key of {action.table} is made while everybody waits",
                    why="ADD PRIMARY KEY holds ACCESS EXCLUSIVE while its index is built and NULLs are looked for"
                    + counted(action.table, facts),
                    fix=_fix(statement, action.table, key),
                    severity=weight(step, RULE.severity),
                )


def _works(statement: ReviewedStatement, table: str, key: ConstraintSpec) -> bool:
    """Return whether making the key takes long; with a finished index only where NULLs have to be looked for."""
    if not key.using_index:
        return True
    index = known.index(key.using_index) if (known := statement.before.table(table)) else None
    return index is not None and not all(never_null(statement.before, table, column) for column in index.columns)


def _fix(statement: ReviewedStatement, table: str, key: ConstraintSpec) -> str:
    name = key.name or f"{table.rpartition('.')[2]}_pkey"
    index = key.using_index or name
    known = statement.before.table(table)
    built = known.index(index) if known and key.using_index else None
    columns = built.columns if built else key.columns or ("id",)
    quoted, schema = table_words(table)
    alter = f"ALTER TABLE {sql_name(table)}"
    build = outside(
        f'op.create_index("{index}", {quoted}, {listed(columns)}, unique=True{schema}, postgresql_concurrently=True)'
    )
    return revisions(
        *_not_null(statement, table, columns),
        *([] if built else [build]),
        send(f"{alter} ADD CONSTRAINT {sql_name(name)} PRIMARY KEY USING INDEX {sql_name(index)}"),
    )


def _not_null(statement: ReviewedStatement, table: str, columns: tuple[str, ...]) -> list[str]:
    """Return the revisions that make the columns NOT NULL, none where all of them are."""
    alter = f"ALTER TABLE {sql_name(table)}"
    checks = {
        sql_name(c): sql_name(f"{made_up('ck', table, c)}_not_null")
        for c in columns
        if not never_null(statement.before, table, c)
    }
    if not checks:
        return []
    added = (f"{alter} ADD CONSTRAINT {check} CHECK ({c} IS NOT NULL) NOT VALID" for c, check in checks.items())
    # All are validated before the first strong lock is taken.
    proved = (f"{alter} VALIDATE CONSTRAINT {check}" for check in checks.values())
    made = (f"{alter} ALTER COLUMN {c} SET NOT NULL, DROP CONSTRAINT {check}" for c, check in checks.items())
    return ["\n".join(map(send, added)), "\n".join(map(send, (*proved, *made)))]


_USERS = "CREATE TABLE users (id integer NOT NULL, email text)"
_INDEX = """
with op.get_context().autocommit_block():
    op.execute("CREATE UNIQUE INDEX CONCURRENTLY users_pkey ON users (id)")
"""

RULE = Rule(
    name="lock-pk",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body='op.create_primary_key("users_pkey", "users", ["id"])',
            flagged=True,
            rewrite=(
                _INDEX,
                'op.execute("ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_pkey")',
            ),
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users ADD PRIMARY KEY (id)")', flagged=True),
        Example(
            given=("CREATE TABLE logs (line text)",),
            body='op.execute("ALTER TABLE logs ADD COLUMN id bigserial PRIMARY KEY")',
            flagged=True,
        ),
        Example(
            given=("CREATE TABLE users (id integer, email text)",),
            earlier=(_INDEX,),
            body='op.execute("ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_pkey")',
            flagged=True,
            rewrite=(
                'op.execute("ALTER TABLE users ADD CONSTRAINT ck CHECK (id IS NOT NULL) NOT VALID")',
                """
                op.execute("ALTER TABLE users VALIDATE CONSTRAINT ck")
                op.execute("ALTER TABLE users ALTER COLUMN id SET NOT NULL, DROP CONSTRAINT ck")
                """,
                'op.execute("ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_pkey")',
            ),
        ),
        Example(
            given=(_USERS,),
            earlier=(_INDEX,),
            body='op.execute("ALTER TABLE users ADD CONSTRAINT users_pkey PRIMARY KEY USING INDEX users_pkey")',
            flagged=False,
        ),
        Example(
            body="""
            op.create_table("teams", sa.Column("id", sa.Integer))
            op.create_primary_key("pk_teams", "teams", ["id"])
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.create_primary_key("users_pkey", "users", ["id"])',
            sizes={"users": 50},
            flagged=False,
        ),
    ),
)

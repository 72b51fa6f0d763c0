"""Uniqueness is asked of rows that may repeat.

What happens: the statement fails at the first two rows with the same value. Built with CONCURRENTLY, the index stays
behind invalid, and keeps refusing new rows.

Why: a unique constraint, a unique index and a primary key are proved on the rows that are there, and only the database
knows them. What older versions write afterwards is `compat-new-unique`'s; for an index that is built concurrently this
rule speaks for both, as a note.

The safe way: count the duplicates, merge or delete them in an earlier revision, then build the index concurrently and
attach it with USING INDEX.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn, CreateIndex
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import sql_name
from handrail.model.hazards.table_change import changes, filled, new_key, removed
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import ColumnSpec
from handrail.model.verdict import Confidence, Severity
from handrail.model.violation import ViolationKind

#: Duplicates that were deleted longer ago than this many revisions may be back.
_NEAR = 3


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each key that the upgrade asks of rows that are there."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        key = new_key(statement, action, step.before)
        if key is None:
            continue
        table, columns = key
        if any(removed(s, table) for s in (*revision.earlier[-_NEAR:], step)):
            continue
        if isinstance(action, AddColumn):
            if action.column.nullable is False and action.column.default is None and not action.column.identity:
                continue  # fails without the key as well: fail-add-not-null
            new: tuple[ColumnSpec | None, ...] = (action.column,)
        else:
            known = statement.before.table(table)
            new = tuple(known.column(c) if known and statement.adds(table, c) else None for c in columns)
        if any(c is not None and _distinct(c) and not filled((step,), table, c.name) for c in new):
            continue
        same = bool(new) and all(c is not None and not filled((step,), table, c.name) for c in new)
        concurrent = isinstance(action, CreateIndex) and action.concurrently
        named, keys = ", ".join(columns), ", ".join(_expression(known_name) for known_name in columns)
        yield RULE.at(
            step,
            statement,
            what=f"rows of {table} all have the same {named}: the key fails"
            if same
            else f"rows of {table} that repeat ({named}) make the key fail",
            why="the index stays behind invalid, and refuses what older versions write twice"
            if concurrent
            else "the server proves the key on the rows that are there",
            fix=f"before it, no row may be left of: SELECT {keys}, count(*) FROM {sql_name(table)} "
            f"{_only(action)}GROUP BY {keys} HAVING count(*) > 1",
            severity=_severity(facts, table, same=same, concurrent=concurrent),
            confidence=Confidence.LOW if concurrent else Confidence.HIGH,
            subject=(table, *columns),
        )


def _expression(column: str) -> str:
    """Return a column's name as SQL; an expression of an index is SQL as it is."""
    return column if "(" in column else sql_name(column)


def _only(action: object) -> str:
    """Return the WHERE of a partial index, which the rows outside of it do not concern."""
    where = action.index.where if isinstance(action, CreateIndex) else ""
    return f"WHERE {where} " if where else ""


def _distinct(column: ColumnSpec) -> bool:
    """Return whether rows that are there differ in a column that is added, or are NULL in it, which is no duplicate."""
    none = column.default is None and column.nullable is not False
    return none or bool(column.identity) or column.volatile_default is not False


def _severity(facts: RuleFacts, table: str, *, same: bool, concurrent: bool) -> Severity | None:
    if concurrent or facts.rows(table) == 0:
        return Severity.NOTE
    return Severity.ERROR if same else None


def _row(table: str, *values: str) -> str:
    return f"INSERT INTO {table} VALUES ({'), ('.join(values)})"


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50), login varchar(50) UNIQUE)"
_TWICE = _row("users", "1, 'a', 'a'", "2, 'a', 'b'")
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="fail-unique-dups",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "sqlite", "mysql"}),
    source="https://www.postgresql.org/docs/current/sql-createindex.html",
    findings=findings,
    decided_by=ViolationKind.DUPLICATES,
    examples=(
        Example(
            given=(_USERS,),
            body='op.create_unique_constraint("uq_email", "users", ["email"])',
            flagged=True,
            engines=_PG,
            rewrite=(
                'op.execute("DELETE FROM users a USING users b WHERE a.email = b.email AND a.id > b.id")',
                """
                with op.get_context().autocommit_block():
                    op.create_index("uq_email", "users", ["email"], unique=True, postgresql_concurrently=True)
                """,
                'op.execute("ALTER TABLE users ADD CONSTRAINT uq_email UNIQUE USING INDEX uq_email")',
            ),
        ),
        Example(
            given=(_USERS, _TWICE),
            body='op.create_index("uq_email", "users", ["email"], unique=True)',
            flagged=True,
            fails=True,
        ),
        Example(
            given=("CREATE TABLE tags (id integer, name text)", _row("tags", "1, 'a'", "1, 'b'")),
            body='op.execute("ALTER TABLE tags ADD PRIMARY KEY (id)")',
            flagged=True,
            fails=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _TWICE),
            body="""
            op.add_column("users", sa.Column("code", sa.String(9), server_default="x", nullable=False))
            op.create_index("uq_code", "users", ["code"], unique=True)
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _TWICE),
            body="""
            with op.batch_alter_table("users") as batch:
                batch.create_unique_constraint("uq_email", ["email"])
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            with op.get_context().autocommit_block():
                op.execute("CREATE UNIQUE INDEX CONCURRENTLY uq_email ON users (email)")
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_USERS,),
            earlier=(
                """
                with op.get_context().autocommit_block():
                    op.execute("CREATE UNIQUE INDEX CONCURRENTLY uq_email ON users (email)")
                """,
            ),
            body='op.execute("ALTER TABLE users ADD CONSTRAINT uq_email UNIQUE USING INDEX uq_email")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_USERS, _TWICE),
            body="""
            op.execute("DELETE FROM users WHERE id NOT IN (SELECT min(id) FROM users GROUP BY email)")
            op.create_index("uq_email", "users", ["email"], unique=True)
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, _TWICE),
            body="""
            op.add_column("users", sa.Column("code", sa.String(9)))
            op.create_index("uq_code", "users", ["code"], unique=True)
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, _TWICE),
            body='op.create_index("uq_login_email", "users", ["login", "email"], unique=True)',
            flagged=False,
        ),
        Example(given=(_USERS, _TWICE), body='op.create_index("ix_email", "users", ["email"])', flagged=False),
        Example(
            body="""
            op.create_table("teams", sa.Column("name", sa.Text()))
            op.create_index("uq_name", "teams", ["name"], unique=True)
            """,
            flagged=False,
        ),
        Example(
            given=("CREATE TABLE tags (id integer, name varchar(9) NOT NULL, PRIMARY KEY (id))",),
            body='op.execute("ALTER TABLE tags DROP PRIMARY KEY, ADD PRIMARY KEY (name, id)")',
            flagged=False,
            engines=frozenset({"mysql"}),
        ),
    ),
)

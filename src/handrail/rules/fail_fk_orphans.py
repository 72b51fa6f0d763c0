"""A foreign key is proved on rows that may point nowhere.

What happens: the statement fails at the first row whose value is not in the other table.

Why: ADD FOREIGN KEY without NOT VALID compares every row that is there. Whether one points nowhere, only the database
knows. The locks are `lock-fk`'s.

The safe way: count the rows that point nowhere, delete them or set NULL in an earlier revision, add the key NOT VALID,
which holds for new rows at once, and VALIDATE it in the next revision.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn, AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import listed, made_up, send, sql_name, table_words
from handrail.model.hazards.table_change import changes, filled, removed
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity
from handrail.model.violation import ViolationKind

#: Rows that were put right longer ago than this many revisions may be wrong again.
_NEAR = 3


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each foreign key that the upgrade proves on rows that are there."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AddConstraint | AddColumn):
            continue
        table = action.table
        for key in action.constraints if isinstance(action, AddColumn) else (action.constraint,):
            if key.kind is not ConstraintKind.FOREIGN_KEY or not key.validated or statement.creates(table):
                continue
            near = (*revision.earlier[-_NEAR:], step)
            if _all_null(statement, action, key):
                if not any(filled((step,), table, c) for c in key.columns):
                    continue
            elif any(removed(s, table) for s in near) or any(filled(near, table, c) for c in key.columns):
                continue
            columns, other = ", ".join(key.columns), key.referenced_table
            yield RULE.at(
                step,
                statement,
                what=f"rows of {table} whose {columns} is not in {other} make the foreign key fail",
                why="without NOT VALID the server compares every row that is there",
                fix=_fix(table, key),
                severity=Severity.NOTE if facts.rows(table) == 0 else None,
                subject=(table, *key.columns),
            )


def _all_null(statement: ReviewedStatement, action: AddConstraint | AddColumn, key: ConstraintSpec) -> bool:
    """Return whether a column of the key was added in this step, with NULL in every row that was there."""
    if isinstance(action, AddColumn):
        return action.column.default is None
    known = statement.before.table(action.table)
    added = [known.column(c) for c in key.columns if statement.adds(action.table, c)] if known else []
    return any(c is not None and c.default is None and not c.identity for c in added)


def _fix(table: str, key: ConstraintSpec) -> str:
    columns, other = key.columns, key.referenced_table
    remote = key.referenced_columns or tuple("id" for _ in columns)
    joined = " AND ".join(f"o.{sql_name(r)} = t.{sql_name(c)}" for c, r in zip(columns, remote, strict=False))
    set_ = " AND ".join(f"t.{sql_name(c)} IS NOT NULL" for c in columns)
    name = key.name or made_up("fk", table, *columns)
    (here, schema), (there, other_schema) = table_words(table), table_words(other)
    schemas = schema.replace("schema", "source_schema") + other_schema.replace("schema", "referent_schema")
    return (
        f"count them first: SELECT count(*) FROM {sql_name(table)} t WHERE {set_} "
        f"AND NOT EXISTS (SELECT FROM {sql_name(other)} o WHERE {joined})\n"
        f'op.create_foreign_key("{name}", {here}, {there}, {listed(columns)}, {listed(remote)}{schemas}, '
        "postgresql_not_valid=True)\n"
        "in the next revision: " + send(f"ALTER TABLE {sql_name(table)} VALIDATE CONSTRAINT {sql_name(name)}")
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY)"
_NOTES = "CREATE TABLE notes (id integer PRIMARY KEY, user_id integer)"
_ORPHAN = "INSERT INTO notes VALUES (1, 1)"

RULE = Rule(
    name="fail-fk-orphans",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    findings=findings,
    decided_by=ViolationKind.ORPHANS,
    examples=(
        Example(
            given=(_USERS, _NOTES),
            body='op.create_foreign_key("fk_notes", "notes", "users", ["user_id"], ["id"])',
            flagged=True,
            rewrite=(
                'op.create_foreign_key("fk_notes", "notes", "users", ["user_id"], ["id"], postgresql_not_valid=True)',
                'op.execute("ALTER TABLE notes VALIDATE CONSTRAINT fk_notes")',
            ),
        ),
        Example(
            given=(_USERS, _NOTES, _ORPHAN),
            body='op.execute("ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _NOTES, _ORPHAN),
            body="""
            with op.batch_alter_table("notes") as batch:
                batch.create_foreign_key("fk_notes", "users", ["user_id"], ["id"])
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _NOTES, _ORPHAN),
            body="""
            op.add_column("notes", sa.Column("by", sa.Integer(), server_default="5"))
            op.create_foreign_key("fk_by", "notes", "users", ["by"], ["id"])
            """,
            flagged=True,
            fails=True,
        ),
        Example(
            given=(_USERS, _NOTES, _ORPHAN),
            body="""
            op.execute("DELETE FROM notes WHERE user_id NOT IN (SELECT id FROM users)")
            op.create_foreign_key("fk_notes", "notes", "users", ["user_id"], ["id"])
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, _NOTES, _ORPHAN),
            body='op.add_column("notes", sa.Column("by", sa.Integer(), sa.ForeignKey("users.id")))',
            flagged=False,
        ),
        Example(
            given=(_USERS, _NOTES, _ORPHAN),
            body="""
            op.execute("ALTER TABLE notes ADD CONSTRAINT fk FOREIGN KEY (user_id) REFERENCES users NOT VALID")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            op.create_table("teams", sa.Column("user_id", sa.Integer()))
            op.create_foreign_key("fk_teams", "teams", "users", ["user_id"], ["id"])
            """,
            flagged=False,
        ),
    ),
)

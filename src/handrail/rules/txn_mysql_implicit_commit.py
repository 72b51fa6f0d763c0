"""A revision that fails halfway stays halfway: each DDL statement is committed by itself.

What happens: MySQL and MariaDB commit before and after every DDL statement. Where a later statement fails, or the
connection is lost, what came before it stays, the revision is not recorded as applied, and a second try fails on what
is there already (`Duplicate column name`, `Table already exists`).

Why: they have no transaction around DDL. A transaction that the revision, or Alembic, has open is committed by the
first DDL statement too, with the rows it has written.

The safe way: one change of an existing table in each revision (several parts of one ALTER TABLE are one change), and
data in a revision of its own. Or steps that can be repeated: IF EXISTS and IF NOT EXISTS, which MariaDB has for columns
and indexes as well.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_use
from handrail.model.online_ddl import asks
from handrail.model.operation import StatementKind
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.spec import ColumnSpec, ConstraintSpec
from handrail.model.verdict import Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class _Change:
    """A statement that changes something: the schema, or rows (`data`) of a table that is there already (`old`).

    `lasts` is whether a second try would meet what it left.
    """

    statement: ReviewedStatement
    words: str
    data: bool
    lasts: bool
    old: bool

    def committed_by(self, later: _Change) -> bool:
        """Return whether it stays where that one fails: a schema change always, rows once a schema change follows."""
        return self.lasts and not (self.data and later.data)


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where the upgrade may fail after a part of it was committed."""
    step = revision.upgrade
    if step is None:
        return
    changes = [change for statement in step.statements if (change := _change(statement)) is not None]
    for number, later in enumerate(changes):
        first = next((change for change in changes[:number] if change.committed_by(later)), None)
        # What is done to tables made here alone meets no rows and no locks: it hardly fails.
        if first is not None and (first.old or later.old):
            yield _finding(step, first, later)
            return


def _change(statement: ReviewedStatement) -> _Change | None:
    kind = statement.statement.kind
    passing = act.SetSetting | act.Opaque
    actions = [action for action in statement.actions if not isinstance(action, passing) and not asks(action)]
    if kind not in {StatementKind.SCHEMA, StatementKind.DATA} or not actions:
        return None
    action = actions[0]
    table = _table(action)
    if table and not _lasting_table(statement, table):
        return None
    return _Change(
        statement=statement,
        words=f"{_words(action)} {bare(table)}{_part(action)}".strip(),
        data=kind is StatementKind.DATA,
        lasts=not all(_repeatable(each) for each in actions),
        old=bool(table) and others_use(statement, table) and not isinstance(action, act.CreateTable),
    )


def _repeatable(action: Action) -> bool:
    """Return whether doing it again does no harm: rows that are set or deleted, and what asks whether it is there."""
    if isinstance(action, act.WriteRows):
        return action.verb is not act.Verb.INSERT
    return bool(getattr(action, "if_not_exists", False) or getattr(action, "if_exists", False))


def _lasting_table(statement: ReviewedStatement, table: str) -> bool:
    known = statement.before.table(table) or statement.after.table(table)
    return known is None or not known.temporary


def _table(action: Action) -> str:
    found: object = getattr(action, "table", "")
    return found if isinstance(found, str) else ""


def _words(action: Action) -> str:
    match action:
        case act.CreateTable():
            return "CREATE TABLE"
        case act.DropTable():
            return "DROP TABLE"
        case act.CreateIndex():
            return "CREATE INDEX on"
        case act.WriteRows(verb=verb):
            return {"INSERT": "INSERT INTO", "DELETE": "DELETE FROM"}.get(verb.value, verb.value)
        case act.CreateObject(kind=kind, name=name):
            return f"CREATE {kind.upper()} {name}" + (" on" if action.table else "")
        case act.DropObject(kind=kind, name=name):
            return f"DROP {kind.upper()} {name}"
        case _:
            return "ALTER TABLE"


def _part(action: Action) -> str:
    """Return the column, constraint or index that an ALTER TABLE is about, in parentheses."""
    match action:
        case act.AddColumn(column=ColumnSpec(name=name)) | act.AddConstraint(constraint=ConstraintSpec(name=name)):
            return f" ({name})" if name else ""
        case act.DropColumn(column=name) | act.RenameColumn(column=name) | act.AlterType(column=name):
            return f" ({name})"
        case act.RedefineColumn(column=name) | act.AlterNullable(column=name) | act.AlterDefault(column=name):
            return f" ({name})"
        case act.DropConstraint(name=name):
            return f" ({name})"
        case _:
            return ""


def _finding(step: ReviewedStep, first: _Change, later: _Change) -> Finding:
    return RULE.at(
        step,
        later.statement,
        what=f"where {later.words} fails, {first.words} is committed already and the revision cannot be run again",
        why="every DDL statement commits by itself, and the revision is recorded only at its end",
        fix="move the rows into a revision of their own"
        if later.data
        else "move the second change into a revision of its own; several of one table can be one ALTER TABLE",
    )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, name varchar(40))"
_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY)"


def _example(
    body: str, *, flagged: bool, rewrite: tuple[str, ...] = (), engines: frozenset[str] = frozenset()
) -> Example:
    return Example(given=(_USERS, _TEAMS), body=body, flagged=flagged, rewrite=rewrite, engines=engines)


RULE = Rule(
    name="txn-mysql-implicit-commit",
    severity=Severity.WARNING,
    engines=frozenset({"mysql"}),
    source="https://dev.mysql.com/doc/refman/8.0/en/implicit-commit.html",
    findings=findings,
    examples=(
        _example(
            """
            op.add_column("users", sa.Column("age", sa.Integer))
            op.execute("UPDATE users SET age = 5 WHERE id > 10")
            """,
            flagged=True,
            rewrite=(
                'op.add_column("users", sa.Column("age", sa.Integer))',
                'op.execute("UPDATE users SET age = 5 WHERE id > 10")',
            ),
        ),
        _example(
            """
            op.add_column("users", sa.Column("age", sa.Integer))
            op.add_column("teams", sa.Column("age", sa.Integer))
            """,
            flagged=True,
            rewrite=(
                'op.add_column("users", sa.Column("age", sa.Integer))',
                'op.add_column("teams", sa.Column("age", sa.Integer))',
            ),
        ),
        _example(
            """
            op.create_table("players", sa.Column("id", sa.Integer, primary_key=True))
            op.execute("INSERT INTO users (id) SELECT id FROM teams")
            """,
            flagged=True,
        ),
        _example(
            """
            op.add_column("users", sa.Column("age", sa.Integer))
            op.create_table("players", sa.Column("id", sa.Integer, primary_key=True))
            """,
            flagged=True,
        ),
        _example(
            """
            op.execute("CREATE INDEX IF NOT EXISTS ix_name ON users (name) LOCK=NONE")
            op.execute("ALTER TABLE users ADD COLUMN age integer")
            """,
            flagged=False,
        ),
        _example(
            """
            op.create_index("ix_name", "users", ["name"])
            op.drop_column("users", "name")
            """,
            flagged=True,
        ),
        _example(
            """
            op.execute("INSERT INTO users (id) VALUES (7)")
            op.add_column("users", sa.Column("age", sa.Integer))
            """,
            flagged=True,
        ),
        _example(
            """
            op.execute("INSERT INTO users (id) VALUES (7)")
            op.execute("INSERT INTO teams (id) VALUES (7)")
            """,
            flagged=False,
        ),
        _example(
            """
            op.execute("ALTER TABLE users ADD COLUMN age integer, ADD COLUMN height integer, ADD INDEX ix (name)")
            """,
            flagged=False,
        ),
        _example(
            """
            op.create_table("players", sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))
            op.create_index("ix_n", "players", ["n"])
            op.execute("INSERT INTO players (id, n) VALUES (1, 2)")
            """,
            flagged=False,
        ),
        _example(
            """
            op.execute("UPDATE users SET name = 'x' WHERE id > 10")
            op.add_column("users", sa.Column("age", sa.Integer))
            """,
            flagged=False,
        ),
        _example(
            """
            op.execute("ALTER TABLE users ADD COLUMN IF NOT EXISTS age integer")
            op.execute("UPDATE users SET age = 5 WHERE id > 10")
            """,
            flagged=False,
        ),
        _example(
            """
            op.execute("SET SESSION lock_wait_timeout = 5")
            op.add_column("users", sa.Column("age", sa.Integer))
            """,
            flagged=False,
        ),
    ),
)

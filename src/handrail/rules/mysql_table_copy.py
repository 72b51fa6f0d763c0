"""A change that the server can only make by copying the table, while all writes wait.

What happens: MySQL and MariaDB make another table, copy every row into it under a lock that lets others only read, and
rename it. A large table is copied for hours; its writers wait that long, then fail with a lock wait timeout.

Why: not every part of ALTER TABLE can be done INSTANT or INPLACE. Another type of a column, a foreign key that is
checked, a CHECK, a STORED column, another character set, partitions and a dropped primary key are copied. (MariaDB lets
others write while it copies from 11.2 on.)

The safe way: where there is a lighter form, write that one, and ask for it: with `ALGORITHM=INPLACE, LOCK=NONE` the
server refuses instead of copying. Otherwise a new column that is kept in step by triggers and filled in batches, or a
tool that copies beside the application (gh-ost, pt-online-schema-change).
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, AddColumn, AddConstraint, AlterType, RedefineColumn, SetSetting
from handrail.model.effect import Blocks
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.online_ddl import Way, asks, blocks, way
from handrail.model.replayed import Replayed, replayed
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ColumnSpec, Unknown
from handrail.model.verdict import Confidence, Severity

_OFF = frozenset({"0", "off", "false"})


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each statement that keeps writers waiting while it goes through a table that others use."""
    for step in revision.steps:
        checks_keys = True
        for statement in step.statements:
            checks_keys = _checks_keys(statement, before=checks_keys)
            parts = [action for action in statement.actions if not asks(action)]
            found = way(parts, facts.server_major, before=_before(statement), checks_keys=checks_keys)
            if found is None or blocks(found.algorithm, facts.server_major) is not Blocks.WRITES:
                continue
            table = _table(parts)
            if table and others_wait(statement, table, facts):
                yield _finding(step, statement, table, found, facts)


def _before(statement: ReviewedStatement) -> Replayed:
    """Return the schema before, with what alter_column itself says of a column whose making was not seen."""
    before = statement.before
    details = dict(statement.operation.details) if statement.operation else {}
    if "existing_type" not in details:
        return before
    for action in statement.actions:
        if isinstance(action, RedefineColumn) and before.column(action.table, action.column) is None:
            said = _spoken(details["existing_type"]) if "modify_type" in details else action.new.type
            column = ColumnSpec(name=action.column, type=said)
            before = replayed(before, AddColumn(table=action.table, column=column), "")
    return before


def _spoken(type_: str) -> str | Unknown:
    """Return a type of SQLAlchemy's in the server's words; a class instead of a type is one without its sizes."""
    named = type_.rpartition(".")[2].strip("'>") if type_.startswith("<class") else type_
    word, bracket, rest = named.lower().replace(", ", ",").partition("(")
    word = _WORDS.get(word, word)
    return UNKNOWN if word == "varchar" and rest in {"", ")"} else word + bracket + rest


_WORDS = {"integer": "int", "numeric": "decimal", "boolean": "tinyint(1)", "string": "varchar"}


def _checks_keys(statement: ReviewedStatement, *, before: bool) -> bool:
    """Return whether foreign keys are checked after that statement."""
    for action in statement.actions:
        if isinstance(action, SetSetting) and action.name.endswith("foreign_key_checks"):
            before = action.value.strip("'\"").lower() not in _OFF
    return before


def _table(parts: list[Action]) -> str:
    found = (getattr(action, "table", "") for action in parts)
    return next((table for table in found if table), "")


def _finding(step: ReviewedStep, statement: ReviewedStatement, table: str, found: Way, facts: RuleFacts) -> Finding:
    return RULE.at(
        step,
        statement,
        what=f"writes to {table} wait while the table is gone through: {found.why}"
        if found.certain
        else f"writes to {table} may wait while the table is copied: {found.why}",
        why=f"the server does this with {found.algorithm.words}, and with nothing lighter" + counted(table, facts),
        fix=_fix(table, statement),
        severity=weight(step, RULE.severity if found.certain else Severity.WARNING),
        confidence=Confidence.HIGH if found.certain else Confidence.LOW,
    )


def _fix(table: str, statement: ReviewedStatement) -> str:
    actions = statement.actions
    keys = [a.constraint for a in actions if isinstance(a, AddConstraint)]
    if any(key.kind is ConstraintKind.FOREIGN_KEY for key in keys):
        return (
            "look for orphans first, then without the server's own look:\n"
            'op.execute("SET SESSION foreign_key_checks = 0")\n'
            "the same foreign key\n"
            'op.execute("SET SESSION foreign_key_checks = 1")'
        )
    stored = [a.column for a in actions if isinstance(a, AddColumn) and a.column.generated and a.column.stored]
    if stored:
        return f"make {stored[0].name} VIRTUAL (persisted=False), and index it where it is searched by"
    retyped = [a.column for a in actions if isinstance(a, AlterType | RedefineColumn)]
    if retyped:
        return (
            f"add {retyped[0]}_new with the new definition, keep it in step by triggers, fill it in batches, and let"
            " the application change over before the old column is dropped"
        )
    return f"carry it out with gh-ost or pt-online-schema-change, or while nobody writes to {table}"


_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY)"
_USERS = """
CREATE TABLE users (
  id integer AUTO_INCREMENT PRIMARY KEY, name varchar(40), age integer, mood enum('good', 'bad'), team_id integer,
  note text
)
"""
_KEY = 'op.create_foreign_key("fk_team", "users", "teams", ["team_id"], ["id"])'


def _example(body: str, *, flagged: bool, **more: object) -> Example:
    return Example(given=(_TEAMS, _USERS), body=body, flagged=flagged, **more)  # type: ignore[arg-type]  # its fields


RULE = Rule(
    name="mysql-table-copy",
    severity=Severity.ERROR,
    engines=frozenset({"mysql"}),
    source="https://dev.mysql.com/doc/refman/8.0/en/innodb-online-ddl-operations.html",
    findings=findings,
    examples=(
        _example(
            _KEY,
            flagged=True,
            rewrite=(
                f"""
                op.execute("SET SESSION foreign_key_checks = 0")
                {_KEY}
                op.execute("SET SESSION foreign_key_checks = 1")
                """,
            ),
        ),
        _example(
            'op.alter_column("users", "age", existing_type=sa.Integer, type_=sa.BigInteger, existing_nullable=True)',
            flagged=True,
            rewrite=('op.add_column("users", sa.Column("age_new", sa.BigInteger))',),
            leaves_out="the column is filled by triggers and in batches, and the old one dropped, in later revisions",
        ),
        _example('op.create_check_constraint("ck_age", "users", "age > 0")', flagged=True),
        _example(
            'op.add_column("users", sa.Column("twice", sa.Integer, sa.Computed("age * 2", persisted=True)))',
            flagged=True,
            rewrite=(
                'op.add_column("users", sa.Column("twice", sa.Integer, sa.Computed("age * 2", persisted=False)))',
            ),
            leaves_out="the column is computed when it is read",
        ),
        _example('op.execute("ALTER TABLE users CONVERT TO CHARACTER SET latin1")', flagged=True),
        _example('op.execute("ALTER TABLE users PARTITION BY HASH (id) PARTITIONS 4")', flagged=True),
        _example('op.execute("ALTER TABLE users MODIFY id integer, DROP PRIMARY KEY")', flagged=True),
        _example('op.execute("ALTER TABLE users MODIFY name varchar(20)")', flagged=True),
        _example("op.execute(\"ALTER TABLE users MODIFY mood enum('bad', 'good')\")", flagged=True),
        _example('op.execute("CREATE FULLTEXT INDEX ix_note ON users (note)")', flagged=True),
        Example(
            body='op.execute("ALTER TABLE elsewhere MODIFY name varchar(60)")',
            flagged=True,
            not_run="the table was made outside of the revisions",
        ),
        Example(
            body='op.alter_column("elsewhere", "name", existing_type=sa.String(40), type_=sa.Integer())',
            flagged=True,
            not_run="the table was made outside of the revisions",
        ),
        Example(
            body="""
            op.alter_column("elsewhere", "name", existing_type=sa.String(40), nullable=False)
            op.alter_column("elsewhere", "name", existing_type=sa.String(40), type_=sa.String(60), nullable=False)
            """,
            flagged=False,
            not_run="the table was made outside of the revisions",
        ),
        _example('op.add_column("users", sa.Column("email", sa.String(99)))', flagged=False),
        _example('op.drop_column("users", "note")', flagged=False),
        _example('op.create_index("ix_age", "users", ["age"])', flagged=False),
        _example('op.create_unique_constraint("uq_name", "users", ["name"])', flagged=False),
        _example(
            'op.alter_column("users", "name", existing_type=sa.String(40), type_=sa.String(60))',
            flagged=False,
        ),
        _example(
            'op.alter_column("users", "age", existing_type=sa.Integer, nullable=False)',
            flagged=False,
        ),
        _example(
            'op.alter_column("users", "age", existing_type=sa.Integer, new_column_name="years")',
            flagged=False,
        ),
        _example('op.alter_column("users", "age", server_default="5")', flagged=False),
        _example("op.execute(\"ALTER TABLE users MODIFY mood enum('good', 'bad', 'mixed')\")", flagged=False),
        _example('op.execute("ALTER TABLE users DROP PRIMARY KEY, ADD PRIMARY KEY (id, name)")', flagged=False),
        _example(
            """
            op.create_table("made", sa.Column("id", sa.Integer, primary_key=True), sa.Column("age", sa.Integer))
            op.create_check_constraint("ck_age", "made", "age > 0")
            """,
            flagged=False,
        ),
        _example(_KEY, flagged=False, sizes={"users": 300}),
    ),
)

"""A partitioned table is asked for what only a plain table can do.

What happens: the statement fails. An index of a partitioned table cannot be built or dropped with CONCURRENTLY, a
unique key has to hold every column that the table is partitioned by, a constraint cannot take an index over with USING
INDEX, and before PostgreSQL 18 a foreign key cannot be NOT VALID.

Why: a partitioned table has no rows. Its indexes and constraints are those of its partitions, each of which knows
nothing of the others.

The safe way: make the index ON ONLY the partitioned table, build one with CONCURRENTLY on each partition, and attach
them one by one. Let a unique key hold the columns of PARTITION BY too.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, AddConstraint, CreateIndex, CreateTable, DropIndex
from handrail.model.finding import Finding
from handrail.model.hazards.index_spelling import concurrently
from handrail.model.hazards.spelling import listed, send, sql_name
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity

_KEYS = frozenset({ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE})
#: Since then a foreign key of a partitioned table may be NOT VALID: https://www.postgresql.org/docs/release/18.0/
_NOT_VALID_SINCE = 18


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each statement that the server refuses because the table is partitioned."""
    for step in revision.steps:
        for statement, action in step.actions():
            told = _told(statement, action, facts)
            if told is not None:
                what, why, fix = told
                yield RULE.at(step, statement, what=f"{what}: {step.direction.value}() fails here", why=why, fix=fix)


def _told(statement: ReviewedStatement, action: Action, facts: RuleFacts) -> tuple[str, str, str] | None:
    match action:
        case CreateTable(table=name, constraints=constraints):
            table = statement.after.table(name)
            keys = [c for c in constraints if table is not None and table.partition_by and _lacking(table, c.columns)]
            return next((_key(table, c.columns) for c in keys if table is not None and c.kind in _KEYS), None)
        case DropIndex(name=name, concurrently=True):
            table = statement.before.table_of_index(name)
            if table is None or not table.partition_by:
                return None
            return (
                f"the index {name} of the partitioned table {table.name} is dropped with CONCURRENTLY",
                "an index that its partitions' indexes hang on can only be dropped with them, under a lock",
                "in a transaction, under a short lock_timeout:\n" + send(f"DROP INDEX {sql_name(name)}"),
            )
        case CreateIndex(table=name) | AddConstraint(table=name):
            table = statement.before.table(name)
            return _on(table, statement, action, facts) if table is not None and table.partition_by else None
        case _:
            return None


def _on(
    table: ReplayedTable, statement: ReviewedStatement, action: CreateIndex | AddConstraint, facts: RuleFacts
) -> tuple[str, str, str] | None:
    if isinstance(action, CreateIndex):
        if action.index.unique and _lacking(table, action.index.columns):
            return _key(table, action.index.columns)
        if not action.concurrently:
            return None
        return (
            f"an index of the partitioned table {table.name} is built with CONCURRENTLY",
            "CONCURRENTLY works on one table with rows; a partitioned table has none",
            concurrently(statement, action),
        )
    return _constraint(table, action.constraint, facts)


def _constraint(table: ReplayedTable, added: ConstraintSpec, facts: RuleFacts) -> tuple[str, str, str] | None:
    if added.kind in _KEYS and added.using_index:
        return (
            f"{added.name or added.using_index} takes over an index of the partitioned table {table.name}",
            "ADD CONSTRAINT ... USING INDEX is for tables with rows of their own",
            "leave it a unique index, which keeps the rows apart just as well",
        )
    if added.kind in _KEYS and _lacking(table, added.columns):
        return _key(table, added.columns)
    if added.kind is ConstraintKind.FOREIGN_KEY and not added.validated and facts.server_major < _NOT_VALID_SINCE:
        return (
            f"a foreign key of the partitioned table {table.name} is added NOT VALID",
            f"PostgreSQL {facts.server_major} knows no foreign key of a partitioned table that is not valid",
            f"add it NOT VALID to each partition of {table.name}, validate it there, and then\n"
            + send(
                f"ALTER TABLE {sql_name(table.name)} ADD CONSTRAINT {sql_name(added.name or 'fk')} FOREIGN KEY"
                f" ({', '.join(map(sql_name, added.columns))}) REFERENCES {sql_name(added.referenced_table)}"
            )
            + "\nwhich takes over those of the partitions",
        )
    return None


def _lacking(table: ReplayedTable, columns: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(column for column in table.partition_by if column not in columns)


def _key(table: ReplayedTable, columns: tuple[str, ...]) -> tuple[str, str, str]:
    lacking = _lacking(table, columns)
    return (
        f"the key ({', '.join(columns)}) of {table.name} lacks {', '.join(lacking)}",
        f"{table.name} is partitioned by {', '.join(table.partition_by)}; each partition sees its own rows only",
        f"{listed((*columns, *lacking))}, or a unique key of each partition",
    )


_LOGS = (
    "CREATE TABLE logs (id integer, day date NOT NULL) PARTITION BY RANGE (day)",
    "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
)
_USERS = "CREATE TABLE users (id integer PRIMARY KEY)"

RULE = Rule(
    name="fail-partitioned",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/ddl-partitioning.html#DDL-PARTITIONING-DECLARATIVE-MAINTENANCE",
    findings=findings,
    examples=(
        Example(
            given=_LOGS,
            body="""
            with op.get_context().autocommit_block():
                op.create_index("ix_logs_id", "logs", ["id"], postgresql_concurrently=True)
            """,
            flagged=True,
            fails=True,
            rewrite=(
                'op.execute("CREATE INDEX ix_logs_id ON ONLY logs (id)")',
                """
                with op.get_context().autocommit_block():
                    op.create_index("ix_logs_1_id", "logs_1", ["id"], postgresql_concurrently=True)
                """,
                'op.execute("ALTER INDEX ix_logs_id ATTACH PARTITION ix_logs_1_id")',
            ),
        ),
        Example(given=_LOGS, body='op.create_unique_constraint("uq_logs", "logs", ["id"])', flagged=True, fails=True),
        Example(given=_LOGS, body='op.create_index("uq_logs", "logs", ["id"], unique=True)', flagged=True, fails=True),
        Example(
            body='op.execute("CREATE TABLE logs (id integer PRIMARY KEY, day date) PARTITION BY RANGE (day)")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=_LOGS,
            earlier=('op.create_index("ix_logs_id", "logs", ["id"])',),
            body="""
            with op.get_context().autocommit_block():
                op.drop_index("ix_logs_id", "logs", postgresql_concurrently=True)
            """,
            flagged=True,
            fails=True,
        ),
        Example(given=_LOGS, body='op.create_unique_constraint("uq_logs", "logs", ["day", "id"])', flagged=False),
        Example(
            given=_LOGS,
            body="""
            with op.get_context().autocommit_block():
                op.create_index("ix_logs_1", "logs_1", ["id"], unique=True, postgresql_concurrently=True)
            """,
            flagged=False,
        ),
        Example(
            given=(*_LOGS, _USERS),
            body='op.create_foreign_key("fk_logs", "logs", "users", ["id"], ["id"])',
            flagged=False,
        ),
    ),
)

"""A partition is attached, detached or made while others wait.

What happens: DETACH PARTITION takes ACCESS EXCLUSIVE on the partitioned table, and everybody who comes after it waits
behind it. ATTACH PARTITION reads all rows of the new partition under ACCESS EXCLUSIVE on it. CREATE TABLE ... PARTITION
OF takes ACCESS EXCLUSIVE on the partitioned table, and reads its default partition.

Why: queries plan with the list of partitions, and a partition may hold rows of its range only.

The safe way: DETACH PARTITION ... CONCURRENTLY (14+), outside a transaction. Before ATTACH a CHECK on the partition
that says the same as its bounds, added with NOT VALID and validated: then no row is read. A new partition is made as a
table by itself and attached.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, CreateTable, Other
from handrail.model.effect import Cost
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_use, others_wait, weight
from handrail.model.hazards.spelling import alone, made_up, revisions, send, sql_name
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Severity

_ACCESS_EXCLUSIVE = "ACCESS EXCLUSIVE"


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each change of partitions that others wait for."""
    for step in revision.steps:
        for statement, action in step.actions():
            told = _told(statement, action, facts)
            if told is not None:
                what, why, fix, severity = told
                yield RULE.at(step, statement, what=what, why=why, fix=fix, severity=weight(step, severity))


def _told(statement: ReviewedStatement, action: Action, facts: RuleFacts) -> tuple[str, str, str, Severity] | None:
    match action:
        case Other(what="DETACH PARTITION", table=table):
            return _detached(statement, table)
        case Other(what="ATTACH PARTITION", table=table):
            return _attached(statement, table, facts)
        case CreateTable(partition_of=parent, table=table) if parent and _locks(statement, parent):
            name = sql_name(table)
            return (
                f"the partition {table} is made while everybody waits for {parent}",
                "CREATE TABLE ... PARTITION OF takes ACCESS EXCLUSIVE on the partitioned table",
                send(f"CREATE TABLE {name} (LIKE {sql_name(parent)} INCLUDING DEFAULTS INCLUDING CONSTRAINTS)")
                + "\n"
                + send(f"ALTER TABLE {sql_name(parent)} ATTACH PARTITION {name} FOR VALUES <its bounds>"),
                Severity.NOTE,
            )
        case _:
            return None


def _locks(statement: ReviewedStatement, table: str) -> bool:
    strong = any(e.relation == table and e.lock == _ACCESS_EXCLUSIVE for e in statement.effects)
    return strong and others_use(statement, table)


def _partition(statement: ReviewedStatement, table: str) -> str:
    return next((e.relation for e in statement.effects if e.relation != table), "")


def _detached(statement: ReviewedStatement, table: str) -> tuple[str, str, str, Severity] | None:
    if not _locks(statement, table):
        return None
    partition = _partition(statement, table)
    return (
        f"the partition {partition} is detached while everybody waits for {table}",
        "DETACH PARTITION without CONCURRENTLY takes ACCESS EXCLUSIVE on the partitioned table",
        alone(send(f"ALTER TABLE {sql_name(table)} DETACH PARTITION {sql_name(partition)} CONCURRENTLY")),
        Severity.WARNING,
    )


def _attached(statement: ReviewedStatement, table: str, facts: RuleFacts) -> tuple[str, str, str, Severity] | None:
    partition = _partition(statement, table)
    known = statement.before.table(partition)
    proved = known is not None and any(c.kind is ConstraintKind.CHECK and c.validated for c in known.constraints)
    looked_at = any(e.relation == partition and e.cost is Cost.SCAN for e in statement.effects)
    if not looked_at or proved or not others_wait(statement, partition, facts):
        return None
    alter, name = f"ALTER TABLE {sql_name(partition)}", sql_name(made_up("ck", partition, "bounds"))
    return (
        f"all rows of {partition} are read under ACCESS EXCLUSIVE while it is attached to {table}",
        "ATTACH PARTITION looks whether each row is within the bounds, where no valid CHECK says so",
        revisions(
            send(f"{alter} ADD CONSTRAINT {name} CHECK (<its bounds>) NOT VALID"),
            send(f"{alter} VALIDATE CONSTRAINT {name}"),
            f"attach {partition}, as it is",
        ),
        Severity.WARNING,
    )


_SCENE = (
    "CREATE TABLE logs (day date NOT NULL, line text) PARTITION BY RANGE (day)",
    "CREATE TABLE logs_1 PARTITION OF logs FOR VALUES FROM ('2026-01-01') TO ('2026-02-01')",
    "CREATE TABLE logs_2 (day date NOT NULL, line text)",
)
_ATTACH = """
op.execute("ALTER TABLE logs ATTACH PARTITION logs_2 FOR VALUES FROM ('2026-02-01') TO ('2026-03-01')")
"""
_CHECK = "ALTER TABLE logs_2 ADD CONSTRAINT ck CHECK (day >= DATE '2026-02-01' AND day < DATE '2026-03-01') NOT VALID"

RULE = Rule(
    name="lock-partition",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-ATTACH-PARTITION",
    findings=findings,
    examples=(
        Example(
            given=_SCENE,
            body='op.execute("ALTER TABLE logs DETACH PARTITION logs_1")',
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.execute("ALTER TABLE logs DETACH PARTITION logs_1 CONCURRENTLY")
                """,
            ),
            leaves_out="CONCURRENTLY leaves a CHECK with the old bounds on the partition",
        ),
        Example(
            given=_SCENE,
            body=_ATTACH,
            flagged=True,
            rewrite=(
                f"op.execute({_CHECK!r})",
                'op.execute("ALTER TABLE logs_2 VALIDATE CONSTRAINT ck")',
                _ATTACH,
            ),
            leaves_out="the CHECK stays, until it is dropped",
        ),
        Example(
            given=_SCENE,
            body="""
            op.execute("CREATE TABLE logs_3 PARTITION OF logs FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')")
            """,
            flagged=True,
        ),
        Example(
            given=_SCENE,
            body="""
            op.execute("CREATE TABLE logs_3 (LIKE logs INCLUDING ALL)")
            op.execute("ALTER TABLE logs ATTACH PARTITION logs_3 FOR VALUES FROM ('2026-03-01') TO ('2026-04-01')")
            """,
            flagged=False,
        ),
        Example(
            body="""
            op.execute("CREATE TABLE logs (day date NOT NULL) PARTITION BY RANGE (day)")
            op.execute("CREATE TABLE logs_1 PARTITION OF logs DEFAULT")
            """,
            flagged=False,
        ),
        Example(given=_SCENE, body=_ATTACH, sizes={"logs_2": 5}, flagged=False),
        Example(
            given=(*_SCENE, "CREATE INDEX ix_logs ON ONLY logs (line)", "CREATE INDEX ix_logs_1 ON logs_1 (line)"),
            body='op.execute("ALTER INDEX ix_logs ATTACH PARTITION ix_logs_1")',
            flagged=False,
        ),
    ),
)

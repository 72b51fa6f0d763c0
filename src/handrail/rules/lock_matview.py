"""A materialized view is refreshed while its readers wait.

What happens: REFRESH MATERIALIZED VIEW holds ACCESS EXCLUSIVE on the view until its query is done: nobody reads it for
that long.

Why: without CONCURRENTLY the server fills a new file and puts it in the place of the old one.

The safe way: REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on columns of the view. Better still:
refresh it from a job, and not in a migration.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import CreateObject, Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_wait, weight
from handrail.model.hazards.spelling import made_up, send, sql_name
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each refresh that keeps readers of a view waiting."""
    for step in revision.steps:
        made: set[str] = set()
        for statement, action in step.actions():
            if isinstance(action, CreateObject):
                made.add(bare(action.name))
            if not isinstance(action, Other) or action.what != "REFRESH MATERIALIZED VIEW":
                continue
            if bare(action.table) in made or not others_wait(statement, action.table, facts):
                continue
            view = sql_name(action.table)
            yield RULE.at(
                step,
                statement,
                what=f"the materialized view {action.table} is refreshed while its readers wait",
                why="REFRESH without CONCURRENTLY holds ACCESS EXCLUSIVE on the view until its query is done",
                fix=send(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {view}")
                + f"\nwhich needs a unique index: CREATE UNIQUE INDEX {made_up('uq', action.table)}"
                f" ON {view} (<columns>)",
                severity=weight(step, RULE.severity),
            )


_GIVEN = (
    "CREATE TABLE users (id integer PRIMARY KEY, team_id integer)",
    "CREATE MATERIALIZED VIEW team_sizes AS SELECT team_id, count(*) AS size FROM users GROUP BY team_id",
    "CREATE UNIQUE INDEX uq_team_sizes ON team_sizes (team_id)",
)

RULE = Rule(
    name="lock-matview",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-refreshmaterializedview.html",
    findings=findings,
    examples=(
        Example(
            given=_GIVEN,
            body='op.execute("REFRESH MATERIALIZED VIEW team_sizes")',
            flagged=True,
            rewrite=('op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY team_sizes")',),
        ),
        Example(
            given=_GIVEN,
            body='op.get_bind().exec_driver_sql("REFRESH MATERIALIZED VIEW team_sizes WITH DATA")',
            flagged=True,
        ),
        Example(given=_GIVEN, body='op.execute("REFRESH MATERIALIZED VIEW CONCURRENTLY team_sizes")', flagged=False),
        Example(
            given=_GIVEN[:1],
            body="""
            op.execute("CREATE MATERIALIZED VIEW ids AS SELECT id FROM users WITH NO DATA")
            op.execute("REFRESH MATERIALIZED VIEW ids")
            """,
            flagged=False,
        ),
    ),
)

"""A right on a table is taken from a role that older application versions may work as.

What happens: from the commit on, statements of that role fail with "permission denied", in versions that are deployed
and in reports nobody thinks of.

Why: rights are looked at for each statement; a connection that is open loses them too.

The safe way: let the applications work as another role first, wait until nobody works as the old one, then revoke.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_use
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table others use on which the upgrade revokes a right."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not isinstance(action, Other) or action.what != "REVOKE" or not action.table:
            continue
        if not others_use(statement, action.table):
            continue
        yield RULE.at(
            step,
            statement,
            what=f"whoever works with the rights that are revoked on {action.table} fails from the commit on",
            why="the server looks at the rights of each statement, in connections that are open too",
            fix="let every version that runs work as a role that keeps its rights, see in pg_stat_activity that\n"
            "nobody works as the other one, and only then revoke; where that has happened, say so:\n"
            f"# handrail: ignore[{RULE.name}] not used since <version>",
        )


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"

RULE = Rule(
    name="compat-revoke",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-revoke.html",
    findings=findings,
    examples=(
        Example(given=(_USERS,), body='op.execute("REVOKE SELECT ON users FROM PUBLIC")', flagged=True),
        Example(given=(_USERS,), body='op.execute("GRANT SELECT ON users TO PUBLIC")', flagged=False),
        Example(
            body="""
            op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))
            op.execute("REVOKE ALL ON notes FROM PUBLIC")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body='op.execute("GRANT SELECT ON users TO PUBLIC")',
            downgrade='op.execute("REVOKE SELECT ON users FROM PUBLIC")',
            flagged=False,
        ),
    ),
)

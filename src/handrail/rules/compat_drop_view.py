"""A view is dropped that older application versions may read.

What happens: each statement of an older version that names the view fails, as with a table.

Why: for whoever reads it a view is a table. One that was made so that an older name goes on working is needed until
the last version with that name is gone.

The safe way: release a version that no longer reads the view, wait until no older one runs, then drop it. A view that
is made again with all of its columns, or whose name a table takes, in the same revision is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import sql_name
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity

_VIEWS = frozenset({"view", "materialized view"})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each view that the upgrade drops for good."""
    step = revision.upgrade
    if step is None:
        return
    names = _made(step)
    for statement, action in step.actions():
        yield from _lost(step, statement, action)
        if not isinstance(action, act.DropObject) or action.kind not in _VIEWS or bare(action.name) in names:
            continue
        yield RULE.at(
            step,
            statement,
            what=f"application versions that read {action.name} fail once it is dropped",
            why="the server refuses every statement that names it",
            fix=f"release a version that does not read {action.name}, wait until no older one runs, and only then\n"
            f'op.execute("DROP {action.kind.upper()} {action.name}")\n'
            f"where that has happened, say so: # handrail: ignore[{RULE.name}] not read since <version>",
        )


def _lost(step: ReviewedStep, statement: ReviewedStatement, action: act.Action) -> Iterator[Finding]:
    """Yield a finding where a view is made again without columns that it had before this step."""
    if not isinstance(action, act.CreateObject) or action.kind not in _VIEWS:
        return
    former = next((o for (k, n), o in step.before.objects.items() if k in _VIEWS and n == bare(action.name)), None)
    if former is None or not former.columns or not action.columns:
        return
    gone = [column for column in former.columns if column not in action.columns]
    if not gone:
        return
    fails = action.replaces and (action.kind, bare(action.name)) in statement.before.objects
    columns = ", ".join(gone)
    yield RULE.at(
        step,
        statement,
        what=f"CREATE OR REPLACE VIEW takes {columns} from {action.name}: upgrade() fails here"
        if fails
        else f"application versions that read {columns} of {action.name} fail once it is made again without",
        why="a view can only be replaced by one with the same columns first"
        if fails
        else "the server refuses every statement that names a column that the view does not show",
        fix=f"go on showing {columns}, as NULL AS {sql_name(gone[0])} where there is nothing left to show,\n"
        f"until no version that reads it runs; where that has happened, say so: "
        f"# handrail: ignore[{RULE.name}] not read since <version>",
    )


def _made(step: ReviewedStep) -> frozenset[str]:
    """Return the names under which this step makes a view or a table."""
    names = set()
    for _, action in step.actions():
        match action:
            case act.CreateObject(kind=kind, name=name) if kind in _VIEWS:
                names.add(bare(name))
            case act.CreateTable(table=name) | act.RenameTable(new_name=name) | act.RenameObject(new_name=name):
                names.add(bare(name))
    return frozenset(names)


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_VIEW = "CREATE VIEW addresses AS SELECT email FROM users"

RULE = Rule(
    name="compat-drop-view",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "mysql", "sqlite"}),
    source="https://www.postgresql.org/docs/current/sql-dropview.html",
    findings=findings,
    examples=(
        Example(given=(_USERS, _VIEW), body='op.execute("DROP VIEW addresses")', flagged=True),
        Example(given=(_USERS, _VIEW), body='op.execute("DROP VIEW IF EXISTS addresses")', flagged=True),
        Example(
            given=(_USERS, _VIEW),
            body="""
            op.execute("DROP VIEW addresses")
            op.execute("CREATE VIEW addresses AS SELECT id, email FROM users")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, _VIEW),
            body="""
            op.execute("DROP VIEW addresses")
            op.rename_table("users", "addresses")
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS, "CREATE VIEW addresses AS SELECT id, lower(email) AS email FROM users"),
            body="""
            op.execute("DROP VIEW addresses")
            op.execute("CREATE VIEW addresses AS SELECT id FROM users")
            """,
            flagged=True,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            given=(_USERS, "CREATE VIEW addresses AS SELECT id, email FROM users"),
            body='op.execute("CREATE OR REPLACE VIEW addresses AS SELECT id FROM users")',
            flagged=True,
            fails=True,
            engines=frozenset({"postgresql"}),
        ),
        Example(
            given=(_USERS,),
            body=f'op.execute("{_VIEW}")',
            downgrade='op.execute("DROP VIEW addresses")',
            flagged=False,
        ),
    ),
)

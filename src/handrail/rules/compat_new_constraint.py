"""A new constraint refuses what older application versions may write.

What happens: from the moment a CHECK, a foreign key or an EXCLUDE stands on columns that older versions write, each of
their writes that breaks it fails. NOT VALID is about the rows that are there, not about those to come.

Why: older versions do not know the constraint. Uniqueness is told by `compat-new-unique`, NOT NULL by
`compat-set-not-null`.

The safe way: release a version that keeps the constraint by itself, wait until no older one runs, then add it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from handrail.model.action import AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.table_change import changes
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Confidence, Severity

_KINDS = frozenset({ConstraintKind.CHECK, ConstraintKind.FOREIGN_KEY, ConstraintKind.EXCLUDE})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each constraint of the upgrade on columns that older versions write."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AddConstraint) or action.constraint.kind not in _KINDS:
            continue
        table, constraint = action.table, action.constraint
        if statement.creates(table) or _of_new_columns(statement, table, constraint) or _was(step, table, constraint):
            continue
        demand = _demand(constraint)
        yield RULE.at(
            step,
            statement,
            what=f"writes of older versions to {table} that break {constraint.name or demand} fail from now on",
            why="they do not know the constraint; NOT VALID only spares the rows that are there",
            fix=f"release a version that keeps {demand} by itself, wait until no older one runs, and add it then",
            confidence=Confidence.LOW,
        )


def _demand(constraint: ConstraintSpec) -> str:
    """Return what a version has to keep, in words that follow "keeps"."""
    if constraint.kind is ConstraintKind.FOREIGN_KEY:
        target = f"{constraint.referenced_table} ({', '.join(constraint.referenced_columns) or 'its key'})"
        return f"{', '.join(constraint.columns)} among those of {target}"
    return constraint.expression or f"the rules of {constraint.name or 'the constraint'}"


def _of_new_columns(statement: ReviewedStatement, table: str, constraint: ConstraintSpec) -> bool:
    """Return whether it is about columns alone that this step adds: older versions do not write them."""
    known = statement.before.table(table)
    if known is None:
        return False
    words = set(re.findall(r"\w+", constraint.expression))
    about = set(constraint.columns) | {column.name for column in known.columns if column.name in words}
    return bool(about) and all(statement.adds(table, column) for column in about)


def _was(step: ReviewedStep, table: str, constraint: ConstraintSpec) -> bool:
    """Return whether a constraint that was there before asked the same."""
    known = step.before.table(table)
    return known is not None and any(
        (old.kind, old.columns, old.expression, old.referenced_table)
        == (constraint.kind, constraint.columns, constraint.expression, constraint.referenced_table)
        for old in known.constraints
    )


_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY)"
_PLAYERS = (
    "CREATE TABLE players (id integer PRIMARY KEY, team_id integer, goals integer,"
    " CONSTRAINT fk_team FOREIGN KEY (team_id) REFERENCES teams (id))"
)
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="compat-new-constraint",
    severity=Severity.NOTE,
    engines=frozenset({"postgresql", "mysql", "sqlite"}),
    source="https://www.postgresql.org/docs/current/ddl-constraints.html",
    findings=findings,
    examples=(
        Example(
            given=(_TEAMS, _PLAYERS),
            body='op.create_check_constraint("ck_goals", "players", "goals >= 0", postgresql_not_valid=True)',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_TEAMS, "CREATE TABLE fans (id integer PRIMARY KEY, team_id integer)"),
            body='op.create_foreign_key("fk_fans", "fans", "teams", ["team_id"], ["id"], postgresql_not_valid=True)',
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body='op.create_check_constraint("ck_goals", "players", "goals >= 0")',
            flagged=True,
            engines=frozenset({"postgresql", "mysql"}),
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            with op.batch_alter_table("players") as batch:
                batch.create_check_constraint("ck_goals", "goals >= 0")
            """,
            flagged=True,
            engines=frozenset({"sqlite"}),
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            op.add_column("players", sa.Column("assists", sa.Integer))
            op.create_check_constraint("ck_assists", "players", "assists >= 0", postgresql_not_valid=True)
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            op.drop_constraint("fk_team", "players", type_="foreignkey")
            op.create_foreign_key("fk_players_team", "players", "teams", ["team_id"], ["id"])
            """,
            flagged=False,
            engines=_PG,
        ),
        Example(
            given=(_TEAMS,),
            body="""
            op.create_table(
                "fans",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("age", sa.Integer),
                sa.CheckConstraint("age > 0", name="ck_fans_age"),
            )
            """,
            flagged=False,
        ),
    ),
)

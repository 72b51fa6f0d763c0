"""A foreign key has no index on its own columns.

What happens: each DELETE of a parent row, and each UPDATE of its key, reads the whole child table to see whether a row
refers to it, and so does every join from parent to children.

Why: PostgreSQL makes an index for the key that is referred to, and none for the columns that refer.

The safe way: an index that begins with the columns of the foreign key, built with CONCURRENTLY where the table is in
use. Right as it is for small tables and for parents that are never deleted.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.replayed import bare
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity

_KEYS = frozenset({ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE})


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each foreign key that upgrade makes and leaves without an index."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        table = step.after.table(getattr(action, "table", ""))
        for key in _keys(action):
            if table is None or not table.complete or not key.columns or _indexed(table, key.columns):
                continue
            columns = ", ".join(key.columns)
            yield RULE.at(
                step,
                statement,
                what=f"the foreign key on {columns} of {bare(table.name)} has no index",
                why=f"each DELETE in {key.referenced_table} reads all of {bare(table.name)}",
                fix="with op.get_context().autocommit_block():\n"
                f'    op.create_index("ix_{bare(table.name)}_{key.columns[0]}", "{table.name}", {list(key.columns)!r},'
                " postgresql_concurrently=True)",
            )


def _keys(action: act.Action) -> Iterator[ConstraintSpec]:
    match action:
        case act.CreateTable(constraints=constraints) | act.AddColumn(constraints=constraints):
            yield from (c for c in constraints if c.kind is ConstraintKind.FOREIGN_KEY)
        case act.AddConstraint(constraint=constraint) if constraint.kind is ConstraintKind.FOREIGN_KEY:
            yield constraint


def _indexed(table: ReplayedTable, columns: tuple[str, ...]) -> bool:
    """Return whether an index, or a key of the table, begins with these columns, in any order."""
    begins = [i.columns for i in table.indexes if not i.where]
    begins += [c.columns for c in table.constraints if c.kind in _KEYS]
    return any(set(some[: len(columns)]) == set(columns) for some in begins)


_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY)"
_PLAYERS = "CREATE TABLE players (id integer PRIMARY KEY, team_id integer)"
_KEY = 'op.create_foreign_key("fk_team", "players", "teams", ["team_id"], ["id"])'

RULE = Rule(
    name="style-fk-no-index",
    severity=Severity.NOTE,
    engines=frozenset({"postgresql", "sqlite"}),
    source="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK",
    findings=findings,
    style=True,
    examples=(
        Example(
            given=(_TEAMS,),
            body="""
            op.create_table(
                "fans",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id", name="fk_fans_team_id")),
            )
            """,
            flagged=True,
        ),
        Example(given=(_TEAMS, _PLAYERS), body=_KEY, flagged=True, engines=frozenset({"postgresql"})),
        Example(
            given=(_TEAMS,),
            body="""
            op.create_table(
                "fans",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id", name="fk_fans_team_id"), index=True),
            )
            """,
            flagged=False,
        ),
        Example(
            given=(_TEAMS, _PLAYERS, "CREATE INDEX ix_team ON players (team_id, id)"),
            body=_KEY,
            flagged=False,
            engines=frozenset({"postgresql"}),
        ),
    ),
)

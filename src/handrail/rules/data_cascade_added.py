"""Deleting a row takes rows of another table with it from now on.

What happens: a foreign key gets ON DELETE CASCADE. What the server refused until now, deleting a parent that has
children, deletes the children too, and theirs, without a word.

Why: old versions of the application rely on the refusal. Whoever deletes one row by hand learns of it afterwards.

The safe way: delete the children where the parent is deleted, in the application, and keep the refusal. Where the
cascade is meant, say so, after every version that relies on the refusal is gone.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddConstraint, DropConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.table_change import changes
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity

_CASCADE = "CASCADE"


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each foreign key of the upgrade that cascades deletes where none did."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in changes(step):
        if not isinstance(action, AddConstraint) or not _cascades(statement, action):
            continue
        table, key = action.table, action.constraint
        former = _former(step, table, key)
        if any(one.on_delete == _CASCADE for one in former):
            continue
        switched = bool(former) or _replaces(step, table)
        yield RULE.at(
            step,
            statement,
            what=f"deleting a row of {key.referenced_table} deletes the rows of {table} that refer to it from now on",
            why="it was refused before" if switched else "it left them alone before",
            fix=f"leave ON DELETE CASCADE out, and delete the rows of {table} where those of {key.referenced_table} are"
            f" deleted; where it is meant: # handrail: ignore[{RULE.name}] who deletes {key.referenced_table}",
            severity=None if switched else Severity.NOTE,
        )


def _cascades(statement: ReviewedStatement, action: AddConstraint) -> bool:
    """Return whether it is a foreign key that deletes rows which are there: not of a table or column made here."""
    key = action.constraint
    if key.kind is not ConstraintKind.FOREIGN_KEY or key.on_delete != _CASCADE or statement.creates(action.table):
        return False
    return not (key.columns and all(statement.adds(action.table, column) for column in key.columns))


def _former(step: ReviewedStep, table: str, key: ConstraintSpec) -> list[ConstraintSpec]:
    known = step.before.table(table)
    return [old for old in known.foreign_keys if old.columns == key.columns] if known else []


def _replaces(step: ReviewedStep, table: str) -> bool:
    """Return whether a constraint of a table that nobody saw being made is dropped for it."""
    known = step.before.table(table)
    return (known is None or not known.complete) and any(
        isinstance(action, DropConstraint) and bare(action.table) == bare(table) for _, action in step.actions()
    )


_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY)"
_PLAYERS = (
    "CREATE TABLE players (id integer PRIMARY KEY, team_id integer, other_id integer,"
    " CONSTRAINT fk_team FOREIGN KEY (team_id) REFERENCES teams (id))"
)
_PG = frozenset({"postgresql"})
_SERVERS = frozenset({"postgresql", "mysql"})

RULE = Rule(
    name="data-cascade-added",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql", "mysql", "sqlite"}),
    source="https://www.postgresql.org/docs/current/ddl-constraints.html#DDL-CONSTRAINTS-FK",
    findings=findings,
    examples=(
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            op.drop_constraint("fk_team", "players", type_="foreignkey")
            op.create_foreign_key("fk_team", "players", "teams", ["team_id"], ["id"], ondelete="CASCADE")
            """,
            flagged=True,
            engines=_SERVERS,
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            op.execute(
                "ALTER TABLE players DROP CONSTRAINT fk_team, ADD CONSTRAINT fk_team FOREIGN KEY (team_id)"
                " REFERENCES teams ON DELETE CASCADE NOT VALID"
            )
            """,
            flagged=True,
            engines=_PG,
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            with op.batch_alter_table("players") as batch:
                batch.drop_constraint("fk_team", type_="foreignkey")
                batch.create_foreign_key("fk_team", "teams", ["team_id"], ["id"], ondelete="CASCADE")
            """,
            flagged=True,
            engines=frozenset({"sqlite"}),
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            op.create_foreign_key("fk_other", "players", "teams", ["other_id"], ["id"], ondelete="CASCADE")
            """,
            flagged=True,
            engines=_SERVERS,
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            op.drop_constraint("fk_team", "players", type_="foreignkey")
            op.create_foreign_key("fk_team", "players", "teams", ["team_id"], ["id"], ondelete="SET NULL")
            """,
            flagged=False,
            engines=_SERVERS,
        ),
        Example(
            given=(_TEAMS,),
            body="""
            op.create_table(
                "players",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id", name="fk_team", ondelete="CASCADE")),
            )
            """,
            flagged=False,
        ),
        Example(
            given=(_TEAMS, _PLAYERS),
            body="""
            op.add_column("players", sa.Column("next_id", sa.Integer))
            op.create_foreign_key("fk_next", "players", "teams", ["next_id"], ["id"], ondelete="CASCADE")
            """,
            flagged=False,
            engines=_PG,
        ),
    ),
)

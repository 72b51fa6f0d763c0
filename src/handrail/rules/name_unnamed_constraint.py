"""A constraint is made without a name.

What happens: the server makes a name up, or keeps none (SQLite). A later revision that drops or alters the
constraint has to guess it, and the guess may hold on one database and not on the next.

Why: made-up names depend on the server, its version and on what other names are taken. `op.create_foreign_key(None,
...)` and `unique=True` on a column that is added give no name; a `naming_convention` on the metadata gives one to
all.

The safe way: name it: `op.create_unique_constraint("uq_users_email", "users", ["email"])`. The primary key of a new
table and what CREATE TABLE says of its own columns are told as a note.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.spelling import constraint_name
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each constraint without a name that upgrade makes."""
    step = revision.upgrade
    if step is None:
        return
    made: tuple[ConstraintSpec, ...]
    for statement, action in step.actions():
        match action:
            case act.AddConstraint(table=table, constraint=constraint):
                made, severity = (constraint,), None
            case act.AddColumn(table=table, constraints=constraints):
                made, severity = constraints, None
            case act.CreateTable(table=table, constraints=constraints) if not table.startswith("_alembic_tmp_"):
                made, severity = _worth_a_name(constraints), Severity.NOTE
            case _:
                continue
        for constraint in made:
            if constraint.name or constraint.using_index:
                continue
            table = bare(table)
            name = constraint_name(table, constraint)
            yield RULE.at(
                step,
                statement,
                what=f"a {constraint.kind.value} of {table} is made without a name",
                why="the server makes one up, and a later drop has to guess it",
                fix=f'name it, for example "{name}", or set a naming_convention on the metadata',
                severity=severity,
            )


def _worth_a_name(constraints: tuple[ConstraintSpec, ...]) -> tuple[ConstraintSpec, ...]:
    return tuple(c for c in constraints if c.kind is not ConstraintKind.PRIMARY_KEY)


_GIVEN = ("CREATE TABLE teams (id integer PRIMARY KEY)", "CREATE TABLE users (id integer, team_id integer, email text)")
_PG = frozenset({"postgresql"})

RULE = Rule(
    name="name-unnamed-constraint",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/naming.html",
    findings=findings,
    baseline=True,
    examples=(
        Example(given=_GIVEN, body='op.create_unique_constraint(None, "teams", ["id"])', flagged=True, engines=_PG),
        Example(
            given=_GIVEN,
            body='op.create_foreign_key(None, "users", "teams", ["team_id"], ["id"])',
            flagged=True,
            engines=_PG,
        ),
        Example(given=_GIVEN, body='op.execute("ALTER TABLE users ADD CHECK (id > 0)")', flagged=True, engines=_PG),
        Example(
            given=_GIVEN,
            body='op.execute("ALTER TABLE users ADD COLUMN boss integer REFERENCES teams (id)")',
            flagged=True,
            engines=frozenset({"postgresql", "sqlite"}),
        ),
        Example(
            body='op.create_table("tags", sa.Column("id", sa.Integer), sa.UniqueConstraint("id"))',
            flagged=True,
        ),
        Example(
            given=_GIVEN,
            body='op.create_unique_constraint("uq_teams_id", "teams", ["id"])',
            flagged=False,
            engines=_PG,
        ),
        Example(
            body="""
            op.create_table(
                "tags",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.String(20)),
                sa.UniqueConstraint("name", name="uq_tags_name"),
            )
            """,
            flagged=False,
        ),
    ),
)

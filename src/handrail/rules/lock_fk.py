"""A foreign key is added and all rows are compared while writes to both tables wait.

What happens: ADD FOREIGN KEY holds SHARE ROW EXCLUSIVE on the table and on the one it points to: no row of either can
be written until every row was looked up.

Why: the server has to know that no row points to nothing. NOT VALID puts that off: new rows are checked from then on,
and VALIDATE CONSTRAINT looks at the old ones later, while others read and write.

The safe way: add it with NOT VALID, and validate it in a later revision. `sa.ForeignKey` in a column that is added
sends the same statement: add the column without it first.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import AddColumn, AddConstraint
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import counted, others_wait, weight
from handrail.model.hazards.spelling import listed, made_up, revisions, send, sql_name, table_words
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ConstraintSpec
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each foreign key that is added as valid to a table others use."""
    for step in revision.steps:
        for statement, action in step.actions():
            if not isinstance(action, AddConstraint | AddColumn) or not others_wait(statement, action.table, facts):
                continue
            # The server does not look at the rows where the statement adds the column too, as NULL: parse_utilcmd.c.
            unread = isinstance(action, AddColumn) and action.column.default is None
            added = action.constraints if isinstance(action, AddColumn) else (action.constraint,)
            for key in added:
                if key.kind is not ConstraintKind.FOREIGN_KEY or not key.validated:
                    continue
                both = f"{action.table} and {key.referenced_table}"
                yield RULE.at(
                    step,
                    statement,
                    what=f"the foreign key on {', '.join(key.columns)} keeps writes to {both} waiting"
                    + ("" if unread else " while all rows are looked up"),
                    why="ADD FOREIGN KEY holds SHARE ROW EXCLUSIVE on both tables until the transaction ends"
                    + counted(action.table, facts),
                    fix=_fix(action.table, key),
                    severity=Severity.NOTE if unread else weight(step, RULE.severity),
                )


def _fix(table: str, key: ConstraintSpec) -> str:
    name = key.name or made_up("fk", table, *key.columns, key.referenced_table)
    quoted, schema = table_words(table)
    there, schema_there = table_words(key.referenced_table)
    on_delete = f', ondelete="{key.on_delete}"' if key.on_delete else ""
    schemas = schema.replace("schema=", "source_schema=") + schema_there.replace("schema=", "referent_schema=")
    return revisions(
        f'op.create_foreign_key("{name}", {quoted}, {there}, {listed(key.columns)},'
        f" {listed(key.referenced_columns or ('id',))}{schemas}{on_delete}, postgresql_not_valid=True)",
        send(f"ALTER TABLE {sql_name(table)} VALIDATE CONSTRAINT {sql_name(name)}"),
    )


_SCENE = (
    "CREATE TABLE teams (id integer PRIMARY KEY)",
    "CREATE TABLE players (id integer PRIMARY KEY, team_id integer)",
)

RULE = Rule(
    name="lock-fk",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT",
    findings=findings,
    examples=(
        Example(
            given=_SCENE,
            body='op.create_foreign_key("fk_team", "players", "teams", ["team_id"], ["id"])',
            flagged=True,
            rewrite=(
                """
                op.create_foreign_key(
                    "fk_team", "players", "teams", ["team_id"], ["id"], postgresql_not_valid=True
                )
                """,
                'op.execute("ALTER TABLE players VALIDATE CONSTRAINT fk_team")',
            ),
        ),
        Example(
            given=_SCENE,
            body='op.add_column("players", sa.Column("club_id", sa.Integer, sa.ForeignKey("teams.id")))',
            flagged=True,
        ),
        Example(
            given=_SCENE,
            body='op.execute("ALTER TABLE players ADD FOREIGN KEY (team_id) REFERENCES teams ON DELETE CASCADE")',
            flagged=True,
        ),
        Example(
            given=_SCENE,
            body='op.execute("ALTER TABLE players ADD COLUMN club_id integer REFERENCES teams (id)")',
            flagged=True,
        ),
        Example(
            given=_SCENE,
            body="""
            with op.batch_alter_table("players") as batch:
                batch.create_foreign_key("fk_team", "teams", ["team_id"], ["id"])
            """,
            flagged=True,
        ),
        Example(
            given=_SCENE,
            body="""
            def link(table, column, to):
                op.create_foreign_key(f"fk_{table}_{column}", table, to, [column], ["id"])

            for table, column, to in [("players", "team_id", "teams")]:
                link(table, column, to)
            """,
            flagged=True,
        ),
        Example(
            given=_SCENE,
            body="""
            op.create_foreign_key("fk_team", "players", "teams", ["team_id"], ["id"], postgresql_not_valid=True)
            """,
            flagged=False,
        ),
        Example(
            given=_SCENE,
            earlier=(
                'op.execute("ALTER TABLE players ADD CONSTRAINT fk FOREIGN KEY (team_id) REFERENCES teams NOT VALID")',
            ),
            body='op.execute("ALTER TABLE players VALIDATE CONSTRAINT fk")',
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body="""
            op.create_table("coaches", sa.Column("id", sa.Integer), sa.Column("team_id", sa.Integer))
            op.create_foreign_key("fk_team", "coaches", "teams", ["team_id"], ["id"])
            """,
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body="""
            op.create_table(
                "coaches",
                sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id")),
            )
            """,
            flagged=False,
        ),
        Example(
            given=_SCENE,
            body='op.create_foreign_key("fk_team", "players", "teams", ["team_id"], ["id"])',
            sizes={"players": 300, "teams": 5_000_000},
            flagged=False,
        ),
    ),
)

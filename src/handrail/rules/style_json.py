"""A column of type json, where jsonb is meant.

What happens: `json` keeps the text as it came: it cannot be compared with `=`, so that DISTINCT, UNION and GROUP BY
over the column fail, and it is parsed again for each access.

Why: `sa.JSON` is `json` on PostgreSQL. Only `jsonb` can be compared and indexed.

The safe way: `sa.dialects.postgresql.JSONB`, or `sa.JSON().with_variant(JSONB(), "postgresql")`. Right as it is
where the text itself, with its spaces and the order of its keys, has to be kept.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each column that upgrade makes a json."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        for table, column in _json(action):
            yield RULE.at(
                step,
                statement,
                what=f"{bare(table)}.{column} is json, not jsonb",
                why="json cannot be compared with =, so DISTINCT, UNION and GROUP BY over it fail",
                fix=f'sa.Column("{column}", postgresql.JSONB)',
            )


def _json(action: act.Action) -> Iterator[tuple[str, str]]:
    match action:
        case act.CreateTable(table=table, columns=columns):
            yield from ((table, c.name) for c in columns if c.type == "json")
        case act.AddColumn(table=table, column=column) if column.type == "json":
            yield table, column.name
        case act.AlterType(table=table, column=name, type="json"):
            yield table, name


RULE = Rule(
    name="style-json",
    severity=Severity.NOTE,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/datatype-json.html",
    findings=findings,
    style=True,
    examples=(
        Example(body='op.create_table("t", sa.Column("doc", sa.JSON))', flagged=True),
        Example(
            given=("CREATE TABLE t (id integer)",), body='op.add_column("t", sa.Column("d", sa.JSON))', flagged=True
        ),
        Example(body='op.execute("CREATE TABLE t (doc json)")', flagged=True),
        Example(body='op.execute("CREATE TABLE t (doc jsonb)")', flagged=False),
        Example(body='op.create_table("json", sa.Column("json", sa.Text))', flagged=False),
    ),
)

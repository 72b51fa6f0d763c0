"""Something is dropped or retyped that a view, a foreign key or a column is built on.

What happens: the statement fails: "other objects depend on it", "cannot alter type of a column used by a view".

Why: a view is kept as what its query meant when it was made, and a foreign key needs the key it points at. The server
lets nothing be taken from under them unless CASCADE takes them too.

The safe way: in the same revision drop the view first and make it again afterwards; drop the foreign key, or its table,
before what it points at. CASCADE drops whatever is there, more than anybody has listed.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Action, DropTable
from handrail.model.finding import Finding
from handrail.model.hazards.in_use import in_use, views_in_the_way
from handrail.model.hazards.spelling import send, sql_name
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each statement of the upgrade that takes what is in use; downgrades are `sym-order`'s."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not statement.certain:
            continue
        told = in_use(statement, action, facts.engine)
        if told:
            yield RULE.at(
                step,
                statement,
                what=f"upgrade() {told}: it fails here",
                why="the server drops and retypes nothing that something else is built on",
                fix=_fix(statement, action),
            )


def _fix(statement: ReviewedStatement, action: Action) -> str:
    views = views_in_the_way(statement.before, action)
    if not views:
        return "take what refers to it away first, in its own line above this one"
    kinds = {bare(o.name): o.kind for o in statement.before.objects.values()}
    named = [(kinds.get(bare(view), "view").upper(), sql_name(view)) for view in views]
    before = "\n".join(send(f"DROP {kind} {name}") for kind, name in named)
    after = "\n".join(send(f"CREATE {kind} {name} AS <its query>") for kind, name in named)
    return f"{before}\nthen this line as it is" + ("" if isinstance(action, DropTable) else f", and then\n{after}")


_TEAMS = "CREATE TABLE teams (id integer PRIMARY KEY, name varchar(50), city text)"
_USERS = "CREATE TABLE users (id integer PRIMARY KEY, team_id integer REFERENCES teams (id))"
_VIEW = "CREATE VIEW names AS SELECT t.name FROM teams AS t WHERE t.id > 0"
_RETYPE = 'op.alter_column("teams", "name", type_=sa.Text())'

RULE = Rule(
    name="fail-in-use",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/ddl-depend.html",
    findings=findings,
    examples=(
        Example(
            given=(_TEAMS, _VIEW),
            body=_RETYPE,
            flagged=True,
            fails=True,
            rewrite=(f'op.execute("DROP VIEW names")\n{_RETYPE}\nop.execute("{_VIEW}")',),
        ),
        Example(given=(_TEAMS, _VIEW), body='op.drop_column("teams", "id")', flagged=True, fails=True),
        Example(given=(_TEAMS, _VIEW), body='op.drop_table("teams")', flagged=True, fails=True),
        Example(given=(_TEAMS, _USERS), body='op.drop_table("teams")', flagged=True, fails=True),
        Example(
            given=("CREATE TABLE teams (id integer, CONSTRAINT key PRIMARY KEY (id))", _USERS),
            body='op.drop_constraint("key", "teams", type_="primary")',
            flagged=True,
            fails=True,
        ),
        Example(
            given=("CREATE TYPE mood AS ENUM ('sad', 'ok')", "CREATE TABLE days (mood mood)"),
            body='op.execute("DROP TYPE mood")',
            flagged=True,
            fails=True,
        ),
        Example(given=(_TEAMS, _VIEW), body='op.drop_column("teams", "city")', flagged=False),
        Example(
            given=(_TEAMS, _VIEW),
            body=f'op.execute("DROP VIEW names")\n{_RETYPE}\nop.execute("{_VIEW}")',
            flagged=False,
        ),
        Example(
            given=(_TEAMS, _USERS),
            body='op.drop_table("users")\nop.drop_table("teams")',
            flagged=False,
        ),
        Example(given=(_TEAMS, _USERS), body='op.execute("DROP TABLE teams, users")', flagged=False),
        Example(given=(_TEAMS, _USERS), body='op.execute("DROP TABLE teams CASCADE")', flagged=False),
        Example(given=(_TEAMS, _VIEW), body='op.alter_column("teams", "name", new_column_name="title")', flagged=False),
    ),
)

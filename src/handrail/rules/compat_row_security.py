"""Row security is switched on for a table that older application versions use.

What happens: every role but the table's owner sees and writes only the rows that a policy lets it. Without a policy
these are none: older versions read an empty table, and their INSERTs fail.

Why: what is not allowed by a policy is denied. Older versions do not set what new policies look at, such as
`current_setting('app.user_id')`.

The safe way: a policy that allows everything first, in the same revision; narrower ones take its place when every
version that runs sets what they look at.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import Other
from handrail.model.finding import Finding
from handrail.model.hazards.bystander import others_use
from handrail.model.hazards.spelling import made_up, send, sql_name
from handrail.model.replayed import Replayed, bare
from handrail.model.reviewed import ReviewedRevision
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each table others use on which the upgrade switches row security on."""
    step = revision.upgrade
    if step is None:
        return
    for statement, action in step.actions():
        if not isinstance(action, Other) or action.what != "ENABLE ROW SECURITY":
            continue
        table = action.table
        if not others_use(statement, table):
            continue
        policies = _policies(step.after, table)
        if _ALL in policies:
            continue
        told = f"what {', '.join(policies)} allows" if policies else "nothing, for want of a policy"
        name = sql_name(made_up(_ALL, table))
        yield RULE.at(
            step,
            statement,
            what=f"roles that do not own {table} see {told}, older application versions too",
            why="with row security on, a row that no policy allows is not there",
            fix="in the same revision, above this line:\n"
            + send(f"CREATE POLICY {name} ON {sql_name(table)} USING (true) WITH CHECK (true)")
            + "\nand drop it when every version that runs sets what the other policies look at",
        )


def _policies(schema: Replayed, table: str) -> list[str]:
    """Return the names of the table's policies; `allow_all` stands for each that lets every row through."""
    found = [o for o in schema.objects.values() if o.kind == "policy" and bare(o.table) == bare(table)]
    return sorted({_ALL if o.definition == "true" else o.name for o in found})


_ALL = "allow_all"
_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email text)"
_ON = 'op.execute("ALTER TABLE users ENABLE ROW LEVEL SECURITY")'

RULE = Rule(
    name="compat-row-security",
    severity=Severity.WARNING,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/ddl-rowsecurity.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body=_ON,
            flagged=True,
            rewrite=(f'op.execute("CREATE POLICY all_users ON users USING (true) WITH CHECK (true)")\n{_ON}',),
            leaves_out="the policy that allows everything",
        ),
        Example(
            given=(_USERS,),
            body=f"""
            op.execute("CREATE POLICY own ON users USING (email = current_setting('app.email'))")
            {_ON}
            """,
            flagged=True,
        ),
        Example(
            body="""
            op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))
            op.execute("ALTER TABLE notes ENABLE ROW LEVEL SECURITY")
            """,
            flagged=False,
        ),
        Example(given=(_USERS,), body='op.execute("ALTER TABLE users DISABLE ROW LEVEL SECURITY")', flagged=False),
    ),
)

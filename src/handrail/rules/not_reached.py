"""An operation stands behind a question to the database, and was not reached.

What happens: a review has no database: every query answers with no row. What runs only where there is one was neither
read nor reviewed, and no other rule has seen it.

Why: `if conn.execute(...).scalar():` and a loop over rows go on by what is there. In production it may be there.

The safe way: leave the question out, and say IF EXISTS or `if_exists=True` where a database may lack the thing; the
inspector of the schema is answered from the revisions before. Where the question has to stay, review the line by hand
and say so: `# handrail: ignore[not-reached] what it does`.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

from handrail.model.finding import Finding
from handrail.model.hazards.syntax import syntax
from handrail.model.operation import Reading
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity

#: What alters the schema, of op and of the object in a batch.
_ALTERING = frozenset(
    {
        "add_column",
        "alter_column",
        "create_check_constraint",
        "create_exclude_constraint",
        "create_foreign_key",
        "create_index",
        "create_primary_key",
        "create_unique_constraint",
        "drop_column",
        "drop_constraint",
        "drop_index",
        "drop_table",
        "rename_table",
    }
)  # fmt: skip - a list of words
#: A question that the engine answers, which is known, and not its rows.
_OF_ENGINE = re.compile(r"dialect|sqlite|mysql|maria|postgres|mssql|oracle", re.IGNORECASE)
#: The first word of SQL that alters the schema, or empties a table.
_DDL = re.compile(r"\s*(?:ALTER|CREATE|DROP|RENAME|TRUNCATE)\b", re.IGNORECASE)
_SHOWN = 60


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each schema change of an upgrade, read in part, that did not run while it was read.

    Of the functions that it calls each is told by the first.
    """
    step = revision.upgrade
    if step is None or step.reading is not Reading.DATA_DEPENDENT:
        return
    reached = _reached(step, str(revision.revision.path))
    told: set[str] = set()
    for function, first, last, call in _calls(revision.revision.source):
        if function not in told and reached.isdisjoint(range(first, last + 1)):
            told |= {function} - {"upgrade"}
            shown = ast.unparse(call)
            yield RULE.at(
                step,
                revision.line(call.lineno),
                what=f"{shown if len(shown) <= _SHOWN else f'{shown[:_SHOWN]}...'} was not reached, and not reviewed",
                why="it runs or not by what the database answers; here every query answers with no row",
                fix="without the question: if_exists=True, if_not_exists=True or IF EXISTS in its SQL;\n"
                f"or review this line by hand and say so: # handrail: ignore[{RULE.name}] what it does",
                confidence=Confidence.LOW,
            )


def _reached(step: ReviewedStep, file: str) -> frozenset[int]:
    """Return the lines of the file from which an operation or a statement came."""
    places = [o.place for o in step.operations] + [s.place for s in step.statements]
    return frozenset(place.line for place in places if place is not None and place.file == file)


def _calls(source: str) -> Iterator[tuple[str, int, int, ast.Call]]:
    """Yield each call that alters the schema in upgrade() and in what it calls: with the function, and its lines.

    The lines are those of the batch around it, where there is one.
    """
    tree = syntax(source)
    functions = {n.name: n for n in (tree.body if tree is not None else []) if isinstance(n, ast.FunctionDef)}
    unread, read = ["upgrade"], set[str]()
    while unread:
        name = unread.pop()
        if name in read or name not in functions:
            continue
        read.add(name)
        batches = [n for n in ast.walk(functions[name]) if isinstance(n, ast.With) and _is_batch(n)]
        for call in _here(functions[name]):
            if isinstance(call.func, ast.Name):
                unread.append(call.func.id)
            elif _alters(call):
                around = next((b for b in batches if b.lineno <= call.lineno <= (b.end_lineno or b.lineno)), call)
                yield name, around.lineno, around.end_lineno or around.lineno, call


def _here(function: ast.FunctionDef) -> Iterator[ast.Call]:
    """Yield the calls of a function but those of another engine's branch."""
    asked = [n for n in ast.walk(function) if isinstance(n, ast.If) and _OF_ENGINE.search(ast.unparse(n.test))]
    elsewhere = {id(n) for branch in asked for n in ast.walk(branch)}
    yield from (n for n in ast.walk(function) if isinstance(n, ast.Call) and id(n) not in elsewhere)


def _is_batch(block: ast.With) -> bool:
    return any("batch_alter_table" in ast.unparse(item) for item in block.items)


def _alters(call: ast.Call) -> bool:
    """Return whether it is an operation that alters the schema, or sends SQL which does."""
    if not isinstance(call.func, ast.Attribute):
        return False
    if call.func.attr != "execute" or not call.args:
        return call.func.attr in _ALTERING
    texts = (n.value for n in ast.walk(call.args[0]) if isinstance(n, ast.Constant) and isinstance(n.value, str))
    return _DDL.match(next(texts, "")) is not None


_USERS = "CREATE TABLE users (id integer PRIMARY KEY, email varchar(50))"
_ASK = 'there = op.get_bind().execute(sa.text("SELECT 1 FROM users WHERE id = 0")).scalar()'

RULE = Rule(
    name="not-reached",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/offline.html",
    findings=findings,
    examples=(
        Example(
            given=(_USERS,),
            body=f'{_ASK}\nif there:\n    op.drop_column("users", "email")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body=f'{_ASK}\nif there:\n    with op.batch_alter_table("users") as batch:\n'
            '        batch.drop_column("email")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body=f'{_ASK}\nif there:\n    op.execute("DROP TABLE users")',
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body="""
            for name in op.get_bind().execute(sa.text("SELECT email FROM users")).scalars():
                op.get_bind().execute(sa.text(f"DROP TABLE {name}"))
            """,
            flagged=True,
        ),
        Example(
            given=(_USERS,),
            body=f'{_ASK}\nif not there:\n    op.execute("ALTER TABLE users ADD COLUMN age integer")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=f'{_ASK}\nif not there:\n    op.add_column("users", sa.Column("age", sa.Integer))',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=f'{_ASK}\nwith op.batch_alter_table("users") as batch:\n'
            '    batch.add_column(sa.Column("age", sa.Integer))',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            for row in op.get_bind().execute(sa.text("SELECT id FROM users")):
                op.execute(sa.text("UPDATE users SET email = 'none' WHERE id = :id").bindparams(id=row.id))
            """,
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body=f'{_ASK}\nif op.get_bind().dialect.name == "oracle" and there:\n    op.drop_table("users")',
            flagged=False,
        ),
        Example(
            given=(_USERS,),
            body="""
            if op.get_bind().dialect.name == "oracle":
                op.drop_table("users")
            """,
            flagged=False,
        ),
    ),
)

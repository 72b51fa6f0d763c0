"""An enum's value or type gets another name, is dropped, or loses values, while older application versions use them.

What happens: an old version that writes or compares the old value fails: "invalid input value for enum". One that
casts to the type's old name, as drivers do with bound parameters, fails too.

Why: a value of an enum has one name, and every row shows the new one from the commit on; an old version does not know
it and fails when it reads it.

The safe way: add the new value, write it from the next release on, change the rows in batches, and leave the old
value: it costs nothing. To remove values, move to a new column and a new type. A type that is made anew under its old
name with all its values is accepted.
"""

from __future__ import annotations

from collections.abc import Iterator

from handrail.model.action import CreateEnum, DropObject, RenameEnumValue, RenameObject
from handrail.model.finding import Finding
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import Example, Rule, RuleFacts
from handrail.model.verdict import Confidence, Severity


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding for each enum of an older version that the upgrade renames or takes values from."""
    step = revision.upgrade
    if step is None:
        return
    made: set[str] = set()
    for statement, action in step.actions():
        match action:
            case CreateEnum(name=name):
                made.add(bare(name))
            case RenameEnumValue(name=name, value=value, new_value=new) if bare(name) not in made:
                yield RULE.at(
                    step,
                    statement,
                    what=f"application versions that know {value!r} of {name} fail once it is {new!r}",
                    why="every row shows the new name from the commit on",
                    fix="with op.get_context().autocommit_block():\n"
                    f"    op.execute(\"ALTER TYPE {name} ADD VALUE '{new}'\")\n"
                    f"then write {new!r} from the next release on, and leave {value!r} where it is",
                )
            case RenameObject(kind="type", name=name) if _unseen(step, statement, name):
                yield RULE.at(
                    step,
                    statement,
                    what=f"application versions that cast to {name} fail once it has another name",
                    why="drivers cast bound parameters to the type",
                    fix=f"leave the name {name}",
                    severity=Severity.WARNING,
                    confidence=Confidence.LOW,
                )
            case RenameObject(kind="type", name=name) | DropObject(kind="type", name=name) if bare(name) not in made:
                end = "is dropped" if isinstance(action, DropObject) else "has another name"
                yield from _of_type(step, statement, bare(name), end)
            case _:
                pass


def _unseen(step: ReviewedStep, statement: ReviewedStatement, name: str) -> bool:
    """Return whether a type that the history does not show gets another name, and none takes its place."""
    known = bare(name) in statement.before.enums or ("type", bare(name)) in statement.before.objects
    return not known and bare(name) not in step.after.enums


def _of_type(step: ReviewedStep, statement: ReviewedStatement, name: str, end: str) -> Iterator[Finding]:
    """Yield what is wrong where the name of an enum that is known is gone, or stands for fewer values, at the end."""
    before, after = statement.before.enums.get(name), step.after.enums.get(name)
    if before is None or (after is None and name not in _used(step)):
        return
    lost = [value for value in before if value not in (after or ())]
    if lost:
        yield RULE.at(
            step,
            statement,
            what=f"application versions that use {', '.join(map(repr, lost))} of {name} fail"
            if after is not None
            else f"application versions that cast to {name} fail once it {end}",
            why="the type no longer takes them" if after is not None else "drivers cast bound parameters to the type",
            fix=f"leave {', '.join(map(repr, lost))} in {name}: a value that nobody writes costs nothing"
            if after is not None
            else f"leave the {'type' if end == 'is dropped' else 'name'} {name}",
        )


def _used(step: ReviewedStep) -> set[str]:
    """Return the types of columns that were there before and are there after the step, under their old names."""
    return {
        column.type
        for table in step.before.tables.values()
        for column in table.columns
        if isinstance(column.type, str) and step.after.column(table.name, column.name) is not None
    }


_STATE = "CREATE TYPE state AS ENUM ('on', 'off')"
_JOBS = "CREATE TABLE jobs (id integer PRIMARY KEY, state state)"

RULE = Rule(
    name="compat-enum-rename",
    severity=Severity.ERROR,
    engines=frozenset({"postgresql"}),
    source="https://www.postgresql.org/docs/current/sql-altertype.html",
    findings=findings,
    examples=(
        Example(
            given=(_STATE, _JOBS),
            body="op.execute(\"ALTER TYPE state RENAME VALUE 'on' TO 'running'\")",
            flagged=True,
            rewrite=(
                """
                with op.get_context().autocommit_block():
                    op.execute("ALTER TYPE state ADD VALUE 'running'")
                """,
            ),
            leaves_out="the old value stays",
        ),
        Example(
            given=(_STATE, _JOBS),
            body='op.execute("ALTER TYPE state RENAME TO job_state")',
            flagged=True,
        ),
        Example(
            given=(_STATE, _JOBS),
            body="""
            op.execute("ALTER TYPE state RENAME TO state_old")
            op.execute("CREATE TYPE state AS ENUM ('on')")
            op.execute("ALTER TABLE jobs ALTER state TYPE state USING state::text::state")
            op.execute("DROP TYPE state_old")
            """,
            flagged=True,
        ),
        Example(
            given=(_STATE, _JOBS),
            body="""
            op.execute("ALTER TYPE state RENAME TO state_old")
            op.execute("CREATE TYPE state AS ENUM ('on', 'off', 'paused')")
            op.execute("ALTER TABLE jobs ALTER state TYPE state USING state::text::state")
            op.execute("DROP TYPE state_old")
            """,
            flagged=False,
        ),
        Example(
            given=(_STATE, _JOBS),
            body="""
            with op.get_context().autocommit_block():
                op.execute("ALTER TYPE state ADD VALUE IF NOT EXISTS 'paused'")
            """,
            flagged=False,
        ),
        Example(
            body="""
            op.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
            op.execute("ALTER TYPE mood RENAME VALUE 'ok' TO 'fine'")
            """,
            flagged=False,
        ),
        Example(
            body='op.execute("ALTER TYPE mood RENAME TO feeling")',
            flagged=True,
            not_run="its type was made elsewhere",
        ),
    ),
)

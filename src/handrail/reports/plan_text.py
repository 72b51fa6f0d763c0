"""A plan for a terminal: its steps with every statement and lock, what the rules say of it, the rows it may fail on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import PurePath

from handrail.model.effect import Effect
from handrail.model.finding import Finding
from handrail.model.operation import Origin, Reading, Statement
from handrail.model.plan import Plan, Step
from handrail.model.revision import Direction
from handrail.model.verdict import Severity
from handrail.model.violation import Counted
from handrail.reports import review_facts
from handrail.reports.text import count, heads, lock


def plan(value: Plan) -> str:
    """The plan with every statement that will be sent."""
    target = value.target
    lines = [
        f"{value.environment}: {target.database} on {target.host or 'this machine'}, {target.engine} {target.server}",
        f"from {heads(value.start)} to {heads(value.goal)}, {count(len(value.steps), 'revision')}",
    ]
    for number, step in enumerate(value.steps, start=1):
        lines += ["", *_step(number, step)]
    if value.findings:
        lines += ["", "findings:", *(f"  {line}" for f in value.findings for line in finding(f))]
    told = {counted for f in value.findings for counted in f.counted}
    if untold := [counted for counted in value.counted if counted not in told]:
        lines += ["", *_counted(untold)]
    return "\n".join(lines)


def _step(number: int, step: Step) -> Iterator[str]:
    yield f"{number}. {step.direction.value} {step.revision.id}  {step.revision.title}"
    recorded = step.recorded
    if recorded.reading is not Reading.EXACT:
        yield f"   -- {recorded.reading.value}: {recorded.reason}"
    if step.resumable:
        yield f"   -- {recorded.transactions} transactions: can stand half applied; `handrail resume` finishes it"
    for line in _locks((*step.effects, step.assumed)):
        yield f"   -- {line}"
    for line in statements(recorded.statements):
        yield f"   {line}"


def statements(recorded: tuple[Statement, ...]) -> Iterator[str]:
    """The SQL in the order it is sent, with the borders of its transactions."""
    for index, statement in enumerate(recorded):
        before = recorded[index - 1] if index else None
        if not statement.autocommit and (before is None or before.transaction != statement.transaction):
            yield "BEGIN;"
        mark = "" if statement.exact else "  -- depends on the data"
        body = statement.sql.strip().rstrip(";")
        note = "  -- Alembic's version table" if statement.origin is Origin.ALEMBIC else ""
        first, *rest = body.splitlines()
        yield from (first, *rest[:-1]) if rest else ()
        yield f"{(rest[-1] if rest else first)};{mark}{note}"
        for values in statement.parameters:
            yield f"  -- with {', '.join(values)}"
        after = recorded[index + 1] if index + 1 < len(recorded) else None
        if not statement.autocommit and (after is None or after.transaction != statement.transaction):
            yield "COMMIT;"


def _locks(effects: tuple[tuple[Effect, ...], ...]) -> Iterator[str]:
    created: set[str] = set()
    told: set[tuple[str, str]] = set()
    for of_statement in effects:
        created.update(e.relation for e in of_statement if e.created_here)
        for effect in of_statement:
            key = (effect.relation, effect.lock)
            if not effect.strong or effect.relation in created or key in told:
                continue
            told.add(key)
            yield f"lock: {lock(effect)}"


def finding(value: Finding) -> tuple[str, ...]:
    """One finding: place, rule, what, why, what a database adds, fix."""
    place = f"{value.place.file}:{value.place.line}: " if value.place else ""
    return (
        f"{place}{value.severity.value} {value.rule}: {value.what}",
        f"  why: {value.why}",
        *(f"  {fact}" for fact in review_facts.facts(value)),
        *(f"       {line}" if number else f"  fix: {line}" for number, line in enumerate(value.fix.splitlines())),
    )


def outline(value: Plan) -> str:
    """Where the plan leads, and what the rules warn of: one line each, errors first."""
    lines = [f"plan: {count(len(value.steps), 'step')} from {heads(value.start)} to {heads(value.goal)}"]
    for severity in (Severity.ERROR, Severity.WARNING):
        for found in (f for f in value.findings if f.severity is severity):
            place = f"{PurePath(found.place.file).name}:{found.place.line}: " if found.place else ""
            lines.append(f"  {severity.value} {found.rule}: {place}{found.what}")
    if len(lines) > 1:
        up = all(step.direction is Direction.UPGRADE for step in value.steps)
        again = f"handrail review -e {value.environment}" if up else "handrail rollback with --dry-run"
        lines.append(f"  why, and what to write instead: {again}")
    return "\n".join(lines)


def _counted(values: Iterable[Counted]) -> Iterator[str]:
    """Which rows the steps would fail on, or might: one line for each thing asked of them."""
    yield "rows that the steps may fail on:"
    for value in values:
        yield f"  {value.describe()}"
        if value.violation is not None:
            yield f"    query: {value.violation.query}"

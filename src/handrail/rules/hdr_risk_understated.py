"""The header claims less risk than the revision carries.

What happens: the field Risk says Low or Medium, and the operations of `upgrade()` are data-dependent or breaking.

Why: Low means additive: nothing that is there changes. Medium depends on the data: rows may stop it, or be written.
High breaks a version that still uses what is dropped, renamed or demanded. A level that is too low switches off the
care that the revision needs.

The safe way: claim the level that the finding names and say why, or split the revision so that the risky part stands
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.column_type import Fit, fit, listed
from handrail.model.hazards.header_claims import Risk, is_placeholder, line_of, risk_level
from handrail.model.hazards.inventory import Spec, Thing, differences, inventories
from handrail.model.hazards.reversal import overwritten
from handrail.model.operation import Reading
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.verdict import Severity

_LEVELS = tuple(Risk)
_DATA_DEPENDENT = frozenset(
    {ConstraintKind.UNIQUE, ConstraintKind.CHECK, ConstraintKind.FOREIGN_KEY, ConstraintKind.PRIMARY_KEY}
)


def findings(revision: ReviewedRevision, _facts: RuleFacts) -> Iterator[Finding]:
    """One finding where the claimed level is below the computed one, with the first reason for the latter."""
    header, step = revision.revision.header, revision.upgrade
    claimed = risk_level(header)
    if claimed is None or is_placeholder(header.risk) or step is None or step.reading is Reading.FAILED:
        return
    reasons = [*_of_schema(step), *_of_rows(step)]
    worst = max((level for level, _ in reasons), key=_LEVELS.index, default=Risk.LOW)
    if _LEVELS.index(worst) <= _LEVELS.index(claimed):
        return
    because = "; ".join(dict.fromkeys(reason for level, reason in reasons if level is worst))
    meaning = "breaking" if worst is Risk.HIGH else "data-dependent"
    yield RULE.in_file(
        revision,
        line=line_of(revision.revision, "risk"),
        what=f"the header says Risk: {claimed.value.capitalize()}, and the operations are {meaning}: {because}",
        why="Low means additive, Medium that it depends on the data, High that it breaks something",
        fix=f"Risk: {worst.value.capitalize()} - {because}",
    )


def _of_schema(step: ReviewedStep) -> Iterator[tuple[Risk, str]]:
    """Yield what the schema loses or demands, by what was there before and is there after."""
    before, after = inventories(step.before, step.after)
    gone = [t for t in before if t not in after]
    tables = {t.table for t in gone if t.kind == "table"}
    for thing in gone:
        if thing.kind == "table" or (thing.kind == "column" and thing.table not in tables):
            yield Risk.HIGH, f"{thing} is gone for whoever uses it"
        elif "view" in thing.kind or thing.kind == "enum":
            yield Risk.MEDIUM, f"{thing} is dropped"
    for statement, action in step.actions():
        if isinstance(action, act.DropColumn) and step.before.column(action.table, action.column) is None:
            table = step.after.table(action.table)
            if table is not None and not table.complete:
                yield Risk.HIGH, f"column {bare(action.table)}.{action.column} is gone for whoever uses it"
        if isinstance(action, act.DropTable | act.RenameTable) and statement.before.table(action.table) is None:
            yield Risk.HIGH, f"table {bare(action.table)} is gone for whoever uses it"
    for thing, spec in after.items():
        table = step.before.table(thing.table)
        if table is None or thing.kind not in {"column", "constraint", "index"}:
            continue
        yield from _of_part(thing, spec, before)


def _of_part(thing: Thing, spec: Spec, before: Mapping[Thing, Spec]) -> Iterator[tuple[Risk, str]]:
    known = before.get(thing)
    match spec:
        case act.ColumnSpec() if known is None:
            demanded = spec.nullable is False and spec.default is None and not spec.identity and not spec.generated
            if demanded:
                yield Risk.HIGH, f"{thing} is NOT NULL without a default: inserts of older versions fail"
        case act.ColumnSpec():
            for attribute in differences(known, spec):
                if attribute.name == "type" and not _wider(attribute.was, attribute.now):
                    yield Risk.MEDIUM, f"{thing} changes its type from {attribute.was} to {attribute.now}"
                if attribute.now == "NOT NULL":
                    yield Risk.MEDIUM, f"{thing} becomes NOT NULL"
                if attribute.name == "default" and attribute.now == "none":
                    yield Risk.MEDIUM, f"{thing} loses its default"
        case act.ConstraintSpec(kind=kind) if known is None and kind in _DATA_DEPENDENT:
            yield Risk.MEDIUM, f"{thing} has to hold for the rows that are there"
        case act.IndexSpec(unique=True) if known is None:
            yield Risk.MEDIUM, f"unique {thing} has to hold for the rows that are there"


def _wider(was: str, now: str) -> bool:
    """Return whether a text type only grows, or the list of an ENUM."""
    if listed(was):
        return bool(listed(now)) and fit(was, now) is Fit.FIT
    texts = ("character varying", "varchar", "text")
    if not (was.lower().startswith(texts) and now.lower().startswith(texts)):
        return False
    old, new = ("".join(c for c in text if c.isdigit()) for text in (was, now))
    return not new or (bool(old) and int(old) <= int(new))


def _of_rows(step: ReviewedStep) -> Iterator[tuple[Risk, str]]:
    for _, action in overwritten(step):
        whole = action.verb is act.Verb.TRUNCATE or (action.verb is act.Verb.DELETE and not action.where)
        if whole:
            yield Risk.HIGH, f"{action.verb.value} empties {bare(action.table)}"
        elif action.verb is not act.Verb.INSERT or action.reads:
            yield Risk.MEDIUM, f"{action.verb.value} writes rows of {bare(action.table)}"
    for statement, write in step.actions():
        if isinstance(write, act.WriteRows) and write.verb is act.Verb.UPDATE and not statement.creates(write.table):
            yield Risk.MEDIUM, f"UPDATE writes rows of {bare(write.table)}"


def _docstring(level: str) -> str:
    return f"Change users.\n\nImpact: users change.\nRisk: {level} - we looked.\nRollback: Simple.\nTesting: By hand.\n"


def _claimed(level: str, body: str, *, flagged: bool, engines: frozenset[str] = frozenset()) -> Example:
    return Example(
        given=("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20), email varchar(50) DEFAULT '')",),
        body=body,
        docstring=_docstring(level),
        flagged=flagged,
        engines=engines,
    )


_PG = frozenset({"postgresql"})
_TEAMS = """
op.create_table(
    "teams", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.Text, nullable=False)
)"""
_FILL = 'op.execute("INSERT INTO teams (id, name) SELECT id, name FROM users")'
_FILLED = f"{_TEAMS}\n{_FILL}"

RULE = Rule(
    name="hdr-risk-understated",
    severity=Severity.WARNING,
    engines=EVERY_ENGINE,
    source="https://alembic.sqlalchemy.org/en/latest/ops.html",
    findings=findings,
    baseline=True,
    examples=(
        _claimed("Low", 'op.drop_column("users", "name")', flagged=True),
        _claimed("Medium", 'op.drop_table("users")', flagged=True),
        _claimed(
            "Low",
            'op.alter_column("users", "name", new_column_name="called", existing_type=sa.String(20))',
            flagged=True,
        ),
        _claimed("Low", 'op.execute("UPDATE users SET name = lower(name)")', flagged=True),
        _claimed("Medium", 'op.execute("DELETE FROM users")', flagged=True),
        _claimed("Low", 'op.create_index("uq_users_email", "users", ["email"], unique=True)', flagged=True),
        _claimed("Low", 'op.alter_column("users", "name", nullable=False)', flagged=True, engines=_PG),
        _claimed("Low", 'op.create_unique_constraint("uq_users_name", "users", ["name"])', flagged=True, engines=_PG),
        _claimed(
            "Low", 'op.add_column("users", sa.Column("age", sa.Integer, nullable=False))', flagged=True, engines=_PG
        ),
        _claimed("High", 'op.drop_column("users", "name")', flagged=False),
        _claimed("Low", 'op.add_column("users", sa.Column("age", sa.Integer))', flagged=False),
        _claimed("Low", _TEAMS, flagged=False),
        _claimed("Low", _FILLED, flagged=False),
        _claimed("Low", 'op.create_index("ix_users_email", "users", ["email"])', flagged=False),
        _claimed("Low", 'op.alter_column("users", "name", type_=sa.String(99))', flagged=False, engines=_PG),
        _claimed(
            "Low",
            """
            op.execute("ALTER TABLE users ADD mood enum('good')")
            op.execute("ALTER TABLE users MODIFY mood enum('good', 'bad')")
            """,
            flagged=False,
            engines=frozenset({"mysql"}),
        ),
        _claimed("Medium", 'op.execute("UPDATE users SET name = lower(name)")', flagged=False),
    ),
)

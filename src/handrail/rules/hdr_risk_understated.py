"""The header claims less risk than the revision carries.

What happens: the field Risk says Low or Medium, and the operations of `upgrade()` are data-dependent or breaking.

Why: Low means additive: nothing that is there changes. Medium depends on the data: rows may stop it, or be written;
an UPDATE that names its rows by their key is not counted.
High breaks a version that still uses what is dropped, renamed or demanded. A level that is too low switches off the
care that the revision needs.

The safe way: claim the level that the finding names and say why, or split the revision so that the risky part stands
alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from handrail.model import action as act
from handrail.model.finding import Finding
from handrail.model.hazards.column_type import Fit, fit, listed
from handrail.model.hazards.header_claims import Risk, is_placeholder, line_of, risk_level
from handrail.model.hazards.inventory import Spec, Thing, differences, inventories
from handrail.model.hazards.long_work import never_null
from handrail.model.hazards.reversal import overwritten
from handrail.model.hazards.table_change import by_key, keys_of, stands_in
from handrail.model.hazards.table_rewrite import rewrites
from handrail.model.operation import Reading
from handrail.model.replayed import bare
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.rule import EVERY_ENGINE, Example, Rule, RuleFacts
from handrail.model.schema import ConstraintKind
from handrail.model.spec import ColumnSpec, ConstraintSpec, IndexSpec
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
    reasons = [*_of_schema(step), *_of_statements(step), *_of_rows(step)]
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
        if stands_in(step, thing.table):
            yield Risk.MEDIUM, f"{thing} stands behind a view"
        elif thing.kind == "table" or (thing.kind == "column" and thing.table not in tables):
            yield Risk.HIGH, f"{thing} is gone for whoever uses it"
        elif "view" in thing.kind or thing.kind == "enum":
            yield Risk.MEDIUM, f"{thing} is dropped"
    for thing, spec in after.items():
        table = step.before.table(thing.table)
        if table is None or thing.kind not in {"column", "constraint", "index"}:
            continue
        if _only_renamed(table, spec) or _unique_already(table, spec):
            continue
        if not _of_new_columns(step, thing.table, spec):
            proved = thing.kind == "column" and never_null(step.before, thing.table, thing.name)
            yield from _of_part(thing, spec, before, never_null=proved)


def _only_renamed(table: ReplayedTable, spec: Spec) -> bool:
    """Return whether the table had the same constraint or index under another name."""
    match spec:
        case ConstraintSpec():
            alike = (was for was in table.constraints if was.columns == spec.columns)
            return any(was == replace(spec, name=was.name) for was in alike)
        case IndexSpec():
            same = (was for was in table.indexes if was.columns == spec.columns)
            return any(was == replace(spec, name=was.name) for was in same)
        case _:
            return False


def _unique_already(table: ReplayedTable, spec: Spec) -> bool:
    """Return whether a key holds by itself: one on fewer of its columns was there before."""
    match spec:
        case ConstraintSpec(kind=ConstraintKind.UNIQUE, columns=columns) | IndexSpec(unique=True, columns=columns):
            return any(set(key) <= set(columns) for key in keys_of(table))
        case _:
            return False


def _of_statements(step: ReviewedStep) -> Iterator[tuple[Risk, str]]:
    """Yield what happens to tables and columns whose making the history does not tell."""
    for statement, action in step.actions():
        if isinstance(action, act.DropColumn) and step.before.column(action.table, action.column) is None:
            table = step.after.table(action.table)
            if table is not None and not table.complete:
                yield Risk.HIGH, f"column {bare(action.table)}.{action.column} is gone for whoever uses it"
        if isinstance(action, act.DropTable | act.RenameTable) and statement.before.table(action.table) is None:
            hidden = stands_in(step, action.table)
            yield Risk.MEDIUM if hidden else Risk.HIGH, f"table {bare(action.table)} is gone for whoever uses it"
        if (
            not statement.creates(getattr(action, "table", ""))
            and step.before.table(getattr(action, "table", "")) is None
        ):
            yield from _of_unseen(statement, action) if not stands_in(step, getattr(action, "table", "")) else ()


def _of_new_columns(step: ReviewedStep, table: str, spec: Spec) -> bool:
    """Return whether a key is on columns that this step adds empty: it holds for every row that is there."""
    owner = step.after.table(table)
    if owner is None or not isinstance(spec, ConstraintSpec | IndexSpec) or not spec.columns:
        return False
    added = [owner.column(column) for column in spec.columns if owner.added.get(column) == step.revision]
    return len(added) == len(spec.columns) and all(c is not None and c.default is None for c in added)


def _of_unseen(statement: ReviewedStatement, action: act.Action) -> Iterator[tuple[Risk, str]]:
    """Yield what is demanded of a table whose making the history does not tell."""
    match action:
        case act.RenameColumn(table=table, column=column):
            yield Risk.HIGH, f"column {bare(table)}.{column} is gone for whoever uses it"
        case act.AlterNullable(table=table, column=column, nullable=False):
            yield Risk.MEDIUM, f"column {bare(table)}.{column} becomes NOT NULL"
        case act.AddColumn(table=table, column=column):
            if column.nullable is False and column.default is None and not column.identity and not column.generated:
                yield Risk.HIGH, f"column {bare(table)}.{column.name} is NOT NULL without a default"
        case act.AddConstraint(table=table, constraint=constraint):
            own = constraint.columns and all(statement.adds(table, column) for column in constraint.columns)
            if constraint.kind in _DATA_DEPENDENT and constraint.validated and not constraint.using_index and not own:
                name = constraint.name or constraint.kind.value
                yield Risk.MEDIUM, f"{name} of {bare(table)} has to hold for the rows that are there"
        case act.CreateIndex(table=table, index=IndexSpec(unique=True, name=name)):
            yield Risk.MEDIUM, f"unique index {name} has to hold for the rows that are there"
        case _:
            return


def _of_part(thing: Thing, spec: Spec, before: Mapping[Thing, Spec], *, never_null: bool) -> Iterator[tuple[Risk, str]]:
    known = before.get(thing)
    match spec:
        case ColumnSpec() if known is None:
            demanded = spec.nullable is False and spec.default is None and not spec.identity and not spec.generated
            if demanded:
                yield Risk.HIGH, f"{thing} is NOT NULL without a default: inserts of older versions fail"
        case ColumnSpec():
            for attribute in differences(known, spec):
                if attribute.name == "type" and not _grows(attribute.was, attribute.now):
                    yield Risk.MEDIUM, f"{thing} changes its type from {attribute.was} to {attribute.now}"
                if attribute.now == "NOT NULL" and not never_null:
                    yield Risk.MEDIUM, f"{thing} becomes NOT NULL"
                if attribute.name == "default" and attribute.now == "none":
                    yield Risk.MEDIUM, f"{thing} loses its default"
        case ConstraintSpec(kind=kind, using_index="", validated=True) if known is None and kind in _DATA_DEPENDENT:
            yield Risk.MEDIUM, f"{thing} has to hold for the rows that are there"
        case IndexSpec(unique=True) if known is None:
            yield Risk.MEDIUM, f"unique {thing} has to hold for the rows that are there"


def _grows(was: str, now: str) -> bool:
    """Return whether a type takes all that it took before, without a conversion; enum('a') gains a value so."""
    return fit(was, now) is Fit.FIT and (bool(listed(was) and listed(now)) or not rewrites(was, now))


def _of_rows(step: ReviewedStep) -> Iterator[tuple[Risk, str]]:
    for statement, action in overwritten(step):
        whole = action.verb is act.Verb.TRUNCATE or (action.verb is act.Verb.DELETE and not action.where)
        if whole:
            yield Risk.HIGH, f"{action.verb.value} empties {bare(action.table)}"
        elif action.verb is act.Verb.UPDATE and by_key(statement, action):
            continue
        elif action.verb is not act.Verb.INSERT or action.reads:
            yield Risk.MEDIUM, f"{action.verb.value} writes rows of {bare(action.table)}"
    for statement, write in step.actions():
        if not isinstance(write, act.WriteRows) or write.verb is not act.Verb.UPDATE or by_key(statement, write):
            continue
        if not statement.creates(write.table):
            yield Risk.MEDIUM, f"UPDATE writes rows of {bare(write.table)}"


def _docstring(level: str) -> str:
    return f"Change users.\n\nImpact: users change.\nRisk: {level} - we looked.\nRollback: Simple.\nTesting: By hand.\n"


_USERS = """CREATE TABLE users (
    id integer PRIMARY KEY, name varchar(20), email varchar(50) DEFAULT '', price numeric(10, 2)
)"""


def _claimed(level: str, body: str, *, flagged: bool, engines: frozenset[str] = frozenset()) -> Example:
    return Example(
        given=(_USERS,),
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
        _claimed("Low", 'op.alter_column("users", "id", type_=sa.Text)', flagged=True, engines=_PG),
        _claimed("High", 'op.drop_column("users", "name")', flagged=False),
        _claimed("Low", 'op.create_index("uq_users", "users", ["email", "id"], unique=True)', flagged=False),
        _claimed("Low", 'op.add_column("users", sa.Column("age", sa.Integer))', flagged=False),
        _claimed("Low", _TEAMS, flagged=False),
        _claimed("Low", _FILLED, flagged=False),
        _claimed("Low", 'op.create_index("ix_users_email", "users", ["email"])', flagged=False),
        _claimed("Low", "op.execute(\"UPDATE users SET name = 'Ann' WHERE id = 7\")", flagged=False),
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
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY, mood enum('good') NOT NULL)",),
            body="op.execute(\"ALTER TABLE users MODIFY mood enum('good', 'bad') NOT NULL\")",
            docstring=_docstring("Low"),
            flagged=False,
            engines=frozenset({"mysql"}),
        ),
        _claimed("Medium", 'op.execute("UPDATE users SET name = lower(name)")', flagged=False),
        _claimed("Low", 'op.alter_column("users", "price", type_=sa.Numeric(14, 2))', flagged=False, engines=_PG),
        _claimed(
            "Medium",
            """
            op.rename_table("users", "accounts")
            op.execute("CREATE VIEW users AS SELECT * FROM accounts")
            """,
            flagged=False,
        ),
        _claimed(
            "Low",
            """
            op.add_column("users", sa.Column("boss_id", sa.Integer))
            op.create_foreign_key("fk_users_boss_id", "users", "users", ["boss_id"], ["id"])
            """,
            flagged=False,
            engines=_PG,
        ),
        _claimed(
            "Low",
            'op.execute("ALTER TABLE users ADD CONSTRAINT named CHECK (name IS NOT NULL) NOT VALID")',
            flagged=False,
            engines=_PG,
        ),
        Example(
            body='op.alter_column("users", "name", new_column_name="called")',
            docstring=_docstring("Low"),
            flagged=True,
            engines=_PG,
            not_run="its table was made elsewhere",
        ),
        Example(
            given=("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20), CONSTRAINT uq_name UNIQUE (name))",),
            body='op.execute("ALTER TABLE users RENAME CONSTRAINT uq_name TO uq_users_name")',
            docstring=_docstring("Low"),
            flagged=False,
            engines=_PG,
        ),
    ),
)

"""The database is what the project's models say it is.

What happens: the models' tables are made in an empty database of the same server version, and that schema is compared
with the live one, so that the server itself brings types, defaults and expressions into one spelling: tables, columns,
types with lengths and precision, nullability, server defaults, identities, computed columns, primary keys, uniques,
foreign keys with what they do on delete, indexes, sequences, the values of enums.

What env.py leaves out (`include_object`, `include_name`, `include_schemas`) is left out here. Names that the models
leave to the server are not compared. These differences are only noted: tables and indexes that the models do not have,
another name, a default that only the database has or that is written as another expression, check constraints,
collations, the order of an enum's values, a foreign key that is not validated yet. Comments, privileges, storage,
triggers, functions and views are not compared. The models are those of the files' head: at an older revision, and where
env.py names no target_metadata, they are not asked.

Why: the application works with what its models say. A column that they take for NOT NULL, a key that is not there, an
enum value that the database does not know are errors of one request in a thousand, which no migration reports.

The safe way: `alembic revision --autogenerate` for what the models are right about, a change of the models otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from decimal import Decimal, InvalidOperation

from handrail.model.check import Check, CheckFacts, ModelsFacts, NotAsked, Sight
from handrail.model.run import Judgement
from handrail.model.schema import Column, Constraint, ConstraintKind, Index, Snapshot, Table
from handrail.model.verdict import Unsupported, Verdict

#: A difference, and whether it is only noted.
_Told = tuple[str, bool]
_FAILS, _NOTED = False, True

_LITERAL = re.compile(
    r"^(?:'(?P<text>(?:[^']|'')*)'|(?P<word>-?\d+(?:\.\d+)?|true|false|null))(?:::.*)?$", re.IGNORECASE
)
_SERVER_NAMED = re.compile(r".*_(?:pkey|key|fkey|check|idx|excl)\d*$")
_INDEX_HEAD = re.compile(r'^CREATE (?:UNIQUE )?INDEX (?:"(?:[^"]|"")*"|\S+) ON (?:ONLY )?', re.IGNORECASE)
_CHECKED_KINDS = (ConstraintKind.CHECK, ConstraintKind.EXCLUDE)


def judge(facts: CheckFacts) -> Judgement:
    """PASS when nothing differs, WARN for notes only, FAIL naming each difference, UNKNOWN without a sandbox."""
    match facts.models:
        case Unsupported(reason=reason, details=details):
            return Judgement(name=CHECK.name, verdict=Verdict.UNKNOWN, reason=reason, details=details)
        case NotAsked(reason=reason):
            return Judgement(name=CHECK.name, verdict=Verdict.WARN, reason=f"not asked: {reason}")
        case ModelsFacts() as models:
            return _judged(models)


def _judged(facts: ModelsFacts) -> Judgement:
    told = tuple(_differences(facts))
    failing = tuple(line for line, noted in told if not noted)
    noted = tuple(f"note: {line}" for line, noted in told if noted)
    tables = len(facts.of_models.tables)
    if failing:
        reason = f"{_count(len(failing), 'difference')} between the models and the database"
        return Judgement(name=CHECK.name, verdict=Verdict.FAIL, reason=reason, details=(*failing, *noted))
    reason = f"{_count(tables, 'table')} as the models say"
    if noted:
        return Judgement(
            name=CHECK.name, verdict=Verdict.WARN, reason=f"{reason}, {_count(len(noted), 'note')}", details=noted
        )
    return Judgement(name=CHECK.name, verdict=Verdict.PASS, reason=reason)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _differences(facts: ModelsFacts) -> Iterator[_Told]:
    models, live = facts.of_models, facts.live
    views = {o.name for o in live.objects if o.kind in {"view", "materialized view"}}
    for table in models.tables:
        other = live.table(table.name)
        if other is not None:
            yield from _tables(table, other, types_compared=facts.types_compared)
        elif table.name in views:
            yield f"table {table.name} is a view in the database; its columns are not compared", _NOTED
        else:
            yield f"table {table.name} of the models is missing in the database", _FAILS
    for table in live.tables:
        if models.table(table.name) is None and not _is_part(table):
            yield f"table {table.name} is only in the database", _NOTED
    yield from _objects(models, live)


def _is_part(table: Table) -> bool:
    """Whether it is a partition or child of another table, as are made and dropped all day long."""
    return any(name in {"partition bound", "inherits"} for name, _ in table.options)


def _tables(models: Table, live: Table, *, types_compared: bool) -> Iterator[_Told]:
    theirs = {column.name: column for column in live.columns}
    ours = {column.name for column in models.columns}
    for column in models.columns:
        name = f"column {models.name}.{column.name}"
        other = theirs.get(column.name)
        if other is None:
            yield f"{name} of the models is missing in the database ({column.type})", _FAILS
            continue
        yield from _columns(name, column, other, types_compared=types_compared)
    for name, column in theirs.items():
        if name not in ours:
            yield f"column {models.name}.{name} is only in the database ({column.type})", _FAILS
    yield from _keys(models, live)
    yield from _checked(models, live)
    yield from _indexes(models, live)


def _columns(name: str, models: Column, live: Column, *, types_compared: bool) -> Iterator[_Told]:
    if _type(models.type) != _type(live.type):
        yield f"{name}: type is {live.type}, the models say {models.type}", not types_compared
    if models.nullable is not live.nullable:
        yield f"{name}: {_nullable(live)}, the models say {_nullable(models)}", _FAILS
    if _plain(models.generated) != _plain(live.generated):
        found, wanted = live.generated or "not computed", models.generated or "not computed"
        yield f"{name}: computed as {found}, the models say {wanted}", _FAILS
    if models.collation != live.collation:
        yield (
            f"{name}: collation is {live.collation or 'the default'}, the models say {models.collation or 'none'}",
            _NOTED,
        )
    yield from _defaults(name, models, live)


def _type(text: str) -> str:
    """Return the type in one spelling; SQLite keeps what was written, and Alembic takes these two for one."""
    return re.sub(r"\bDECIMAL\b", "NUMERIC", text.upper()) if text.isupper() else text


def _nullable(column: Column) -> str:
    return "NULL is allowed" if column.nullable else "NOT NULL"


def _plain(text: str) -> str:
    return re.sub(r"[\s()]", "", text).lower()


def _defaults(name: str, models: Column, live: Column) -> Iterator[_Told]:
    found, wanted = _default(live), _default(models)
    if found == wanted:
        return
    if not wanted:
        if live.identity == "always":
            yield f"{name}: the database gives its value always, the models do not know that", _FAILS
        else:
            yield f"{name}: the default {found} is only in the database", _NOTED
    elif not found:
        yield f"{name}: the default {wanted} of the models is missing in the database", _FAILS
    elif "always" in {found, wanted} or _two_constants(found, wanted):
        yield f"{name}: default is {found}, the models say {wanted}", _FAILS
    else:
        yield f"{name}: default is {found}, the models say {wanted}: two spellings", _NOTED


def _default(column: Column) -> str:
    """Return what gives a value to the column; whose name the sequence bears does not matter, nor a cast."""
    if column.identity:
        return "always" if column.identity == "always" else "a sequence"
    if not column.default or column.default.upper() == "NULL":
        return ""
    if column.default.startswith("nextval("):
        return "a sequence"
    return _constant(column.default) or _bare(column.default)


def _bare(text: str) -> str:
    """Return the text without parentheses around all of it."""
    text = text.strip()
    while text.startswith("(") and text.endswith(")"):
        text = text[1:-1].strip()
    return text


def _constant(text: str) -> str:
    """Return a literal without its cast, numbers in one spelling; '' for any other expression."""
    literal = _LITERAL.match(_bare(text))
    if literal is None:
        return ""
    value = literal["text"] if literal["word"] is None else literal["word"].lower()
    try:
        return f"'{Decimal(value).normalize()}'"
    except InvalidOperation:
        return f"'{value}'"


def _two_constants(found: str, wanted: str) -> bool:
    return found.startswith("'") and wanted.startswith("'")


def _of(table: Table, *kinds: ConstraintKind) -> list[Constraint]:
    return [c for c in table.constraints if c.kind in kinds]


def _keys(models: Table, live: Table) -> Iterator[_Told]:
    """Compare primary keys, uniques and foreign keys by their columns; a unique index is as good as a constraint."""
    theirs = _of(live, ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE, ConstraintKind.FOREIGN_KEY)
    left = list(theirs)
    uniques = {i.columns for i in live.indexes if i.unique and " WHERE " not in i.definition.upper()}
    for key in _of(models, ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE, ConstraintKind.FOREIGN_KEY):
        name = f"{key.kind.value} {models.name} ({', '.join(key.columns)})"
        other = next((c for c in left if _same_key(key, c)), None)
        if other is None:
            if key.kind is ConstraintKind.UNIQUE and key.columns in uniques:
                yield f"{name} is a unique index in the database", _NOTED
            else:
                yield f"{name} of the models is missing in the database", _FAILS
            continue
        left.remove(other)
        if key.definition != other.definition:
            yield f"{name}: is {other.definition}, the models say {key.definition}", _FAILS
        if not other.validated:
            yield f"{name}: it is not validated yet", _NOTED
        yield from _names(name, key.name, other.name)
    ours = {i.columns for i in models.indexes if i.unique}
    for key in left:
        noted = key.kind is ConstraintKind.UNIQUE and key.columns in ours
        yield f"{key.kind.value} {live.name} ({', '.join(key.columns)}) is only in the database", noted


def _same_key(key: Constraint, other: Constraint) -> bool:
    return (key.kind, key.columns, key.referenced_table, key.referenced_columns) == (
        other.kind,
        other.columns,
        other.referenced_table,
        other.referenced_columns,
    )


def _names(what: str, models: str, live: str) -> Iterator[_Told]:
    """Note another name; one that the models leave to the server is no difference."""
    if models and models != live and not _SERVER_NAMED.match(models):
        yield f"{what}: its name is {live or 'none'}, the models say {models}", _NOTED


def _checked(models: Table, live: Table) -> Iterator[_Told]:
    """Compare what rows are checked by: the server's text depends on the types at the time it was made."""
    ours, theirs = _of(models, *_CHECKED_KINDS), _of(live, *_CHECKED_KINDS)
    known = {_plain(c.definition) for c in theirs}
    said = {_plain(c.definition) for c in ours}
    for constraint in ours:
        if _plain(constraint.definition) not in known:
            yield f"{constraint.kind.value} {models.name}: {constraint.definition} is only in the models", _NOTED
    for constraint in theirs:
        if _plain(constraint.definition) not in said:
            yield f"{constraint.kind.value} {live.name}: {constraint.definition} is only in the database", _NOTED


def _indexes(models: Table, live: Table) -> Iterator[_Told]:
    left = _free(live)
    keys = {c.columns for c in _of(live, ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)}
    ours = {c.columns for c in _of(models, ConstraintKind.PRIMARY_KEY, ConstraintKind.UNIQUE)}
    for index in _free(models):
        name = (
            f"index {models.name} ({', '.join(index.columns)})"
            if index.columns
            else f"index {models.name}.{index.name}"
        )
        other = _counterpart(index, left)
        if other is None:
            if index.unique and index.columns in keys:
                yield f"{name} is a unique constraint in the database", _NOTED
            else:
                expression = any("(" in column for column in index.columns)  # autogenerate leaves them out on SQLite
                yield f"{name} of the models is missing in the database", expression
            continue
        left.remove(other)
        if _shape(index) != _shape(other):
            same = (index.columns, index.unique) == (other.columns, other.unique)
            yield f"index {other.name}: is {_shape(other)}, the models say {_shape(index)}", same
        if not other.valid:
            yield f"index {other.name} is not valid: no query uses it", _FAILS
        yield from _names(name, index.name, other.name)
    for index in left:
        if not (index.unique and index.columns in ours):
            yield (
                f"{'unique index' if index.unique else 'index'} {live.name}.{index.name} is only in the database",
                _NOTED,
            )


def _free(table: Table) -> list[Index]:
    """Return the indexes that do not stand behind a constraint."""
    behind = {constraint.name for constraint in table.constraints}
    return [index for index in table.indexes if index.name not in behind]


def _counterpart(index: Index, others: Iterable[Index]) -> Index | None:
    ranked = sorted(others, key=lambda other: (_shape(other) != _shape(index), other.name != index.name))
    best = next(iter(ranked), None)
    return best if best and (best.name == index.name or _shape(best) == _shape(index)) else None


def _shape(index: Index) -> str:
    """Return the definition without the name."""
    return ("UNIQUE " if index.unique else "") + _INDEX_HEAD.sub("", index.definition)


def _objects(models: Snapshot, live: Snapshot) -> Iterator[_Told]:
    """Compare enums and sequences that stand alone; those of a column are told with it."""
    theirs = {(o.kind, o.name): o.definition for o in live.objects}
    for thing in models.objects:
        found = theirs.get((thing.kind, thing.name))
        if thing.kind == "sequence" and " owned by " not in thing.definition and found is None:
            yield f"sequence {thing.name} of the models is missing in the database", _FAILS
        elif thing.kind == "enum" and found is None:
            yield f"enum {thing.name} of the models is missing in the database", _FAILS
        elif thing.kind == "enum" and found is not None and found != thing.definition:
            only_order = sorted(found.split(", ")) == sorted(thing.definition.split(", "))
            yield f"enum {thing.name}: is {found}, the models say {thing.definition}", only_order


CHECK = Check(name="models-match", judge=judge, drift=True, looks_at=frozenset({Sight.MODELS}))

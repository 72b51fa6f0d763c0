"""What a step does to tables that were there before it, whichever way it is written.

SQLite changes most of a table by making it anew: CREATE of another one, INSERT ... SELECT, DROP of the old one, RENAME.
Alembic's batch writes these four statements, people write them too. Here they are told as the changes they amount to.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from functools import lru_cache

from handrail.model.action import (
    Action,
    AddColumn,
    AddConstraint,
    AlterDefault,
    AlterNullable,
    AlterType,
    CreateIndex,
    CreateObject,
    CreateTable,
    DropColumn,
    DropTable,
    RenameColumn,
    RenameTable,
    Verb,
    WriteRows,
)
from handrail.model.replayed import EMPTY, Replayed, bare
from handrail.model.replayed_table import ReplayedTable
from handrail.model.reviewed import ReviewedStatement, ReviewedStep
from handrail.model.schema import ConstraintKind
from handrail.model.spec import UNKNOWN, ConstraintSpec, IndexSpec, Unknown

_ALWAYS = re.compile(r"\(?(true|1|1 = 1|1=1|'1' = '1'|(\w+\.)?id (> 0|>= 0|is not null))\)?")
_VALUE = r"(?:\$?-?\d+|\?|'(?:[^']|'')*')(?:::[\w ]+)?"
_BY_VALUE = re.compile(rf'\(?(?:"?\w+"?\.)*"?(\w+)"? (?:= {_VALUE}|IN \({_VALUE}(?:, {_VALUE})*\))\)?', re.IGNORECASE)


def changes(step: ReviewedStep) -> Iterator[tuple[ReviewedStatement, Action]]:
    """Return every action in the order sent; a table made anew is told as what changes in it, where it is renamed."""
    return iter(_changes(step))


@lru_cache(maxsize=2)  # most rules ask, one after the other
def _changes(step: ReviewedStep) -> tuple[tuple[ReviewedStatement, Action], ...]:
    remade = _remade(step)
    return tuple(_told(step, remade) if remade else step.actions())


def _told(step: ReviewedStep, remade: Mapping[str, str]) -> Iterator[tuple[ReviewedStatement, Action]]:
    starts = {action.table: statement.before for statement, action in step.actions() if isinstance(action, CreateTable)}
    for statement, action in step.actions():
        match action:
            case RenameTable(table=table, new_name=name) if remade.get(table) == bare(name):
                before = starts[table]
                old, new = before.table(name), statement.after.table(name)
                if old is not None and new is not None:
                    told = replace(statement, before=before)
                    yield from ((told, change) for change in _difference(old, new, _renames(step, name)))
            case CreateTable(table=table) if table in remade:
                continue
            case WriteRows(verb=Verb.INSERT, table=table) if table in remade:
                continue
            case DropTable(table=table) if bare(table) in remade.values():
                continue
            case _:
                yield statement, action


def _remade(step: ReviewedStep) -> dict[str, str]:
    """Return the tables that this step makes to take another's place, with the name of that one."""
    renames = [action for _, action in step.actions() if isinstance(action, RenameTable)]
    if not renames:
        return {}
    made = {a.table for _, a in step.actions() if isinstance(a, CreateTable)}
    dropped = {bare(a.table) for _, a in step.actions() if isinstance(a, DropTable)}
    filled = {
        (a.table, bare(name))
        for _, a in step.actions()
        if isinstance(a, WriteRows) and a.verb is Verb.INSERT
        for name in a.reads
    }
    renamed = ((a.table, bare(a.new_name)) for a in renames)
    return {t: name for t, name in renamed if t in made and name in dropped and (t, name) in filled}


def _renames(step: ReviewedStep, table: str) -> dict[str, str]:
    """Return the columns that a batch says it renames; the statements of a table made anew do not tell."""
    return {
        operation.subject: dict(operation.details)["modify_name"]
        for operation in step.operations
        if operation.subject and bare(operation.table or "") == bare(table) and "modify_name" in dict(operation.details)
    }


def _difference(old: ReplayedTable, new: ReplayedTable, renames: Mapping[str, str]) -> Iterator[Action]:
    for column in old.columns:
        name = renames.get(column.name, column.name)
        now = new.column(name)
        if now is not None and name != column.name:
            yield RenameColumn(table=new.name, column=column.name, new_name=name)
        if now is None:
            yield DropColumn(table=new.name, column=column.name)
            continue
        if now.type is not UNKNOWN and now.type != column.type:
            yield AlterType(table=new.name, column=name, type=now.type)
        if now.nullable is not UNKNOWN and now.nullable is not column.nullable and name not in new.primary_key:
            yield AlterNullable(table=new.name, column=name, nullable=now.nullable)
        if now.default is not UNKNOWN and now.default != column.default:
            yield AlterDefault(table=new.name, column=name, default=now.default)
    for column in new.columns:
        if old.column(column.name) is None and column.name not in renames.values():
            yield AddColumn(table=new.name, column=column)
    for constraint in new.constraints:
        if constraint not in old.constraints and constraint.kind is not ConstraintKind.PRIMARY_KEY:
            yield AddConstraint(table=new.name, constraint=constraint)


def old_type(statement: ReviewedStatement, action: AlterType) -> str | Unknown:
    """Return the type the column had: as replayed, else as the operation's existing_type says."""
    known = statement.before.column(action.table, action.column)
    if known is not None and known.type is not UNKNOWN:
        return known.type
    said = dict(statement.operation.details).get("existing_type", "") if statement.operation else ""
    return said.lower() or UNKNOWN


def everywhere(where: str) -> bool:
    """Return whether that condition holds for every row: there is none, or it says nothing."""
    return not where or _ALWAYS.fullmatch(where.strip().lower()) is not None


def by_key(statement: ReviewedStatement, action: WriteRows) -> bool:
    """Return whether the condition names each row by its key: as many rows as it names, however large the table is."""
    found = _BY_VALUE.fullmatch(action.where.strip())
    known = statement.before.table(action.table)
    if found is None:
        return False
    return (found[1],) in set(keys_of(known)) if known is not None and known.complete else found[1] == "id"


def filled(steps: Iterable[ReviewedStep], table: str, column: str) -> bool:
    """Return whether one of those steps sets that column in rows that were there: a backfill."""
    return any(
        isinstance(action, WriteRows)
        and action.verb in {Verb.UPDATE, Verb.MERGE}
        and bare(action.table) == bare(table)
        and column in action.columns
        for step in steps
        for _, action in step.actions()
    )


def removed(step: ReviewedStep, table: str) -> bool:
    """Return whether the step deletes rows of that table that a new constraint would refuse."""
    return any(
        isinstance(action, WriteRows)
        and action.verb in {Verb.DELETE, Verb.TRUNCATE}
        and bare(action.table) == bare(table)
        for _, action in step.actions()
    )


def copied(step: ReviewedStep, table: str, column: str = "") -> bool:
    """Return whether the step copies that column (the table, where none is named) into something that it has made."""
    return _kept(step, table, column) or moved(step, table, column)


def _kept(step: ReviewedStep, table: str, column: str) -> bool:
    """Return whether CREATE TABLE AS keeps a copy of it."""
    made = (s for s, action in step.actions() if isinstance(action, CreateTable) and action.from_query)
    texts = [set(re.findall(r"[\w*]+", statement.statement.sql)) for statement in made]
    return any(bare(table) in words and (not column or bool(words & {column, "*"})) for words in texts)


def moved(step: ReviewedStep, table: str, column: str = "") -> bool:
    """Return whether the step writes it into another form that it has made; CREATE TABLE AS is a copy to keep."""
    for statement, action in step.actions():
        if not isinstance(action, WriteRows) or action.verb not in {Verb.INSERT, Verb.UPDATE, Verb.MERGE}:
            continue
        into = statement.creates(action.table) or any(statement.adds(action.table, c) for c in action.columns)
        takes = bare(table) in {bare(name) for name in (action.table, *action.reads)}
        if into and takes and (not column or column in statement.statement.sql):
            return True
    return False


def stands_in(step: ReviewedStep, table: str) -> bool:
    """Return whether the step leaves a view under a name that the table had, so that old statements find it."""
    names = {bare(table)}
    for _, action in step.actions():
        if isinstance(action, RenameTable) and {bare(action.table), bare(action.new_name)} & names:
            names |= {bare(action.table), bare(action.new_name)}
    return any(
        isinstance(action, CreateObject) and action.kind == "view" and bare(action.name) in names
        for _, action in step.actions()
    )


def triggered(schema: Replayed, table: str, *columns: str) -> bool:
    """Return whether a trigger on that table may fill those columns for versions that do not know them.

    Where the text of what it carries out is known, it has to name them: one that keeps `updated_at` fills nothing else.
    """
    texts = (_carried_out(schema, trigger) for trigger in schema.triggers_on(table))
    wanted = {column.lower() for column in columns}
    return any(not text or wanted <= set(re.findall(r"\w+", text.lower())) for text in texts)


def _carried_out(schema: Replayed, trigger: CreateObject) -> str:
    """Return the words of a trigger's function, or its own where it has none, '' where they are not known."""
    if " " in trigger.definition:
        return trigger.definition
    function = schema.objects.get(("function", bare(trigger.definition)))
    return function.definition if function is not None else ""


def new_key(
    statement: ReviewedStatement, action: Action, start: Replayed = EMPTY
) -> tuple[str, tuple[str, ...]] | None:
    """Return table and columns that the action asks uniqueness of, None where it asks none that was not there.

    A key on an index that exists, on more columns than an existing key (or one that stood at the `start` of the step),
    or on a table made in this step is not new.
    """
    match action:
        case AddConstraint(table=table, constraint=ConstraintSpec(kind=kind, columns=columns, using_index="")):
            unique = kind in {ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY}
        case AddColumn(table=table, constraints=constraints):
            kinds = (ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY)
            columns = next((c.columns for c in constraints if c.kind in kinds), ())
            unique = bool(columns)
        case CreateIndex(table=table, index=IndexSpec(unique=unique, columns=columns)):
            pass
        case _:
            return None
    keys = (key for state in (statement.before, start) for key in keys_of(state.table(table)))
    if not unique or statement.creates(table) or any(set(key) <= set(columns) for key in keys):
        return None
    return table, columns


def keys_of(table: ReplayedTable | None) -> Iterator[tuple[str, ...]]:
    """Yield the columns of each key of a table: its primary key, unique constraints and whole unique indexes."""
    if table is None:
        return
    kinds = {ConstraintKind.UNIQUE, ConstraintKind.PRIMARY_KEY}
    yield from (c.columns for c in table.constraints if c.kind in kinds and c.columns)
    yield from (i.columns for i in table.indexes if i.unique and not i.where and i.columns)

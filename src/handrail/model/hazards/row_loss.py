"""What of the rows is not there any more after upgrade and downgrade."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

from handrail.model import action as act
from handrail.model.hazards.inventory import Thing, there_and_back
from handrail.model.hazards.reversal import dropped_unseen
from handrail.model.hazards.table_change import changes, copied
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep
from handrail.model.revision import Direction
from handrail.model.spec import UNKNOWN

_LENGTH = re.compile(r"\((\d+)(?:, *(\d+))?\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """What is lost, in one phrase, and where. `refused` is whether the server refuses instead, where it would be."""

    what: str
    direction: Direction
    statement: ReviewedStatement | None
    refused: bool = False


@lru_cache(maxsize=1)  # several rules ask, one after the other
def lost(revision: ReviewedRevision) -> tuple[Lost, ...]:
    """Return what the rows lose on the way up and down; nothing of a function that was not read exactly."""
    up, down = revision.upgrade, revision.downgrade
    if up is None or down is None or not (up.read and down.read):
        return ()
    return (*_dropped_by_upgrade(revision, up, down), *_deleted_by_downgrade(up, down), *_narrowed(up, down))


def thrown_away(step: ReviewedStep) -> Iterator[str]:
    """Yield what upgrade drops or deletes of what was stored before it, unless it keeps a copy."""
    for statement, action in changes(step):
        table = getattr(action, "table", "")
        if not table or statement.creates(table) or copied(step, table, getattr(action, "column", "")):
            continue
        match action:
            case act.DropColumn(column=column) if not statement.adds(table, column):
                yield f"column {bare(table)}.{column} is dropped"
            case act.DropTable():
                yield f"table {bare(table)} is dropped"
            case act.WriteRows(verb=act.Verb.DELETE | act.Verb.TRUNCATE as verb):
                yield f"{verb.value} takes rows of {bare(table)}"


def _dropped_by_upgrade(revision: ReviewedRevision, up: ReviewedStep, down: ReviewedStep) -> Iterator[Lost]:
    """Yield columns and tables that upgrade drops, and downgrade makes again without their rows."""
    before, middle, after = there_and_back(revision)
    for thing in (*before, *dropped_unseen(up, before)):
        if thing in middle or thing not in after or thing.kind not in {"table", "column"}:
            continue
        inside = thing.kind == "column" and up.after.table(thing.table) is None
        if inside or _refills(down, thing):
            continue
        yield Lost(
            what=f"{thing} comes back empty: upgrade() drops what is in it",
            direction=Direction.DOWNGRADE,
            statement=_making(down, thing),
        )


def _refills(down: ReviewedStep, thing: Thing) -> bool:
    """Return whether downgrade writes into that table or column again, or makes the table from rows."""
    for _, action in down.actions():
        match action:
            case act.WriteRows(table=table, columns=columns) if bare(table) == thing.table:
                if thing.kind == "table" or not columns or thing.name in columns:
                    return True
            case act.CreateTable(table=table, from_query=True) if bare(table) == thing.table:
                return True
            case act.RenameColumn(table=table, new_name=new) if (bare(table), new) == (thing.table, thing.name):
                return True
            case act.RenameTable(new_name=new) if bare(new) == thing.table:
                return True
    return False


def _making(down: ReviewedStep, thing: Thing) -> ReviewedStatement | None:
    for statement, action in down.actions():
        match action:
            case act.AddColumn(table=table, column=column) if (bare(table), column.name) == (thing.table, thing.name):
                return statement
            case act.CreateTable(table=table) if thing.kind == "table" and bare(table) == thing.table:
                return statement
    return None


def _deleted_by_downgrade(up: ReviewedStep, down: ReviewedStep) -> Iterator[Lost]:
    """Yield tables that downgrade empties or drops, though they were there before upgrade."""
    inserted = {
        bare(action.table)
        for _, action in up.actions()
        if isinstance(action, act.WriteRows) and action.verb in {act.Verb.INSERT, act.Verb.MERGE}
    }
    for statement, action in down.actions():
        if not isinstance(action, act.WriteRows) or action.verb not in {act.Verb.DELETE, act.Verb.TRUNCATE}:
            continue
        table = bare(action.table)
        if up.before.table(table) is None or (table in inserted and action.where):
            continue
        yield Lost(
            what=f"{action.verb.value} throws away rows of {table} that were written since",
            direction=Direction.DOWNGRADE,
            statement=statement,
        )


def _narrowed(up: ReviewedStep, down: ReviewedStep) -> Iterator[Lost]:
    """Yield columns that downgrade makes narrower again than what may have been written since."""
    for statement, action in down.actions():
        if not isinstance(action, act.AlterType):
            continue
        known = statement.before.column(action.table, action.column)
        older = up.before.column(action.table, action.column)
        if known is None or older is None or known.type is UNKNOWN or statement.adds(action.table, action.column):
            continue
        kind = narrowing(known.type, action.type, cut=bool(action.using))
        if kind:
            yield Lost(
                what=f"{bare(action.table)}.{action.column} becomes {action.type} again: {kind}",
                direction=Direction.DOWNGRADE,
                statement=statement,
                refused=not kind.endswith("without a word"),
            )


def narrowing(wide: str, narrow: str, *, cut: bool) -> str:
    """Return what happens to values on the way from one type to the other, '' where all of them fit."""
    old, new = wide.lower(), narrow.lower()
    families = (_family(old), _family(new))
    if families == ("text", "text") and _is_less(_size(old), _size(new)):
        return "longer values are cut without a word" if cut else "the server refuses while longer values exist"
    if families == ("integer", "integer") and _WIDTH[old] > _WIDTH[new]:
        return "the server refuses while larger values exist"
    if families[0] in {"exact", "float"} and families[1] == "integer":
        return "fractions are rounded away without a word"
    if families[0] in {"exact", "float"} and families[1] == "exact" and _is_less(_scale(old), _scale(new)):
        return "fractions are rounded without a word"
    if old.startswith("timestamp") and new == "date":
        return "the time of day is cut off without a word"
    if families[0] == "text" and families[1] in {"integer", "exact", "float"}:
        return "the server refuses values that are no numbers"
    return ""


def _is_less(old: int | None, new: int | None) -> bool:
    """Return whether there is less room in the new one; None has no limit."""
    return new is not None and (old is None or old > new)


_WIDTH = {"smallint": 2, "integer": 4, "int": 4, "bigint": 8}


def _family(text: str) -> str:
    if text.startswith(("character varying", "varchar", "text", "character", "char", "nvarchar")):
        return "text"
    if text in _WIDTH:
        return "integer"
    if text.startswith(("numeric", "decimal")):
        return "exact"
    return "float" if text.startswith(("double", "real", "float")) else text


def _size(text: str) -> int | None:
    found = _LENGTH.search(text)
    return int(found[1]) if found else None


def _scale(text: str) -> int | None:
    found = _LENGTH.search(text)
    return int(found[2] or 0) if found else None

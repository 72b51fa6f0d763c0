"""What the downgrade of a revision leaves of its upgrade: the schema before the one against that after the other."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import lru_cache

from handrail.model import action as act
from handrail.model.hazards.downgrade_text import said_in_downgrade
from handrail.model.hazards.inventory import Attribute, Spec, Thing, differences, there_and_back
from handrail.model.operation import Place
from handrail.model.replayed import Replayed, bare
from handrail.model.reviewed import ReviewedRevision, ReviewedStatement, ReviewedStep

#: How much of two names has to be the same for one to be a slip of the other.
_ALIKE = 0.7
#: Words of a header by which its author says that rows need no way back.
_NOTHING_TO_UNDO = re.compile(
    r"nothing (?:to|needs|has to|must)|no[- ]op\b|not needed|\b(?:stays?|remains?|kept|keeps?|harmless|unaffected)\b",
    re.IGNORECASE,
)

#: What needs no undoing: it changes rows, the session, or what the server knows of a constraint or sequence that stays.
_NO_CHANGE = (
    act.WriteRows
    | act.SetSetting
    | act.LockTable
    | act.TransactionControl
    | act.Reindex
    | act.ValidateConstraint
    | act.OwnSequence
    | act.Other
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Undone:
    """What is not as it was. `left` stands though upgrade made it, `lost` is gone though only upgrade dropped it.

    `taken` is dropped by downgrade though upgrade left it alone, `made` was never there before. `changed` are things
    with the attributes that differ; `untouched` is whether downgrade left what upgrade changed.
    """

    left: tuple[Thing, ...]
    lost: tuple[Thing, ...]
    taken: tuple[Thing, ...]
    made: tuple[Thing, ...]
    changed: tuple[tuple[Thing, Attribute, bool], ...]


@lru_cache(maxsize=1)  # several rules ask, one after the other
def undone(revision: ReviewedRevision) -> Undone | None:
    """Return what differs after upgrade and downgrade; None where one of them is not known well enough."""
    up, down = revision.upgrade, revision.downgrade
    if up is None or down is None or not (up.read and down.read) or not down.statements:
        return None
    if any(isinstance(action, act.Opaque) for step in (up, down) for _, action in step.actions()):
        return None
    before, middle, after = there_and_back(revision)
    before = {**before, **dict.fromkeys(dropped_unseen(up, before))}
    again = frozenset(filter(None, (_makes(action) for _, action in down.actions())))
    left = [t for t in after if t not in before and t in middle and _is_made(t, up) and _key(t) not in again]
    lost = [t for t in before if t not in middle and t not in after]
    taken = [t for t in before if t in middle and t not in after]
    made = [t for t in after if t not in before and t not in middle and _complete(up.before, t)]
    lost, made = _without_new_names(lost, made, before, after)
    left, lost = _without_made_up_names(left, lost, down, up)
    taken, made = _without_made_up_names(taken, made, down, up)
    left, lost, taken = (
        [t for t in some if t.kind != "index" or t.name not in _taken_over(up)] for some in (left, lost, taken)
    )
    return Undone(
        left=owners_only(left),
        lost=owners_only(lost),
        taken=owners_only(taken),
        made=owners_only(made),
        changed=tuple(_changed(before, middle, after)),
    )


def place_of(revision: ReviewedRevision, thing: Thing) -> Place:
    """Return the line of the downgrade after which that thing is another one, that of the function where none is."""
    statements = reversed(revision.downgrade.statements) if revision.downgrade else ()
    touching = (s.place for s in statements if _spec(s.before, thing) != _spec(s.after, thing))
    return next(touching, None) or revision.line(revision.revision.downgrade_line or 1)


def _spec(state: Replayed, thing: Thing) -> Spec | None:
    owner = state.table(thing.table) if thing.table else None
    match thing.kind:
        case "table":
            return owner
        case "column":
            return owner.column(thing.name) if owner is not None else None
        case "constraint":
            return owner.constraint(thing.name) if owner is not None else None
        case "index":
            return owner.index(thing.name) if owner is not None else None
        case "enum":
            return state.enums.get(thing.name)
        case _:
            return state.objects.get((thing.kind, thing.name))


def _taken_over(up: ReviewedStep) -> frozenset[str]:
    """Return the indexes that constraints of upgrade take over: they go with them, under their names."""
    return frozenset(
        name
        for _, action in up.actions()
        if isinstance(action, act.AddConstraint) and action.constraint.using_index
        for name in (action.constraint.using_index, action.constraint.name)
    )


def misnamed(revision: ReviewedRevision, found: Undone) -> Iterator[tuple[ReviewedStatement, Thing, Thing]]:
    """Yield what downgrade drops under a name that nothing has, with what upgrade made and downgrade leaves."""
    down = revision.downgrade
    if down is None:
        return
    waiting = [thing for thing in found.left if thing.named]
    for statement, action in down.actions():
        dropped = _dropped(action)
        if dropped is None or _stands(statement.before, dropped) or _stands(down.before, dropped):
            continue
        meant = _meant(dropped, waiting)
        if meant is not None:
            waiting.remove(meant)
            yield statement, dropped, meant


def _dropped(action: act.Action) -> Thing | None:
    match action:
        case act.DropTable(table=table):
            return Thing("table", bare(table), bare(table))
        case act.DropColumn(table=table, column=column):
            return Thing("column", bare(table), column)
        case act.DropIndex(table=table, name=name):
            return Thing("index", bare(table), bare(name).rpartition(".")[2])
        case act.DropConstraint(table=table, name=name) if name:
            return Thing("constraint", bare(table), name)
        case _:
            return None


def _stands(state: Replayed, thing: Thing) -> bool:
    match thing.kind:
        case "table":
            return state.table(thing.table) is not None
        case "column":
            return state.column(thing.table, thing.name) is not None
        case "index":
            return state.table_of_index(thing.name) is not None
        case _:
            owner = state.table(thing.table)
            return owner is not None and owner.constraint(thing.name) is not None


def _meant(dropped: Thing, waiting: list[Thing]) -> Thing | None:
    """Return what a drop is meant for: the same name elsewhere, a name like it, or all that is left of its kind."""
    same_kind = [thing for thing in waiting if thing.kind == dropped.kind]
    in_place = [t for t in same_kind if t.kind == "table" or dropped.table in {"", t.table}]
    for thing in same_kind:
        if thing.name == dropped.name:
            return thing
    for thing in in_place:
        if SequenceMatcher(None, dropped.name, thing.name).ratio() >= _ALIKE:
            return thing
    return in_place[0] if len(waiting) == 1 and in_place else None


def _makes(action: act.Action) -> tuple[str, str, str] | None:
    """Return what an action makes that may have stood before, unseen: kind, owner, name."""
    match action:
        case act.CreateObject(kind=kind, name=name):
            return kind, "", bare(name)
        case act.CreateIndex(table=table, index=index):
            return "index", bare(table), index.name
        case act.AddConstraint(table=table, constraint=constraint):
            return "constraint", bare(table), constraint.name
        case _:
            return None


def _key(thing: Thing) -> tuple[str, str, str]:
    return thing.kind, thing.table if thing.kind in {"index", "constraint"} else "", thing.name


def changes_schema(step: ReviewedStep) -> bool:
    """Return whether the schema is another one after it; what could not be read may change anything.

    A table that the step makes for itself and drops again, or that ends with the session, is no change.
    """
    own = {
        bare(action.table)
        for _, action in step.actions()
        if isinstance(action, act.CreateTable)
        and step.before.table(action.table) is None
        and (action.temporary or step.after.table(action.table) is None)
    }
    return not step.after.certain or any(
        not isinstance(action, _NO_CHANGE) and bare(getattr(action, "table", "")) not in own
        for _, action in step.actions()
    )


def only_adds_enum_values(step: ReviewedStep) -> bool:
    """Return whether it only adds values to enums, which PostgreSQL cannot take away and nothing has to use."""
    actions = [action for _, action in step.actions()]
    return bool(actions) and all(isinstance(action, act.AddEnumValue) for action in actions)


def overwritten(step: ReviewedStep) -> Iterator[tuple[ReviewedStatement, act.WriteRows]]:
    """Yield the writes that change rows which were there before: filling a table or a column of one's own is none."""
    for statement, action in step.actions():
        if not isinstance(action, act.WriteRows) or bare(action.table).startswith("_alembic_tmp_"):
            continue
        if statement.creates(action.table) or action.touch:
            continue
        own = action.columns and all(statement.adds(action.table, column) for column in action.columns)
        if not (own and action.verb is act.Verb.UPDATE):
            yield statement, action


def to_write_back(step: ReviewedStep) -> Iterator[tuple[ReviewedStatement, act.WriteRows]]:
    """Yield those of them that a downgrade has to write back: not the fill of a column that an earlier one takes away.

    Such a column came after its table, by a revision of its own, and only rows that had no value get one.
    """
    for statement, action in overwritten(step):
        if action.verb is not act.Verb.UPDATE or not all(_fills(statement, action, c) for c in action.columns or ("",)):
            yield statement, action


def _fills(statement: ReviewedStatement, action: act.WriteRows, column: str) -> bool:
    table = statement.before.table(action.table)
    added = table.added.get(column) if table is not None else None
    if table is None or not added or added == table.created_in:
        return False
    return _where_null(statement, column)


def _where_null(statement: ReviewedStatement, column: str) -> bool:
    sql = statement.statement.sql
    only_nulls = re.search(rf"\b{re.escape(column)}\"?\s+IS\s+NULL\b", sql, re.IGNORECASE)
    return only_nulls is not None and not re.search(r"\bOR\b(?!\s+REPLACE\b)", sql, re.IGNORECASE)


def owed(revision: ReviewedRevision, up: ReviewedStep) -> Iterator[tuple[ReviewedStatement, act.WriteRows]]:
    """Yield what the downgrade has to write back and nobody says needs no way back.

    The header may say so of what only adds rows or values. Where rows or values are lost, downgrade() itself has to.
    """
    if _NOTHING_TO_UNDO.search(said_in_downgrade(revision)):
        return
    said = _NOTHING_TO_UNDO.search(revision.revision.header.rollback) is not None
    yield from ((s, a) for s, a in to_write_back(up) if not (said and _only_adds(s, a)))


def _only_adds(statement: ReviewedStatement, action: act.WriteRows) -> bool:
    if action.verb is act.Verb.UPDATE:
        return bool(action.columns) and all(_where_null(statement, column) for column in action.columns)
    return action.verb is act.Verb.INSERT


def _is_made(thing: Thing, up: ReviewedStep) -> bool:
    """Return whether upgrade made it; a column that is merely first heard of in it was there."""
    if thing.kind != "column":
        return True
    table = up.after.table(thing.table)
    return table is not None and table.added.get(thing.name) == up.revision


def _complete(state: Replayed, thing: Thing) -> bool:
    if thing.kind in {"table", "enum"}:
        return state.certain and all(table.complete for table in state.tables.values())
    table = state.table(thing.table)
    return table is not None and table.complete


def dropped_unseen(up: ReviewedStep, before: Mapping[Thing, Spec]) -> Iterator[Thing]:
    """Yield what upgrade drops though the history never told of it: it was there."""
    for statement, action in up.actions():
        match action:
            case act.DropTable(table=table, if_exists=False):
                thing = Thing("table", bare(table), bare(table))
            case act.DropColumn(table=table, column=column, if_exists=False):
                thing = Thing("column", bare(table), column)
            case _:
                continue
        known = statement.before.table(thing.table)
        made_here = statement.creates(thing.table) or statement.adds(thing.table, thing.name)
        if thing not in before and not (known and (known.complete or made_here)):
            yield thing


def _without_made_up_names(
    some: list[Thing], others: list[Thing], down: ReviewedStep, up: ReviewedStep
) -> tuple[list[Thing], list[Thing]]:
    """Leave out constraints whose name the server makes up, where a drop of an unknown name may be theirs."""
    dropped = {
        bare(action.table)
        for step in (up, down)
        for statement, action in step.actions()
        if isinstance(action, act.DropConstraint) and not _knows(statement.before, action)
    }
    swapped = {t.table for t in some if t.kind in {"constraint", "index"} and not t.named} | {
        t.table for t in others if t.kind in {"constraint", "index"} and not t.named
    }
    excused = dropped & swapped

    def keep(thing: Thing) -> bool:
        return thing.kind != "constraint" or thing.table not in excused

    return [t for t in some if keep(t)], [t for t in others if keep(t)]


def _without_new_names(
    lost: list[Thing], made: list[Thing], before: Mapping[Thing, Spec], after: Mapping[Thing, Spec]
) -> tuple[list[Thing], list[Thing]]:
    """Leave out what had a name that the server made up, and comes back under a name of its own."""
    back = [
        (old, new)
        for old in lost
        for new in made
        if not old.named
        and (old.kind, old.table) == (new.kind, new.table)
        and not any(differences(before[old], after[new]))
    ]
    return [t for t in lost if t not in dict(back)], [t for t in made if t not in dict(back).values()]


def _knows(state: Replayed, action: act.DropConstraint) -> bool:
    table = state.table(action.table)
    return table is not None and table.constraint(action.name) is not None


def owners_only(things: Sequence[Thing]) -> tuple[Thing, ...]:
    """Leave out the parts of a table, and of a column, that are told by their owner."""
    tables = {t.table for t in things if t.kind == "table"}
    kept = [t for t in things if t.kind == "table" or not t.table or t.table not in tables]
    columns = {t.table for t in kept if t.kind == "column"}
    return tuple(t for t in kept if t.kind in {"table", "column"} or t.table not in columns or not t.table)


def _changed(
    before: Mapping[Thing, Spec], middle: Mapping[Thing, Spec], after: Mapping[Thing, Spec]
) -> Iterator[tuple[Thing, Attribute, bool]]:
    for thing, was in before.items():
        if thing not in after or was is None:
            continue
        for attribute in differences(was, after[thing]):
            same = thing in middle and all(a.name != attribute.name for a in differences(middle[thing], after[thing]))
            yield thing, attribute, same

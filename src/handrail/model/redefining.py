"""What MODIFY and CHANGE of MySQL amount to: they state a column anew, and what differs from before is what they do."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from handrail.model.action import Action, AlterDefault, AlterNullable, AlterType, RedefineColumn, RenameColumn
from handrail.model.replayed import Replayed
from handrail.model.spec import UNKNOWN


def told(actions: Iterable[Action], before: Replayed) -> tuple[Action, ...]:
    """Return the actions, before each RedefineColumn the changes that it amounts to; a new name comes after it.

    Of a column that is not known, what is stated counts as a change of the type only where it has to.
    """
    return tuple(part for action in actions for part in _parts(action, before))


def _parts(action: Action, before: Replayed) -> Iterator[Action]:
    if not isinstance(action, RedefineColumn):
        yield action
        return
    table, name, new = action.table, action.column, action.new
    old = before.column(table, name)
    if old is not None:
        if old.type is not UNKNOWN and new.type is not UNKNOWN and old.type != new.type:
            yield AlterType(table=table, column=name, type=new.type)
        if isinstance(new.nullable, bool) and isinstance(old.nullable, bool) and old.nullable is not new.nullable:
            yield AlterNullable(table=table, column=name, nullable=new.nullable)
        if old.default is not UNKNOWN and new.default is not UNKNOWN and old.default != new.default:
            yield AlterDefault(table=table, column=name, default=new.default)
    yield action
    if new.name != name:
        yield RenameColumn(table=table, column=name, new_name=new.name)

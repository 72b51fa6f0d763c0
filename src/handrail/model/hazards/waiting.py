"""How long a statement may keep others waiting."""

from __future__ import annotations

from handrail.model import action as act
from handrail.model.action import Action
from handrail.model.effect import Blocks, Effect
from handrail.model.estimate import PACE, Estimate, Work
from handrail.model.hazards.long_work import long_work
from handrail.model.replayed import bare
from handrail.model.reviewed import ReviewedStatement
from handrail.model.schema import ConstraintKind
from handrail.model.size import TableSize


def estimate(statement: ReviewedStatement, action: Action, size: TableSize) -> Estimate | None:
    """Return how long the action works through a table of that size while others wait; None where nobody has to.

    None too where the size is not known.
    """
    table, lock = long_work(statement, action), None
    if table:
        of_table = [e for e in statement.effects if bare(e.relation) == bare(table) and e.strong]
        lock = max(of_table, key=_strength, default=None)
    if lock is None or not isinstance(size.bytes, int):
        return None
    work = _work(action)
    extra = size.index_bytes if work is Work.REWRITE and isinstance(size.index_bytes, int) else 0
    total = size.bytes + extra
    slow, fast = PACE[work]
    return Estimate(
        table=size.table,
        work=work,
        lock=lock.lock,
        blocks=lock.blocks,
        bytes=total,
        low_s=total / fast,
        high_s=total / slow,
    )


def _strength(effect: Effect) -> Blocks:
    return effect.blocks


def _work(action: Action) -> Work:
    match action:
        case act.CreateIndex() | act.Reindex():
            return Work.BUILD
        case act.AddConstraint(constraint=constraint):
            proved = {ConstraintKind.CHECK, ConstraintKind.FOREIGN_KEY}
            return Work.SCAN if constraint.kind in proved else Work.BUILD
        case act.AlterNullable() | act.ValidateConstraint():
            return Work.SCAN
        case _:
            return Work.REWRITE

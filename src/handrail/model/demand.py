"""What a statement demands of the rows that are there when it runs, and would fail on."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.model.replayed import bare
from handrail.model.violation import ViolationKind

#: How long all counting of one review or dry run may take, in seconds, unless the caller says otherwise.
COUNTING_LIMIT_S = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Demand:
    """One thing that must hold of the rows of a table, at one statement of a revision's upgrade.

    `statement` counts those of the step from 0. `table` is named as the revision does, `columns` may hold expressions
    of an index. `every_row` marks a column that is added and that no row has a value for. `enforced` is False for NOT
    VALID: rows that are there do not make this statement fail, but the later VALIDATE. `condition` is that of a CHECK,
    or of a partial index. `key` is the table's primary key, once that is looked up. `before` says which pending
    statement changes those rows or names first; `there` is False where table or columns exist only after it.
    """

    kind: ViolationKind
    revision: str
    statement: int | None
    table: str
    columns: tuple[str, ...]
    name: str = ""
    condition: str = ""
    every_row: bool = False
    enforced: bool = True
    referenced_table: str = ""
    referenced_columns: tuple[str, ...] = ()
    old_type: str = ""
    new_type: str = ""
    using: str = ""
    key: tuple[str, ...] = ()
    before: str = ""
    there: bool = True

    @property
    def subject(self) -> tuple[str, ...]:
        """Table and columns, as a finding names them."""
        return (bare(self.table), *self.columns)

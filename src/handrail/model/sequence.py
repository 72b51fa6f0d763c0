"""Where a sequence stands beside the column that it gives keys to."""

from __future__ import annotations

from dataclasses import dataclass

from handrail.model.verdict import Unsupported


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """The value the sequence gives next, and the furthest one that its column holds already (None: no rows).

    `ascending` says in which direction it counts, and so which value is the furthest.
    """

    next_value: int
    furthest: int | None
    ascending: bool

    @property
    def behind(self) -> bool:
        """Whether a value that the sequence is still to give may be taken."""
        if self.furthest is None:
            return False
        return self.next_value <= self.furthest if self.ascending else self.next_value >= self.furthest


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSequence:
    """One sequence and the column whose default or identity it is; names as in a Snapshot."""

    name: str
    table: str
    column: str
    position: Position | Unsupported
    mend: str

    def describe(self) -> str:
        """One line, e.g. `users_id_seq gives 5 next, users.id holds 9 already; mend: SELECT setval(...)`."""
        where = f"{self.table}.{self.column}"
        if isinstance(self.position, Unsupported):
            return f"{self.name} for {where}: {self.position.reason}"
        given, held = self.position.next_value, self.position.furthest
        return f"{self.name} gives {given} next, {where} holds {held} already; mend: {self.mend}"

"""The schema that a revision finds while it is only read: what the statements before it have made."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from handrail.model import redefining
from handrail.model.action import Action
from handrail.model.operation import Origin, RecordedRevision, StatementKind
from handrail.model.replayed import EMPTY, Replayed, replayed


class Catalogue:
    """Follows the statements that are sent; they are understood at the first look, which few revisions ask for."""

    def __init__(
        self,
        actions: Callable[[str], tuple[Action, ...]],
        start: Callable[[], Replayed] = lambda: EMPTY,
        sent: Iterable[str] = (),
    ) -> None:
        self._actions = actions
        self._start = start
        self._behind = list(sent)

    @property
    def state(self) -> Replayed:
        """The schema as it is now."""
        state = self._start()
        for sql in self._behind:
            for action in redefining.told(self._actions(sql), state):
                state = replayed(state, action, "")
        self.begin(lambda: state)
        return state

    def copy(self) -> Catalogue:
        """Return another one that goes on from here."""
        return Catalogue(self._actions, self._start, self._behind)

    def begin(self, start: Callable[[], Replayed]) -> None:
        """Go on from a schema that is known."""
        self._start = start
        self._behind.clear()

    def pass_over(self, recorded: RecordedRevision) -> None:
        """Note what a revision sends that is not read again."""
        for statement in recorded.statements:
            if statement.origin is Origin.REVISION and statement.kind is not StatementKind.READ:
                self.follow(statement.sql)

    def follow(self, sql: str) -> None:
        """Note a statement that is sent."""
        self._behind.append(sql)
